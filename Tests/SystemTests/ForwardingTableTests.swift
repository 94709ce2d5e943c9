import ControlModel
import Testing

extension SystemTests {
  @Suite("The MAC table")
  struct ForwardingTable {
    private static let station = "02:00:00:00:00:51"
    private static let broadcast = "ff:ff:ff:ff:ff:ff"

    /// Frames from so many addresses, each another.
    private func frames(fromAddresses count: Int) -> [RawFrame] {
      (0..<count).map { number in
        let digits = String(0x10000 + number, radix: 16).dropFirst()
        return RawFrame(to: Self.broadcast, from: "02:f0:00:00:\(digits.prefix(2)):\(digits.suffix(2))")
      }
    }

    private func entry(_ mac: String, _ daemon: Daemon) throws -> ForwardingEntry? {
      try daemon.forwardingEntries("lab").first { $0.mac == mac }
    }

    private func waitForEntry(_ mac: String, behind endpoint: Endpoint, _ daemon: Daemon) throws {
      try eventually("\(mac) is learned behind \(endpoint.sandbox)") {
        try entry(mac, daemon)?.port.endpoint == endpoint.id
      }
    }

    @Test("learns, and is changed by hand")
    func change() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let a = try daemon.sandbox("a", on: "lab")
        let endpoint = try daemon.endpoint(of: a, on: "lab")
        #expect(try a.reaches(daemon.network("lab").subnets[0].gateway!))
        let learned = try #require(try entry(endpoint.mac, daemon))
        #expect(learned.port == ForwardingPort(kind: "endpoint", endpoint: endpoint.id, interface: "eth0"))
        #expect(!learned.static)
        let gateway = try daemon.namespace.link(daemon.network("lab").gatewayInterface!).address
        #expect(try entry(gateway, daemon)?.port.kind == "gateway")

        try daemon.martlet("fdb", "add", "lab", Self.station, endpoint.id)
        #expect(try entry(Self.station, daemon)?.static == true)
        try daemon.martlet("fdb", "flush", "lab")
        #expect(try entry(Self.station, daemon)?.port.endpoint == endpoint.id, "a static entry stays")
        try daemon.martlet("fdb", "rm", "lab", Self.station)
        #expect(try entry(Self.station, daemon) == nil)

