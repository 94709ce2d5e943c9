import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("Endpoints outlive the daemon")
  struct Restore {
    private static let megabyte = 1 << 20

    @Test("a TCP transfer goes on over the daemon's end and new start", arguments: [SIGTERM, SIGKILL])
    func transfer(signal: Int32) throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab", "--ipv6")
        let a = try daemon.sandbox("a", on: "lab")
        let b = try daemon.sandbox("b", on: "lab")
        let before = try daemon.network("lab")
        let address = try daemon.endpoint(of: b, on: "lab").ipv4

        let bytes = 60 * Self.megabyte
        let transfer = try Transfer(bytes: bytes, from: a, to: b, at: address, rate: 20 * Self.megabyte)
        try eventually("the transfer is under way") { transfer.received > 5 * Self.megabyte }
        let outcome = try daemon.end(by: signal)
        #expect(outcome.status == (signal == SIGTERM ? 0 : 128 + signal))
        #expect(transfer.isRunning)
        let interrupted = transfer.received
        #expect(try !a.reaches(address, count: 1), "nobody forwards now")
        #expect(transfer.received < interrupted + 2 * Self.megabyte)

        try daemon.start()
        let end = try transfer.end()
        #expect(end.sent == end.received)
        #expect(end.received.hasPrefix("done \(bytes) "))
        #expect(try daemon.network("lab").withoutCounters == before.withoutCounters)
        #expect(try a.reaches(before.subnets[0].gateway!))
        let counters = try daemon.endpoint(of: a, on: "lab").counters
        #expect(counters.rxBytes > 30 * Self.megabyte, "the new daemon's counters see what goes through it")
      }
    }

    @Test("the number of workers may change: old endpoints and new ones reach each other", arguments: workerCounts)
    func workers(before: Int) throws {
      try withDaemon(workers: before) { daemon in
        try daemon.martlet("network", "create", "lab")
        let a = try daemon.sandbox("a", on: "lab")
        for after in workerCounts {
          try daemon.end(by: SIGTERM)
          try daemon.configure("workers: \(after)")
          try daemon.start()
          let b = try daemon.sandbox("b\(after)", on: "lab")
          let address = try daemon.endpoint(of: b, on: "lab").ipv4
          #expect(try a.reaches(address))
          let transfer = try Transfer(bytes: 10 * Self.megabyte, from: a, to: b, at: address).end()
          #expect(transfer.sent == transfer.received)
          let hasOneQueue = try b.run("ip", "-details", "link", "show", "eth0").contains("numtxqueues 1 ")
          #expect(hasOneQueue == (after == 1))
        }
      }
    }

    @Test("what a second start finds can be used and changed")
    func control() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab", "--ageing", "77", "--label", "a=b")
        try daemon.martlet("network", "create", "closed", "--internal", "--ipv6")
        let a = try daemon.sandbox("a", on: "lab")
        try daemon.connect(a, to: "closed", ["--isolated"])
        try daemon.martlet("fdb", "add", "lab", "02:00:00:00:00:77", "gateway")
        let before = try (daemon.network("lab"), daemon.network("closed"), daemon.ask([Sandbox].self, "sandbox", "ls"))
        try daemon.end(by: SIGKILL)
        try daemon.start()
        #expect(try daemon.network("lab").withoutCounters == before.0.withoutCounters)
        #expect(try daemon.network("closed").withoutCounters == before.1.withoutCounters)
        let sandboxes = try daemon.ask([Sandbox].self, "sandbox", "ls")
        #expect(sandboxes.map(\.id) == before.2.map(\.id))
        #expect(sandboxes.map(\.routes) == before.2.map(\.routes))
        #expect(try daemon.forwardingEntries("lab").contains { $0.mac == "02:00:00:00:00:77" && $0.static })

        let b = try daemon.sandbox("b", on: "lab")
        #expect(try b.reaches(daemon.endpoint(of: a, on: "lab").ipv4))
        try daemon.disconnect(a, from: "lab")
        try daemon.disconnect(a, from: "closed")
        #expect(try a.linkNames() == ["lo"])
        try daemon.martlet("sandbox", "rm", a.name)
        try daemon.martlet("network", "rm", "closed")
      }
    }

    @Test("an endpoint whose namespace went is collected, and its address free again", arguments: [false, true])
    func collection(whileRunning: Bool) throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24")
        let lost = try daemon.sandbox("lost", on: "lab", "--ip", "10.9.0.7")
        let stays = try daemon.sandbox("stays", on: "lab", "--ip", "10.9.0.8")
        #expect(try stays.reaches("10.9.0.7"))
        if whileRunning {
          try lost.remove()
        } else {
          try daemon.end(by: SIGTERM)
          try lost.remove()
          try daemon.start()
        }
        try eventually("the endpoint is collected") {
          try daemon.network("lab").endpoints.map(\.sandbox) == [stays.name]
        }
        let entries = try daemon.forwardingEntries("lab")
        #expect(try daemon.statistics("lab").fdbEntries == entries.count)
        try daemon.martlet("sandbox", "rm", lost.name)
        let next = try daemon.sandbox("next", on: "lab", "--ip", "10.9.0.7")
        #expect(try next.reaches("10.9.0.8"))
      }
    }

    /// One change after the other, all that there are, over and over.
    private static let changes = """
      martlet="$1 --socket $2"; name=$3
      $martlet network disconnect lab $name; $martlet network disconnect changing $name
      $martlet sandbox rm $name; $martlet network rm changing
      while $martlet network create changing --internal --ipv6 && $martlet sandbox create $name &&
        $martlet network connect lab $name && $martlet network connect changing $name; do
        $martlet network disconnect lab $name && $martlet network disconnect changing $name &&
          $martlet sandbox rm $name && $martlet network rm changing && echo round
      done
      """

    @Test("killed in the midst of changes, the next start finds or makes everything whole")
    func crash() throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        let pristine = try daemon.namespace.configuration()
        try daemon.start()
        try daemon.martlet("network", "create", "lab")
        let changing = testbed.namespace("changing")
        let script = try ["sh", "-c", Self.changes, "sh", Binaries.path("martlet"), daemon.socket, changing.name]
        for round in 0..<8 {
          let changes = try testbed.start(script)
          // The rounds take about as long each; the kill comes a little later in each.
          try eventually("changes are under way: \(changes.complaintSoFar)") { changes.outputSoFar.contains("round") }
          usleep(UInt32(round) * 40_000)
          try daemon.end(by: SIGKILL)
          _ = try changes.end()
          try daemon.start()
          try expectWhole(daemon, changing)
        }
        try daemon.purge()
        #expect(try daemon.namespace.configuration() == pristine)
        #expect(!FileManager.default.fileExists(atPath: changing.path))
        #expect(!FileManager.default.fileExists(atPath: "/etc/netns/\(changing.name)"))
      }
    }

    /// What the daemon says there is, is what there is.
    private func expectWhole(_ daemon: Daemon, _ changing: Namespace) throws {
      let networks = try daemon.ask([Network].self, "network", "ls")
      #expect(try Set(daemon.namespace.linkNames()) == Set(["lo"] + networks.compactMap(\.gatewayInterface)))
      let sandboxes = try daemon.ask([Sandbox].self, "sandbox", "ls")
      #expect(sandboxes.map(\.name).contains(changing.name) == FileManager.default.fileExists(atPath: changing.path))
      guard let sandbox = sandboxes.first else { return }
      #expect(try Set(changing.linkNames()) == Set(["lo"] + sandbox.endpoints.map(\.interface)))
      for endpoint in sandbox.endpoints {
        #expect(endpoint.state == "up")
        #expect(try daemon.namespace.reaches(endpoint.ipv4))
      }
    }
  }
}

extension Network {
  /// For comparisons: traffic goes on counting.
  var withoutCounters: Network {
    var copy = self
    for index in copy.endpoints.indices { copy.endpoints[index].counters = Counters() }
    return copy
  }
}
