import ControlModel
import Glibc
import Testing

extension SystemTests {
  @Suite("Networks span hosts by VXLAN")
  struct Overlay {
    private static let megabyte = 1 << 20

    private func withOverlay(
      _ peer: OverlayBed.Peer, overIPv6: Bool = false, mtu: Int = 1500, offloads: Bool = true, workers: Int? = nil,
      segmentation: String? = nil, isEncrypted: Bool = false, options: String = "", _ body: (OverlayBed) throws -> Void
    ) throws {
      try withTestbed { testbed in
        try body(
          OverlayBed(
            testbed, peer, overIPv6: overIPv6, mtu: mtu, offloads: offloads, workers: workers,
            segmentation: segmentation, isEncrypted: isEncrypted, options: options))
      }
    }

    /// Frames that came by the tunnel and left by it, and none that was lost.
    private func expectConservation(_ bed: OverlayBed) throws {
      for daemon in [bed.daemon, bed.other].compactMap(\.self) {
        try eventually("what came in has gone out or been counted") {
          let statistics = try daemon.statistics("lab")
          let drops = statistics.drops.values.reduce(0, +)
          return statistics.rxFrames + statistics.routedIn + statistics.floodedCopies
            == statistics.txFrames + statistics.routedOut + drops
        }
      }
    }

    @Test(
      "ping, TCP and UDP, both ways, over both families", arguments: OverlayBed.Peer.allCases, [false, true])
    func traffic(peer: OverlayBed.Peer, overIPv6: Bool) throws {
      try withOverlay(peer, overIPv6: overIPv6) { bed in
        let (a, b) = (bed.containers[0], bed.containers[1])
        for (from, address) in [(a, OverlayBed.containers[1]), (b, OverlayBed.containers[0])] {
          #expect(try from.answering([address.ipv4, address.ipv6]) == [address.ipv4, address.ipv6])
        }
        for (from, to, address) in [(a, b, OverlayBed.containers[1]), (b, a, OverlayBed.containers[0])] {
          for target in [address.ipv4, address.ipv6] {
            let bytes = 20 * Self.megabyte
            let end = try Transfer(bytes: bytes, from: from, to: to, at: target).end()
            #expect(end.sent == end.received && end.received.hasPrefix("done \(bytes) "))
            try verifyDatagrams(5_000, from: from, to: to, at: target, longest: bed.payloadMax)
          }
        }
        try expectConservation(bed)
      }
    }

    @Test("bulk crosses in one piece", arguments: workerCounts)
    func onePiece(workers: Int) throws {
      try withOverlay(.martlet, workers: workers) { bed in
        let end = try Transfer(
          bytes: 50 * Self.megabyte, from: bed.containers[0], to: bed.containers[1], at: OverlayBed.containers[1].ipv4
        ).end()
        #expect(end.sent == end.received)
        let counters = try bed.daemon.endpoint(of: bed.containers[0], on: "lab").counters
        #expect(counters.rxBytes / counters.rxFrames > 4 * 1500)
        let wire = try bed.hosts[1].link(OverlayBed.wire).statistics.rx
        #expect(wire.bytes / wire.packets > 4 * 1500)
      }
    }

    /// How bulk leaves Martlet (`tunnel-segmentation`), and of what size it then is on the other host's wire and within its tunnel: many
    /// packets in one, or each alone.
    enum Segmentation: String, CaseIterable {
      case tunnel, datagrams, none

      var isWholeOnWire: Bool { self != .none }
      /// The kernel takes datagrams apart before it looks into them.
      var isWholeInTunnel: Bool { self == .tunnel }
    }