        try a.send([RawFrame(to: Self.broadcast, from: "02:00:00:00:00:52")])
        try waitForEntry("02:00:00:00:00:52", behind: endpoint, daemon)
        try daemon.martlet("fdb", "flush", "lab", "--port", "gateway")
        #expect(try entry("02:00:00:00:00:52", daemon) != nil, "another port's entry stays")
        try daemon.martlet("fdb", "flush", "lab", "--port", endpoint.id)
        #expect(try entry("02:00:00:00:00:52", daemon) == nil)
      }
    }

    @Test("what was learned goes to its port only, and follows a station that moves")
    func move() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let (a, b, c) = try (
          daemon.sandbox("a", on: "lab"), daemon.sandbox("b", on: "lab"), daemon.sandbox("c", on: "lab")
        )
        let hello = RawFrame(to: Self.broadcast, from: Self.station)
        let probe = RawFrame(to: Self.station, from: "02:00:00:00:00:52", payload: [1])
        let last = RawFrame(to: Self.broadcast, from: "02:00:00:00:00:52", payload: [2])
        for (place, other) in [(a, b), (b, a)] {
          try place.send([hello])
          try waitForEntry(Self.station, behind: daemon.endpoint(of: place, on: "lab"), daemon)
          let (there, elsewhere) = try (Capture(at: place), Capture(at: other))
          try c.send([probe, last])
          try there.wait(for: last)
          try elsewhere.wait(for: last)
          try there.wait(for: probe)
          #expect(!elsewhere.frames.contains(probe))
        }
      }
    }

    @Test("forgets who was silent for the ageing time, which can be changed")
    func ageing() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let a = try daemon.sandbox("a", on: "lab")
        try a.send([RawFrame(to: Self.broadcast, from: Self.station)])
        try waitForEntry(Self.station, behind: daemon.endpoint(of: a, on: "lab"), daemon)
        try daemon.martlet("network", "set", "lab", "--ageing", "2")
        #expect(try daemon.network("lab").ageingSeconds == 2)
        try eventually("the entry ages", within: .seconds(20)) { try entry(Self.station, daemon) == nil }
      }
    }

    @Test("an endpoint that floods addresses pushes out its own, not those of others")
    func limit() throws {
      try withDaemon { daemon in
        let limit = 64
        try daemon.martlet("network", "create", "lab", "--fdb-limit", "\(limit)")
        let a = try daemon.sandbox("a", on: "lab")
        let b = try daemon.sandbox("b", on: "lab")
        let flooder = try daemon.sandbox("flooder", on: "lab")
        let address = try daemon.endpoint(of: b, on: "lab").ipv4
        #expect(try a.reaches(address))
        try flooder.send(frames(fromAddresses: 5000))
        try eventually("the flood is through") {
          try daemon.endpoint(of: flooder, on: "lab").counters.rxFrames >= 5000
        }
        let entries = try daemon.forwardingEntries("lab")
        #expect(entries.count <= limit)
        #expect(try daemon.statistics("lab").fdbEntries == entries.count)
        for sandbox in [a, b] {
          let endpoint = try daemon.endpoint(of: sandbox, on: "lab")
          #expect(entries.contains { $0.mac == endpoint.mac && $0.port.endpoint == endpoint.id })
        }
        let flooding = try daemon.endpoint(of: flooder, on: "lab").id
        #expect(entries.count { $0.port.endpoint == flooding } > limit / 2, "there is room for them")
      }
    }

    @Test("an endpoint's own limit holds, and its entries go with it")
    func endpointLimit() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let a = try daemon.sandbox("a", on: "lab")
        let b = try daemon.sandbox("b", on: "lab")
        let endpoint = try daemon.endpoint(of: a, on: "lab")
        func learned() throws -> Int { try daemon.forwardingEntries("lab").count { $0.port.endpoint == endpoint.id } }

        try daemon.martlet("endpoint", "set", endpoint.id, "--mac-limit", "4")
        try a.send(frames(fromAddresses: 100))
        try eventually("the frames are through") { try daemon.endpoint(of: a, on: "lab").counters.rxFrames >= 100 }
        #expect(try learned() == 4)
        try daemon.martlet("endpoint", "set", endpoint.id, "--mac-limit", "0")
        try a.send(frames(fromAddresses: 100))
        try eventually("all are learned") { try learned() >= 100 }

        try daemon.martlet("fdb", "add", "lab", Self.station, endpoint.id)
        try daemon.disconnect(a, from: "lab")
        let left = try daemon.forwardingEntries("lab")
        let staying = try daemon.endpoint(of: b, on: "lab").id
        #expect(left.allSatisfy { $0.port.kind == "gateway" || $0.port.endpoint == staying })
        #expect(!left.contains { $0.mac == Self.station })
        #expect(try daemon.statistics("lab").fdbEntries == left.count)
      }
    }

    @Test("isolated endpoints reach the gateway and others, not each other")
    func isolation() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab", "--ipv6")
        let a = try daemon.sandbox("a", on: "lab", "--isolated")
        let b = try daemon.sandbox("b", on: "lab")
        let open = try daemon.sandbox("open", on: "lab")
        func addresses(_ sandbox: Namespace) throws -> [String] {
          let endpoint = try daemon.endpoint(of: sandbox, on: "lab")
          return [endpoint.ipv4, endpoint.ipv6]
        }
        let (ofA, ofB, ofOpen) = try (addresses(a), addresses(b), addresses(open))
        let endpointB = try daemon.endpoint(of: b, on: "lab").id
        #expect(try a.answering(ofB) == ofB, "one that is isolated reaches one that is not")

        try daemon.martlet("endpoint", "set", endpointB, "--isolated", "on")
        #expect(try daemon.endpoint(of: b, on: "lab").isolated)
        #expect(try a.answering(ofB) == [])
        #expect(try b.answering(ofA) == [])
        #expect(try daemon.endpoint(of: a, on: "lab").counters.drops["isolated", default: 0] > 0)
        let gateways = try daemon.network("lab").subnets.map { $0.gateway! }
        #expect(try a.answering(ofOpen + gateways) == ofOpen + gateways)
        #expect(try open.answering(ofB) == ofB)

        try daemon.martlet("endpoint", "set", endpointB, "--isolated", "off")
        #expect(try a.answering(ofB) == ofB)
      }
    }
  }
}
