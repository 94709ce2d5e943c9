import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("Policies")
  struct Policies {
    private static func load(_ conduct: String, _ daemon: Daemon) throws {
      let library = try Binaries.path("libMisbehavingPolicy.so")
      try daemon.martlet("policy", "load", "lab", library, "-o", "conduct=\(conduct)")
    }

    private static func policy(_ daemon: Daemon) throws -> Policy {
      try daemon.ask(Policy.self, "policy", "show", "lab")
    }

    private static func withPair(_ body: (Daemon, Namespace, Namespace, String) throws -> Void) throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let a = try daemon.sandbox("a", on: "lab")
        let b = try daemon.sandbox("b", on: "lab")
        try body(daemon, a, b, daemon.endpoint(of: b, on: "lab").ipv4)
      }
    }

    @Test("one is loaded, shown, outlives the daemon, and goes")
    func life() throws {
      try Self.withPair { daemon, a, _, address in
        let copied = daemon.stateDirectory + "-libMine.so"
        try FileManager.default.copyItem(atPath: Binaries.path("libMisbehavingPolicy.so"), toPath: copied)
        try daemon.martlet("policy", "load", "lab", copied)
        try FileManager.default.removeItem(atPath: copied)
        #expect(try a.reaches(address))
        let before = try Self.policy(daemon)
        #expect(before.name.hasSuffix("libMine.so"))
        #expect(before.state == "active" && before.kind == .library && before.path == copied)
        #expect(before.counters.first { $0.name == "frames" }!.value > 0)
        try daemon.end(by: SIGTERM)
        try daemon.start()
        #expect(try Self.policy(daemon).state == "active")
        #expect(try a.reaches(address))
        try daemon.martlet("policy", "load", "lab", "learning")
        #expect(try Self.policy(daemon).kind == .builtIn)
        #expect(!FileManager.default.fileExists(atPath: daemon.stateDirectory + "/policies"))
        try daemon.martlet("policy", "unload", "lab")
        try daemon.martlet("policy", "unload", "lab")
        #expect(try daemon.attempt(["policy", "show", "lab"]).status == EXIT_FAILURE)
        #expect(try a.reaches(address))
      }
    }

    @Test("what cannot be loaded is refused, and the one that is there goes on")
    func refusals() throws {
      try Self.withPair { daemon, a, _, address in
        try daemon.martlet("policy", "load", "lab", "learning")
        let library = try Binaries.path("libMisbehavingPolicy.so")
        let garbage = daemon.stateDirectory + "-garbage.so"
        try "no library".write(toFile: garbage, atomically: true, encoding: .utf8)
        for (words, reason) in [
          (["no-such"], "neither a file nor a policy"), (["learning", "-o", "x=1"], "no parameter is called x"),
          ([library, "-o", "conduct=odd"], "no such conduct"), ([library, "-o", "x=1"], "no parameter is called x"),
          (["/proc/self/maps.so"], "No such file"),
          ([garbage], "cannot load"),
        ] {
          let outcome = try daemon.attempt(["policy", "load", "lab"] + words)
          #expect(
            outcome.status == EXIT_FAILURE && outcome.complaint.contains(reason), "\(words): \(outcome.complaint)")
        }
        #expect(try Self.policy(daemon).state == "active")
        #expect(try a.reaches(address))
      }
    }

    @Test(
      "one that traps, hangs or eats memory costs a restart: endpoints are there, it is unloaded and named",
      arguments: [
        ("trap", "trapped"), ("overflow", "trapped"), ("loop", "did not come back"), ("memory", "memory grew"),
      ])
    func fault(conduct: String, reason: String) throws {
      try Self.withPair { daemon, a, b, address in
        let pid = daemon.pid
        let before = try daemon.network("lab").withoutCounters
        try Self.load(conduct, daemon)
        try eventually("the policy is unloaded") {
          _ = try? a.reaches(address, count: 1)
          return (try? Self.policy(daemon))?.state == "unloaded"
        }
        #expect(try Self.policy(daemon).detail?.contains(reason) == true)
        #expect(daemon.pid == pid)
        #expect(try daemon.network("lab").withoutCounters == before)
        try eventually("frames are forwarded") { try a.reaches(address, count: 1) }
        // Said once, and not again at the next start; and another may be loaded.
        try Self.load("none", daemon)
        #expect(try a.reaches(address))
        try daemon.end(by: SIGTERM)
        try daemon.start()
        #expect(try Self.policy(daemon).state == "active")
      }
    }

    @Test("one that traps while it is made costs a restart too")
    func trapsWhenMade() throws {
      try Self.withPair { daemon, a, _, address in
        _ = try? Self.load("make", daemon)
        try eventually("the daemon is back") { try daemon.attempt(["network", "ls"]).status == EXIT_SUCCESS }
        #expect(try daemon.attempt(["policy", "show", "lab"]).status == EXIT_FAILURE)
        try eventually("frames are forwarded") { try a.reaches(address, count: 1) }
      }
    }

    @Test("one that takes too long is taken out without a restart")
    func slow() throws {
      try Self.withPair { daemon, a, b, address in
        try Self.load("slow", daemon)
        let pinging = try a.start(["ping", "-q", "-f", "-w", "30", address])
        try eventually("the policy is unloaded") { try Self.policy(daemon).state == "unloaded" }
        #expect(try Self.policy(daemon).detail?.contains("microseconds a frame") == true)
        #expect(!daemon.output.split(separator: "\n").dropFirst().contains("ready"))
        pinging.signal(SIGINT)
        _ = try pinging.end()
        #expect(try a.reaches(address))
      }
    }

    @Test("rules as text decide, are counted and explained, and point at what is wrong with them")
    func text() throws {
      try Self.withPair { daemon, a, _, address in
        let file = daemon.stateDirectory + ".policy"
        try "policy no-ping\nrule icmp.type 8 -> count pings, drop\n".write(
          toFile: file, atomically: true, encoding: .utf8)
        #expect(try daemon.martlet("policy", "check", file).contains("no-ping: fine"))
        try daemon.martlet("policy", "load", "lab", file)
        #expect(try !a.reaches(address, count: 1))
        #expect(try Self.policy(daemon).counters.first { $0.name == "pings" }?.value == 1)
        let drop = try daemon.ask([DroppedFrame].self, "trace", "lab", "--explain-drop", "1")[0]
        #expect(drop.reason == "policy" && drop.port == a.name)
        let trace = try daemon.ask([Trace].self, "trace", "lab", "--in", a.name, "--frame", drop.frame)[0]
        #expect(trace.outcome == "dropped" && trace.steps.contains { $0.contains("line 2") })
        try "rule icmp.typo 8 -> drop\n".write(toFile: file, atomically: true, encoding: .utf8)
        for command in ["check", "load"] {
          let outcome = try daemon.attempt(["policy", command] + (command == "load" ? ["lab"] : []) + [file])
          #expect(outcome.status == EXIT_FAILURE && outcome.complaint.contains(":1:6:"), "\(outcome.complaint)")
        }
        #expect(try Self.policy(daemon).state == "active")
        #expect(try daemon.martlet("policy", "show", "lab", "--text").hasPrefix("policy no-ping"))
        try daemon.end(by: SIGKILL)
        try daemon.start()
        #expect(try !a.reaches(address, count: 1), "the rules are there again")
      }
    }

    @Test("new-policy begins a package that compiles")
    func template() throws {
      try withTestbed { testbed in
        let tree = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        let directory = testbed.directory + "/two-words"
        try testbed.run([tree + "/tools/new-policy", "two-words", directory])
        let sources = directory + "/Sources/TwoWords/"
        let places = String(cString: getenv("PATH")).split(separator: ":").map { String($0) + "/swiftc" }
        let compiler = try #require(places.first { access($0, X_OK) == 0 }, "tools/test puts it on PATH")
        try testbed.run(
          [compiler, "-typecheck", "-swift-version", "6", "-I", Binaries.directory() + "/Modules"]
            + [sources + "TwoWords.swift", sources + "Exports.swift"])
        let again = try Program([tree + "/tools/new-policy", "two-words", directory]).end()
        #expect(again.status != EXIT_SUCCESS && again.complaint.contains("is there already"))
        let odd = try Program([tree + "/tools/new-policy", "Two_Words", directory + "2"]).end()
        #expect(odd.status != EXIT_SUCCESS && odd.complaint.contains("lower-case"))
      }
    }

    @Test("frames for a port that is not there are counted")
    func portThatIsGone() throws {
      try Self.withPair { daemon, a, _, address in
        try Self.load("gone", daemon)
        #expect(try !a.reaches(address, count: 1))
        #expect(try daemon.endpoint(of: a, on: "lab").counters.drops["no_such_port", default: 0] > 0)
      }
    }

    @Test("policies change under traffic without losing a frame")
    func swap() throws {
      try Self.withPair { daemon, a, b, address in
        let pinging = try a.start(["ping", "-q", "-i", "0.002", "-c", "1000", address])
        for round in 0..<20 where pinging.isRunning {
          if round % 2 == 0 {
            try daemon.martlet("policy", "load", "lab", "learning")
          } else {
            try Self.load("none", daemon)
          }
        }
        let said = try pinging.succeed()
        #expect(said.contains("1000 received"), "\(said)")
      }
    }
  }
}