    @Test(
      "each way of segmentation brings every segment, once", arguments: Segmentation.allCases, [false, true])
    func segmentation(way: Segmentation, overIPv6: Bool) throws {
      try withOverlay(.kernel, overIPv6: overIPv6, segmentation: way.rawValue) { bed in
        func received(_ link: String) throws -> (bytes: UInt64, packets: UInt64) {
          let direction = try bed.hosts[1].link(link).statistics.rx
          return (direction.bytes, direction.packets)
        }
        for (from, to) in [(0, 1), (1, 0)] {
          for target in [OverlayBed.containers[to].ipv4, OverlayBed.containers[to].ipv6] {
            let before = (wire: try received(OverlayBed.wire), tunnel: try received("vx0"))
            let bytes = 10 * Self.megabyte
            let end = try Transfer(
              bytes: bytes, from: bed.containers[from], to: bed.containers[to], at: target, rate: 50 * Self.megabyte
            ).end()
            #expect(end.sent == end.received && end.received.hasPrefix("done \(bytes) "))
            try verifySegments(from: bed.containers[from], to: bed.containers[to], at: target)
            guard to == 1 else { continue }
            for (link, before, isWhole) in [
              (OverlayBed.wire, before.wire, way.isWholeOnWire), ("vx0", before.tunnel, way.isWholeInTunnel),
            ] {
              let after = try received(link)
              let mean = (after.bytes - before.bytes) / (after.packets - before.packets)
              #expect(isWhole ? mean > 4 * 1500 : mean <= 1514, "\(link): \(mean) bytes a packet")
            }
          }
        }
        for (index, container) in bed.containers.enumerated() {
          let (here, there) = (try container.counters(), try bed.containers[1 - index].counters())
          #expect(here["TcpInErrs"] == 0 && here["TcpInCsumErrors"] == 0 && here["UdpInErrors"] == 0)
          // What came twice to the other end was sent twice: under load a sender may do so for no loss.
          #expect(there["TcpExtTCPDSACKOldSent"]! + there["TcpExtTCPDSACKOfoSent"]! <= here["TcpRetransSegs"]!)
        }
        #expect(try bed.daemon.statistics("lab").drops.isEmpty)
        try expectConservation(bed)
      }
    }

    @Test(
      "a wire that takes single packets only, checksums summed", arguments: OverlayBed.Peer.allCases,
      ["", "udpcsum udp6zerocsumtx"])
    func plainCard(peer: OverlayBed.Peer, options: String) throws {
      try withOverlay(peer, offloads: false, options: options) { bed in
        for (from, to) in [(0, 1), (1, 0)] {
          let end = try Transfer(
            bytes: 20 * Self.megabyte, from: bed.containers[from], to: bed.containers[to],
            at: OverlayBed.containers[to].ipv4
          ).end()
          #expect(end.sent == end.received)
        }
        try expectConservation(bed)
      }
    }

    @Test("small datagrams that come one by one are gathered on their way to the container", arguments: [false, true])
    func gathered(inIPv6: Bool) throws {
      try withOverlay(.martlet, offloads: false) { bed in
        let (from, to) = (bed.containers[0], bed.containers[1])
        let target = inIPv6 ? OverlayBed.containers[1].ipv6 : OverlayBed.containers[1].ipv4
        try verifyDatagrams(5_000, from: from, to: to, at: target, longest: 300)
        let load = try Binaries.path("martlet-load")
        _ = try to.start(load, "sink", "7003", "--seconds", "60")
        try to.waitForSocket("udp", port: 7003)
        let (frames, datagrams) = (try to.link().statistics.rx.packets, try to.counters())
        try from.run(load, "flood", target, "7003", "--payload", "18", "--seconds", "1")
        let arrived = try to.counters()
        let name = inIPv6 ? "Udp6InDatagrams" : "UdpInDatagrams"
        let count = arrived[name]! - datagrams[name]!
        let written = Int(try to.link().statistics.rx.packets - frames)
        #expect(count > 1_000 && written < count / 2)
        #expect(arrived["UdpInCsumErrors"] == 0 && arrived["Udp6InCsumErrors"] == 0)
      }
    }

    @Test("jumbo frames", arguments: OverlayBed.Peer.allCases)
    func jumbo(peer: OverlayBed.Peer) throws {
      try withOverlay(peer, mtu: 9000) { bed in
        #expect(try bed.containers[0].link().mtu == 8950)
        let target = OverlayBed.containers[1].ipv4
        #expect(try bed.containers[0].reaches(target, options: "-s", "8922", "-M", "do"))
        try verifyDatagrams(5_000, from: bed.containers[0], to: bed.containers[1], at: target, longest: bed.payloadMax)
      }
    }

