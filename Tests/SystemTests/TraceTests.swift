import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("Asking why")
  struct Tracing {
    /// An ARP request that `a` would send, as RFC 826 has it.
    private static func request(from mac: String, sender: String, target: String) -> String {
      func hexadecimal(_ address: String) -> String {
        address.split(separator: ".").map { (UInt8($0)! < 16 ? "0" : "") + String(UInt8($0)!, radix: 16) }.joined()
      }
      let mac = mac.filter { $0 != ":" }
      return "ffffffffffff\(mac)08060001080006040001\(mac)\(hexadecimal(sender))000000000000\(hexadecimal(target))"
    }

    @Test("a frame is followed without a trace, and sent where that is asked for")
    func frame() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let a = try daemon.sandbox("a", on: "lab")
        let b = try daemon.sandbox("b", on: "lab")
        let (from, to) = try (daemon.endpoint(of: a, on: "lab"), daemon.endpoint(of: b, on: "lab"))
        #expect(try a.reaches(to.ipv4))
        let stranger = Self.request(from: "02:77:00:00:00:01", sender: from.ipv4, target: to.ipv4)
        let said = try daemon.martlet("trace", "lab", "--in", a.name, "--frame", stranger)
        for step in ["in by port \(a.name)", "02:77:00:00:00:01 is new", "flooded to all other ports", "=> sent by"] {
          #expect(said.contains(step), "\(said)")
        }
        #expect(try !daemon.forwardingEntries("lab").contains { $0.mac == "02:77:00:00:00:01" })

        let known = Self.request(from: from.mac, sender: from.ipv4, target: to.ipv4)
        let unicast = to.mac.filter { $0 != ":" } + known.dropFirst(12)
        let trace = try daemon.ask([Trace].self, "trace", "lab", "--in", from.id, "--frame", unicast)[0]
        #expect(trace.outcome == "sent" && trace.copies.map(\.port) == [b.name])
        #expect(trace.steps.contains { $0.contains("is on port \(b.name)") && $0.contains("s old") })

        try daemon.martlet("trace", "lab", "--in", a.name, "--frame", stranger, "--send")
        #expect(try daemon.forwardingEntries("lab").contains { $0.mac == "02:77:00:00:00:01" })
      }
    }

    @Test("frames that went nowhere are shown with their reason")
    func drops() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let a = try daemon.sandbox("a", on: "lab")
        let endpoint = try daemon.endpoint(of: a, on: "lab")
        // From a group address, which no sender has.
        let wrong = Self.request(from: "03:77:00:00:00:01", sender: endpoint.ipv4, target: "10.9.9.9")
        try daemon.martlet("trace", "lab", "--in", a.name, "--frame", wrong, "--send")
        let drop = try daemon.ask([DroppedFrame].self, "trace", "lab", "--explain-drop", "9").last!
        #expect(drop.reason == "invalid_source" && drop.port == a.name && drop.frame == wrong && drop.length == 42)
        let said = try daemon.martlet("trace", "lab", "--explain-drop", "1")
        #expect(
          said.contains("invalid_source") && said.contains("now: source 03:77:00:00:00:01 is no address of a sender"))
      }
    }

    @Test("the next frame that matches is waited for")
    func next() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let a = try daemon.sandbox("a", on: "lab")
        let b = try daemon.sandbox("b", on: "lab")
        let address = try daemon.endpoint(of: b, on: "lab").ipv4
        let tracing = try Program(
          daemon.commandLine(["trace", "lab", "--in", a.name, "--next", "--filter", "icmp and dst host \(address)"]))
        try eventually("a frame is traced") {
          _ = try a.reaches(address, count: 1)
          return !tracing.isRunning
        }
        let said = try tracing.succeed()
        #expect(said.contains("in by port \(a.name)") && said.contains("=> sent by \(b.name)"), "\(said)")
        #expect(try daemon.attempt(["trace", "lab", "--next", "--filter", "no such"]).status == EXIT_FAILURE)
      }
    }

    @Test("a policy says why in its own words; what leaves the network is the router's")
    func policy() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let a = try daemon.sandbox("a", on: "lab")
        let endpoint = try daemon.endpoint(of: a, on: "lab")
        try daemon.martlet("policy", "load", "lab", "learning")
        let known = Self.request(from: endpoint.mac, sender: endpoint.ipv4, target: "10.9.9.9")
        let said = try daemon.martlet("trace", "lab", "--in", a.name, "--frame", known)
        #expect(said.contains("the network's policy decides"))
        let outcome = try daemon.attempt(["trace", "lab", "--in", "nobody", "--frame", known])
        #expect(outcome.status == EXIT_FAILURE && outcome.complaint.contains("has no port nobody: there are"))
        #expect(try daemon.attempt(["trace", "lab", "--in", a.name, "--frame", "0g"]).status == EXIT_FAILURE)
      }
    }
  }
}
