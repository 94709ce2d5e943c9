import Testing

extension SystemTests {
  @Suite("Frames that are not plain")
  struct Frames {
    private static let broadcast = "ff:ff:ff:ff:ff:ff"
    private static let station = "02:00:00:00:00:51"
    /// Sent last, so that its arrival tells that all before it are through.
    private static let last = RawFrame(to: broadcast, from: station, payload: Array("last".utf8))

    private func withPair(
      _ options: [String] = [], workers: Int? = nil, _ body: (Daemon, _ a: Namespace, _ b: Namespace) throws -> Void
    ) throws {
      try withDaemon(workers: workers) { daemon in
        let outcome = try daemon.attempt(["network", "create", "lab", "--ipv6"] + options)
        try #require(outcome.status == 0, "\(outcome.complaint)")
        try body(daemon, daemon.sandbox("a", on: "lab"), daemon.sandbox("b", on: "lab"))
      }
    }

    /// How many frames from `a` were dropped for that reason.
    private func drops(_ daemon: Daemon, _ a: Namespace, _ reason: String) throws -> UInt64 {
      try daemon.endpoint(of: a, on: "lab").counters.drops[reason] ?? 0
    }

    @Test("802.1Q and 802.1ad tags arrive as they were sent", arguments: workerCounts)
    func tags(workers: Int) throws {
      try withPair(workers: workers) { _, a, b in
        let payload = Array("tagged".utf8)
        let frames = [
          [(0x8100, 0x002A)], [(0x8100, 0xE000)], [(0x88A8, 0x0007)], [(0x88A8, 0x0007), (0x8100, 0x6FFE)],
        ]
        .map { RawFrame(to: Self.broadcast, from: Self.station, tags: $0, payload: payload) }
        // A full packet behind a tag: four bytes more than without.
        let full = RawFrame(
          to: Self.broadcast, from: Self.station, tags: [(0x8100, 0x002A)], payload: Array(repeating: 0xA5, count: 1500)
        )
        let capture = try Capture(at: b)
        try a.send(frames + [full, Self.last])
        for frame in frames + [full, Self.last] { try capture.wait(for: frame) }
        expectArrival(of: frames + [full], in: capture, workers: workers)
      }
    }

    @Test("tagged interfaces carry full-size packets and TCP")
    func taggedInterfaces() throws {
      try withPair { _, a, b in
        for (sandbox, address) in [(a, "10.42.0.1/24"), (b, "10.42.0.2/24")] {
          let added = try sandbox.attempt(
            "ip", "link", "add", "link", "eth0", "name", "vlan42", "type", "vlan", "id", "42")
          if added.complaint.contains("Unknown device type") { try Test.cancel("this kernel has no VLAN interfaces") }
          try #require(added.status == 0, "\(added.complaint)")
          try sandbox.run("ip", "addr", "add", address, "dev", "vlan42")
          try sandbox.run("ip", "link", "set", "vlan42", "up")
        }
        // 1500 less the headers of IPv4 and ICMP.
        #expect(try a.reaches("10.42.0.2", options: "-M", "do", "-s", "1472"))
        let end = try Transfer(bytes: 10 << 20, from: a, to: b, at: "10.42.0.2").end()
        #expect(end.sent == end.received)
        #expect(end.received.hasPrefix("done \(10 << 20) "))
      }
    }

    @Test("a network of MTU 9000 carries packets of 9000 bytes whole")
    func jumbo() throws {
      try withPair(["--mtu", "9000"]) { daemon, a, b in
        let endpoint = try daemon.endpoint(of: b, on: "lab")
        // 9000 less the headers of IP and ICMP.
        #expect(try a.reaches(endpoint.ipv4, options: "-M", "do", "-s", "8972"))
        #expect(try a.reaches(endpoint.ipv6, options: "-M", "do", "-s", "8952"))
        #expect(try a.reaches(daemon.network("lab").subnets[0].gateway!, options: "-M", "do", "-s", "8972"))
      }
    }