    @Test("what is too big for the tunnel is answered, and its sender sends less", arguments: [false, true])
    func tooBig(overIPv6: Bool) throws {
      try withOverlay(.martlet, overIPv6: overIPv6) { bed in
        let (a, target) = (bed.containers[0], OverlayBed.containers[1])
        for container in bed.containers { try container.run("ip", "link", "set", "eth0", "mtu", "9000") }
        let told = try a.attempt("ping", "-n", "-c", "1", "-W", "5", "-M", "do", "-s", "1500", target.ipv4)
        #expect(told.status == 1 && told.output.contains("Frag needed and DF set (mtu = \(bed.mtu))"))
        let toldOfIPv6 = try a.attempt("ping", "-n", "-c", "1", "-W", "5", "-M", "do", "-s", "1500", target.ipv6)
        #expect(toldOfIPv6.status == 1 && toldOfIPv6.output.contains("Packet too big: mtu=\(bed.mtu)"))
        for address in [target.ipv4, target.ipv6] {
          #expect(try a.run("ip", "route", "get", address).contains("mtu \(bed.mtu)"))
          #expect(try a.reaches(address, options: "-M", "dont", "-s", "4000"), "in fragments of its own")
        }
        #expect(try bed.daemon.endpoint(of: a, on: "lab").counters.drops["oversize"] == 2)
        // Of bulk, whose segments come uncut: each side has to learn it of the other.
        for (from, to) in [(0, 1), (1, 0)] {
          for address in [OverlayBed.containers[to].ipv4, OverlayBed.containers[to].ipv6] {
            for family in ["-4", "-6"] {
              for container in bed.containers { try container.run("ip", family, "route", "flush", "cache") }
            }
            let bytes = 5 * Self.megabyte
            let end = try Transfer(bytes: bytes, from: bed.containers[from], to: bed.containers[to], at: address).end()
            #expect(end.sent == end.received && end.received.hasPrefix("done \(bytes) "))
          }
        }
        #expect(try bed.daemon.endpoint(of: a, on: "lab").counters.drops["oversize", default: 0] > 2)
        try expectConservation(bed)
      }
    }

    @Test(
      "encrypted by WireGuard: bulk both ways, and nothing in clear on the wire",
      .enabled(if: WireGuardTunnel.isAvailable, "wireguard-tools and wireguard-go are not installed"),
      arguments: OverlayBed.Peer.allCases, [false, true])
    func encrypted(peer: OverlayBed.Peer, overIPv6: Bool) throws {
      try withOverlay(peer, overIPv6: overIPv6, isEncrypted: true) { bed in
        let tunnel = try #require(bed.tunnel)
        let others = "not (udp port \(WireGuardTunnel.port) or arp or icmp6 or ip6 multicast)"
        let watcher = try bed.hosts[1].start("tcpdump", "-n", "-l", "--immediate-mode", "-i", OverlayBed.wire, others)
        try eventually("tcpdump listens") { watcher.complaintSoFar.contains("listening on") }
        #expect(try bed.containers[0].link().mtu == bed.mtu)
        for (from, to) in [(0, 1), (1, 0)] {
          let before = try tunnel.sent(by: from)
          for target in [OverlayBed.containers[to].ipv4, OverlayBed.containers[to].ipv6] {
            let bytes = 5 * Self.megabyte
            let end = try Transfer(bytes: bytes, from: bed.containers[from], to: bed.containers[to], at: target).end()
            #expect(end.sent == end.received && end.received.hasPrefix("done \(bytes) "))
            let (sender, receiver) = (bed.containers[from], bed.containers[to])
            try verifyDatagrams(1_000, from: sender, to: receiver, at: target, longest: bed.payloadMax)
          }
          #expect(try tunnel.sent(by: from) - before > 10 * Self.megabyte)
        }
        watcher.signal(SIGINT)
        let seen = try watcher.succeed().split(separator: "\n")
        #expect(seen.isEmpty, "\(seen.count) packets, \(seen.first ?? "")")
        try expectConservation(bed)
        struct Shown: Decodable { var encrypted: Bool }
        #expect(try bed.daemon.ask(Shown.self, "overlay", "show", "lab").encrypted)
        let before = try bed.hosts[0].configuration()
        let clear = try bed.hosts[0].run("ip", "-o", "address", "show", "dev", OverlayBed.wire, "scope", "global")
        let local = clear.split(separator: " ").first { $0.contains("/") }!.prefix { $0 != "/" }
        let words = ["network", "create", "two", "--driver", "overlay", "-o", "local=\(local)", "-o", "encrypted"]
        let refused = try bed.daemon.attempt(words)
        #expect(refused.status == 1 && refused.complaint.contains("give the address of a WireGuard interface as local"))
        #expect(try bed.hosts[0].configuration() == before)
      }
    }

