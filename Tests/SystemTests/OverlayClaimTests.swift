import ControlModel
import Testing

extension SystemTests {
  @Suite("What others on the wire claim")
  struct OverlayClaims {
    private static let broadcast = "ff:ff:ff:ff:ff:ff"
    private static let station = "02:00:00:00:00:51"
    /// A peer, of which nothing is there but what is forged.
    private static let liar = "192.0.2.3"

    private func withBed(_ body: (OverlayBed) throws -> Void) throws {
      try withTestbed { testbed in try body(OverlayBed(testbed, .kernel)) }
    }

    /// Has the datagrams sent on the wire, and then one more of the kernel's peer, whose frame is waited for at the first container:
    /// those before it have then been decided on.
    private func send(_ datagrams: [ForgedDatagram], in bed: OverlayBed, mark: UInt8) throws {
      let macs = try bed.hosts.map { try $0.link(OverlayBed.wire).address }
      let last = RawFrame(to: Self.broadcast, from: Self.station, payload: [mark])
      let capture = try Capture(at: bed.containers[0])
      let all = datagrams + [ForgedDatagram(from: bed.underlay[1], to: bed.underlay[0], last)]
      try bed.hosts[1].send(all.map { $0.frame(to: (macs[0], macs[1])) }, by: OverlayBed.wire)
      try capture.wait(for: last)
    }

    private func place(of mac: String, _ bed: OverlayBed) throws -> (kind: String, address: String?, isStatic: Bool)? {
      try bed.daemon.forwardingEntries("lab").first { $0.mac == mac }.map {
        ($0.port.kind, $0.port.address, $0.static)
      }
    }

    @Test("a peer that claims others' MAC addresses gets none of them where they are told, not learned")
    func lies() throws {
      try withBed { bed in
        let third = try bed.daemon.sandbox("c3", on: "lab", "--ip", "10.42.0.3")
        let macs = try (bed.containers + [third]).map { try $0.link().address }
        let daemon = bed.daemon
        func set(learning: String) throws {
          try daemon.martlet(
            "overlay", "set", "lab", "--vni", "\(OverlayBed.vni)", "--local", bed.underlay[0], "--learning", learning)
        }
        try set(learning: "off")
        try daemon.martlet("overlay", "peer", "add", "lab", Self.liar)
        try daemon.martlet("fdb", "add", "lab", macs[1], "vtep=\(bed.underlay[1])")
        let addresses = [OverlayBed.containers[1].ipv4, "10.42.0.3"]
        #expect(try bed.containers[0].answering(addresses) == addresses)
        let claims = macs.map {
          ForgedDatagram(from: Self.liar, to: bed.underlay[0], RawFrame(to: Self.broadcast, from: $0))
        }
        try send(claims, in: bed, mark: 1)
        #expect(try place(of: macs[0], bed)?.kind == "endpoint" && place(of: macs[2], bed)?.kind == "endpoint")
        let told = try place(of: macs[1], bed)
        #expect(told?.address == bed.underlay[1] && told?.isStatic == true)
        #expect(try place(of: Self.station, bed) == nil, "nothing is learned")
        #expect(try bed.containers[0].answering(addresses) == addresses)
        // The same where peers are believed: a claim takes an address, but for those that are told.
        try set(learning: "on")
        // Until it does: the container's own frames, of IPv6 say, take it back.
        try eventually("the claim is believed") {
          try send(claims, in: bed, mark: 2)
          return try place(of: macs[2], bed)?.address == Self.liar
        }
        #expect(try place(of: macs[1], bed)?.address == bed.underlay[1])
        // Nor is one peer's frame handed on to another.
        let between = RawFrame(to: macs[1], from: Self.station)
        try send([ForgedDatagram(from: Self.liar, to: bed.underlay[0], between)], in: bed, mark: 3)
        let peers = try daemon.ask([OverlayPeer].self, "overlay", "peer", "ls", "lab")
        #expect(peers.first { $0.address == Self.liar }?.counters.drops["split_horizon"] == 1)
      }
    }

    @Test("frames with VLAN tags pass both ways, or where the overlay carries none neither", arguments: [true, false])
    func innerTags(carries: Bool) throws {
      try withBed { bed in
        let options = carries ? [] : ["--inner-vlan", "off"]
        try bed.daemon.command(
          ["overlay", "set", "lab", "--vni", "\(OverlayBed.vni)", "--local", bed.underlay[0]] + options)
        func frame(_ source: String, _ tags: [(UInt16, UInt16)]) -> RawFrame {
          RawFrame(to: Self.broadcast, from: source, tags: tags, payload: Array("tagged".utf8))
        }
        let (tag, plain) = ([(UInt16(0x8100), UInt16(7))], [(UInt16, UInt16)]())
        for (from, to, source) in [(0, 1, "02:00:00:00:00:71"), (1, 0, "02:00:00:00:00:72")] {
          let capture = try Capture(at: bed.containers[to])
          try bed.containers[from].send([frame(source, tag), frame(source, plain)])
          try eventually("the plain one is there") { capture.frames.contains(frame(source, plain)) }
          // In order: what has not come by now does not.
          #expect(
            capture.frames.contains { $0.bytes[6..<12] == frame(source, tag).bytes[6..<12] && $0.bytes[12] == 0x81 }
              == carries)
        }
        let peers = try bed.daemon.ask([OverlayPeer].self, "overlay", "peer", "ls", "lab")
        let drops = peers.first { $0.address == bed.underlay[1] }?.counters.drops["inner_vlan"]
        #expect(drops == (carries ? nil : 2))
      }
    }

    @Test("own frames that come back, and those that are not whole, go nowhere and are counted")
    func strays() throws {
      try withBed { bed in
        let inner = RawFrame(to: Self.broadcast, from: "02:00:00:00:00:66", payload: Array("stray".utf8))
        func datagram(_ source: String, _ change: (inout ForgedDatagram) -> Void = { _ in }) -> ForgedDatagram {
          var datagram = ForgedDatagram(from: source, to: bed.underlay[0], inner)
          change(&datagram)
          return datagram
        }
        let peer = bed.underlay[1]
        let capture = try Capture(at: bed.containers[0])
        try send(
          [
            datagram(bed.underlay[0]), datagram(peer) { $0.vni = 43 }, datagram(peer) { $0.flags = 0 },
            datagram(peer) { $0.lengthMax = 12 }, datagram(peer) { $0.lengthMax = 16 + 13 },
            datagram(peer) { $0.checksum = 0x1234 },
          ], in: bed, mark: 4)
        struct Shown: Decodable {
          struct Counters: Decodable { var drops: [String: Int] }
          var counters: Counters
        }
        let drops = try bed.daemon.ask(Shown.self, "overlay", "show", "lab").counters.drops
        #expect(
          drops == ["vxlan_unknown_vtep": 1, "vxlan_unknown_vni": 1, "vxlan_malformed": 3, "vxlan_checksum": 1])
        #expect(!capture.frames.contains(inner))
        #expect(try place(of: "02:00:00:00:00:66", bed) == nil)
        // A fragment is the host's own: its stack puts it together, and nobody takes it.
        try send([datagram(peer) { $0.fragment = 0x2000 }], in: bed, mark: 5)
        #expect(!capture.frames.contains(inner))
      }
    }
  }
}