    @Test("the MTU of a living network can be changed, up and down")
    func changedMTU() throws {
      try withPair { daemon, a, b in
        let address = try daemon.endpoint(of: b, on: "lab").ipv4
        for mtu in [9000, 1400] {
          try daemon.martlet("network", "set", "lab", "--mtu", "\(mtu)")
          for sandbox in [a, b] { #expect(try sandbox.link().mtu == mtu) }
          // Less the headers of IPv4 and ICMP.
          #expect(try a.reaches(address, options: "-M", "do", "-s", "\(mtu - 28)"))
        }
        // One that makes its own interface larger again gains nothing.
        for sandbox in [a, b] { try sandbox.run("ip", "link", "set", "eth0", "mtu", "9000") }
        #expect(try !a.reaches(address, count: 1, options: "-M", "do", "-s", "1472"))
        #expect(try drops(daemon, a, "oversize") == 1)
      }
    }

    @Test("a frame beyond the network's MTU is dropped and counted")
    func oversize() throws {
      try withPair { daemon, a, b in
        for sandbox in [a, b] { try sandbox.run("ip", "link", "set", "eth0", "mtu", "9000") }
        let address = try daemon.endpoint(of: b, on: "lab").ipv4
        #expect(try a.reaches(address, options: "-M", "do", "-s", "1472"))
        #expect(try drops(daemon, a, "oversize") == 0)
        #expect(try !a.reaches(address, count: 2, options: "-M", "do", "-s", "4000"))
        #expect(try drops(daemon, a, "oversize") == 2)
      }
    }

    @Test("frames to 01:80:C2:00:00:00 to 0F go nowhere, the next address does")
    func linkLocalControl() throws {
      try withPair { daemon, a, b in
        let reserved = (0...15).map {
          RawFrame(to: "01:80:c2:00:00:0\(String($0, radix: 16))", from: Self.station, payload: [UInt8($0)])
        }
        let next = RawFrame(to: "01:80:c2:00:00:10", from: Self.station)
        let capture = try Capture(at: b)
        try a.send(reserved + [next, Self.last])
        try capture.wait(for: Self.last)
        try capture.wait(for: next)
        try eventually("all are dropped") { try drops(daemon, a, "link_local_control") == 16 }
        #expect(!capture.frames.contains(where: reserved.contains))
      }
    }

    @Test("frames from group addresses and from zero go nowhere")
    func invalidSources() throws {
      try withPair { daemon, a, b in
        let invalid = ["01:00:5e:00:00:01", "33:33:00:00:00:01", Self.broadcast, "00:00:00:00:00:00"]
        let frames = invalid.map { RawFrame(to: Self.broadcast, from: $0) }
        let capture = try Capture(at: b)
        try a.send(frames + [Self.last])
        try capture.wait(for: Self.last)
        try eventually("all are dropped") { try drops(daemon, a, "invalid_source") == UInt64(invalid.count) }
        #expect(!capture.frames.contains(where: frames.contains))
        #expect(try !daemon.forwardingEntries("lab").contains { invalid.contains($0.mac) })
      }
    }

    @Test("the shortest frames and those with broken IP headers pass untouched")
    func notOurBusiness() throws {
      try withPair { _, a, b in
        // AF_PACKET sends nothing shorter than an Ethernet header: a runt cannot be made from here.
        let header = RawFrame(bytes: Array(RawFrame(to: Self.broadcast, from: Self.station).bytes.prefix(14)))
        // Version 15, header length 4 bytes, total length beyond the frame.
        let broken = RawFrame(
          to: Self.broadcast, from: Self.station, type: 0x0800,
          payload: [0xF1, 0, 0xFF, 0xFF] + Array(repeating: 7, count: 40))
        let capture = try Capture(at: b)
        try a.send([header, broken, Self.last])
        try capture.wait(for: Self.last)
        try capture.wait(for: header)
        try capture.wait(for: broken)
      }
    }
  }
}