    @Test("what the other side sends is learned at its VTEP")
    func learning() throws {
      try withOverlay(.kernel) { bed in
        #expect(try bed.containers[0].reaches(OverlayBed.containers[1].ipv4))
        let mac = try bed.containers[1].link().address
        let entry = try bed.daemon.forwardingEntries("lab").first { $0.mac == mac }
        #expect(entry?.port.kind == "vtep" && entry?.port.address == bed.underlay[1])
      }
    }

    @Test("a frame of another VNI, or of a stranger, goes nowhere and is counted")
    func strangers() throws {
      try withOverlay(.kernel) { bed in
        try bed.hosts[1].batch(
          "link add vx1 type vxlan id 43 local \(bed.underlay[1]) remote \(bed.underlay[0]) dstport 4789",
          "link set vx1 up", "address add 10.43.0.2/24 dev vx1")
        #expect(try !bed.hosts[1].reaches("10.43.0.1"))
        try bed.daemon.martlet("overlay", "peer", "rm", "lab", bed.underlay[1])
        try bed.daemon.martlet("overlay", "peer", "add", "lab", "192.0.2.77")
        #expect(try !bed.containers[1].reaches(OverlayBed.containers[0].ipv4))
        struct Shown: Decodable {
          struct Counters: Decodable { var drops: [String: Int] }
          var counters: Counters
        }
        let drops = try bed.daemon.ask(Shown.self, "overlay", "show", "lab").counters.drops
        #expect(drops["vxlan_unknown_vni", default: 0] > 0)
        #expect(drops["vxlan_unknown_vtep", default: 0] > 0)
      }
    }

    @Test("a daemon that comes back, after kill -9 too, goes on", arguments: [SIGTERM, SIGKILL])
    func restart(signal: Int32) throws {
      try withOverlay(.kernel) { bed in
        let target = OverlayBed.containers[1].ipv4
        #expect(try bed.containers[0].reaches(target))
        _ = try bed.daemon.end(by: signal)
        if signal == SIGTERM {
          let left = try Set(bed.hosts[0].linkNames())
          #expect(left == ["lo", OverlayBed.wire], "the UDP port is free again")
        }
        try bed.daemon.start()
        try eventually("the overlay carries again") { try bed.containers[0].reaches(target) }
      }
    }

    @Test("an address of the loopback, announced by routes alone, is refused")
    func loopback() throws {
      try withDaemon { daemon in
        try daemon.namespace.run("ip", "address", "add", "10.255.0.1/32", "dev", "lo")
        let before = try daemon.namespace.configuration()
        let words = ["network", "create", "lab", "--driver", "overlay", "-o", "local=10.255.0.1"]
        let refused = try daemon.attempt(words)
        #expect(refused.status == 1 && refused.complaint.contains("is on interface lo: give one of the interface"))
        #expect(try daemon.namespace.configuration() == before)
      }
    }

    @Test("nothing is left behind")
    func unset() throws {
      try withOverlay(.kernel) { bed in
        let names = try bed.hosts[0].linkNames()
        #expect(names.contains { $0.hasPrefix("mtv") })
        try bed.daemon.martlet("overlay", "unset", "lab")
        let left = try Set(bed.hosts[0].linkNames())
        #expect(left == ["lo", OverlayBed.wire])
        #expect(try bed.hosts[0].run("tc", "qdisc", "show", "dev", OverlayBed.wire).contains("clsact") == false)
        #expect(try !bed.containers[0].reaches(OverlayBed.containers[1].ipv4))
      }
    }
  }
}
