import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("A veth end on a network")
  struct InterfacePorts {
    private static let megabyte = 1 << 20
    private static let broadcast = "ff:ff:ff:ff:ff:ff"
    private static let station = "02:00:00:00:00:51"

    /// What the attached end offers: all, or nothing, so that the switch has to cut and the kernel to sum.
    enum Offloads: String, CaseIterable { case on, off }

    @Test("TCP carries 50 MB each way unchanged", arguments: Offloads.allCases, workerCounts)
    func transfer(offloads: Offloads, workers: Int) throws {
      try withOutside(workers: workers) { bed in
        try bed.setFeatures(offloads.rawValue)
        try bed.attach()
        let bytes = 50 * Self.megabyte
        for (there, back) in [(Outside.ipv4, bed.endpoint.ipv4), (Outside.ipv6, bed.endpoint.ipv6)] {
          #expect(try bed.sandbox.reaches(there))
          let before = try bed.machine.link(Outside.far).statistics.rx
          let out = try Transfer(bytes: bytes, from: bed.sandbox, to: bed.machine, at: there).end()
          #expect(out.sent == out.received && out.received.hasPrefix("done \(bytes) "))
          let after = try bed.machine.link(Outside.far).statistics.rx
          let mean = (after.bytes - before.bytes) / (after.packets - before.packets)
          #expect(offloads == .on ? mean > 4 * 1500 : mean <= 1514, "frames of \(mean) bytes")
          let home = try Transfer(bytes: bytes, from: bed.machine, to: bed.sandbox, at: back).end()
          #expect(home.sent == home.received && home.received.hasPrefix("done \(bytes) "))
        }
        try bed.settle()
      }
    }

    @Test("UDP datagrams arrive once, whole and in order", arguments: Offloads.allCases, [false, true])
    func datagrams(offloads: Offloads, overIPv6: Bool) throws {
      struct Figures: Decodable { var received, lost, duplicated, reordered, corrupted, foreign: Int }
      try withOutside { bed in
        try bed.setFeatures(offloads.rawValue)
        try bed.attach()
        let load = try Binaries.path("martlet-load")
        let outside = overIPv6 ? Outside.ipv6 : Outside.ipv4
        let inside = overIPv6 ? bed.endpoint.ipv6 : bed.endpoint.ipv4
        for (sender, receiver, address) in [(bed.sandbox, bed.machine, outside), (bed.machine, bed.sandbox, inside)] {
          #expect(try sender.reaches(address))
          // Of one size: gathered into segmented frames on the way.
          let options = ["--count", "10000", "--longest", "1400"]
          let check = try receiver.start([load, "verify-receive", "7001"] + options)
          try receiver.waitForSocket("udp", port: 7001)
          try sender.run([load, "verify-send", address, "7001", "--rate", "10000"] + options)
          let figures = try JSONDecoder().decode(Figures.self, from: Data(check.succeed().utf8))
          #expect(figures.received == 10_000 && figures.lost == 0 && figures.duplicated == 0)
          #expect(figures.reordered == 0 && figures.corrupted == 0 && figures.foreign == 0)
        }
        try bed.settle()
      }
    }

    @Test("offloads that change under way are noticed, and no byte is lost")
    func changedOffloads() throws {
      try withOutside { bed in
        try bed.attach()
        let bytes = 60 * Self.megabyte
        let transfer = try Transfer(
          bytes: bytes, from: bed.sandbox, to: bed.machine, at: Outside.ipv4, rate: 10 * Self.megabyte)
        for state in ["off", "on", "off"] {
          let before = transfer.received
          try bed.setFeatures(state)
          try eventually("the transfer goes on") { transfer.received > before + 5 * Self.megabyte }
        }
        let end = try transfer.end()
        #expect(end.sent == end.received && end.received.hasPrefix("done \(bytes) "))
      }
    }

    @Test("VLAN tags are kept both ways", arguments: workerCounts)
    func tags(workers: Int) throws {
      try withOutside(workers: workers) { bed in
        try bed.attach()
        let last = RawFrame(to: Self.broadcast, from: Self.station, payload: Array("last".utf8))
        let frames = [
          [(0x8100, 0x002A)], [(0x8100, 0xE000)], [(0x88A8, 0x0007)], [(0x88A8, 0x0007), (0x8100, 0x6FFE)],
        ]
        .map { RawFrame(to: Self.broadcast, from: Self.station, tags: $0, payload: Array("tagged".utf8)) }
        let full = RawFrame(
          to: Self.broadcast, from: Self.station, tags: [(0x8100, 0x002A)], payload: Array(repeating: 0xA5, count: 1500)
        )
        for (sender, receiver) in [(bed.sandbox, bed.machine), (bed.machine, bed.sandbox)] {
          let capture = try Capture(at: receiver)
          try sender.send(frames + [full, last])
          for frame in frames + [full, last] { try capture.wait(for: frame) }
          expectArrival(of: frames + [full], in: capture, workers: workers)
        }
      }
    }

    @Test("floods both ways: every frame is sent or counted as dropped, those that the socket had no room for too")
    func conservation() throws {
      try withOutside { bed in
        try bed.attach()
        let load = try Binaries.path("martlet-load")
        for target in [bed.sandbox, bed.machine] {
          _ = try target.start(load, "sink", "7001", "--seconds", "60")
          try target.waitForSocket("udp", port: 7001)
        }
        for address in ["10.8.0.98", "10.8.0.99"] {
          let mac = address.hasSuffix("98") ? Self.broadcast : "02:00:00:00:00:99"
          try bed.machine.run("ip", "neigh", "add", address, "lladdr", mac, "nud", "permanent", "dev", Outside.far)
        }
        let flood = [load, "flood", "--seconds", "3"]
        let running = [
          try bed.machine.start(flood + [bed.endpoint.ipv4, "7001"]),
          try bed.machine.start(flood + ["10.8.0.98", "7001"]),
          try bed.machine.start(flood + ["10.8.0.99", "7001", "--payload", "1400"]),
          try bed.sandbox.start(flood + [Outside.ipv4, "7001"]),
        ]
        for program in running { try program.succeed() }
        try bed.settle()
        #expect(try bed.port().counters.rxFrames > 10_000, "that was no flood")
      }
    }

    @Test("an interface that is deleted is missing, and attached again when it is back")
    func recreated() throws {
      try withOutside { bed in
        try bed.attach()
        #expect(try bed.sandbox.reaches(Outside.ipv4))
        #expect(try bed.port().state == "up")
        let entries = try bed.daemon.forwardingEntries("lab").filter { $0.port.kind == "interface" }
        #expect(entries.map(\.port) == [ForwardingPort(kind: "interface", interface: Outside.near)])
        try bed.daemon.namespace.run("ip", "link", "del", Outside.near)
        try eventually("it is missing") { try bed.port().state == "missing" }
        #expect(try bed.daemon.forwardingEntries("lab").allSatisfy { $0.port.kind != "interface" })
        #expect(try !bed.sandbox.reaches(Outside.ipv4, count: 1))
        try bed.makePair()
        try eventually("it is back") { try bed.port().state == "up" }
        #expect(try bed.sandbox.reaches(Outside.ipv4) && bed.sandbox.reaches(Outside.ipv6))
      }
    }

    @Test("an interface that was down goes on when it is up again")
    func downAndUp() throws {
      try withOutside { bed in
        try bed.attach()
        #expect(try bed.sandbox.reaches(Outside.ipv4))
        try bed.daemon.namespace.run("ip", "link", "set", Outside.near, "down")
        #expect(try bed.port().state == "down")
        try bed.daemon.namespace.run("ip", "link", "set", Outside.near, "up")
        #expect(try bed.sandbox.reaches(Outside.ipv4))
        #expect(try bed.port().state == "up")
      }
    }

    @Test("ports outlive the daemon; a detached interface is as it was before", arguments: [SIGTERM, SIGKILL])
    func restart(signal: Int32) throws {
      func isUp(_ bed: Outside) throws -> Bool {
        try bed.daemon.namespace.run("ip", "link", "show", Outside.near).contains(",UP")
      }
      try withOutside { bed in
        #expect(try !isUp(bed))
        try bed.attach()
        try bed.daemon.martlet("fdb", "add", "lab", "02:00:00:00:00:77", Outside.near)
        try bed.daemon.end(by: signal)
        #expect(try isUp(bed))
        try bed.daemon.start()
        #expect(try bed.port().state == "up")
        #expect(try bed.sandbox.reaches(Outside.ipv4))
        #expect(try bed.daemon.forwardingEntries("lab").contains { $0.mac == "02:00:00:00:00:77" })
        try bed.daemon.martlet("port", "detach", "lab", Outside.near)
        #expect(try !isUp(bed))
        #expect(try bed.daemon.ask([InterfacePort].self, "port", "ls").isEmpty)
        try bed.attach()
        try bed.daemon.purge()
        #expect(try !isUp(bed))
      }
    }

    @Test("what cannot be attached is refused, and says why")
    func refusals() throws {
      try withOutside { bed in
        try bed.daemon.namespace.run("ip", "link", "add", "br0", "type", "bridge")
        try bed.daemon.namespace.run("ip", "link", "set", Outside.near, "master", "br0")
        try bed.daemon.namespace.run("ip", "tuntap", "add", "tun0", "mode", "tun")
        let gateway = try bed.daemon.network("lab").gatewayInterface!
        let before = try bed.daemon.namespace.configuration()
        func refusal(_ words: String...) throws -> String {
          let outcome = try bed.daemon.attempt(words)
          #expect(outcome.status == 1 && outcome.complaint.split(separator: "\n").count == 1)
          return outcome.complaint
        }
        #expect(try refusal("port", "attach", "lab", Outside.near).contains("ip link set \(Outside.near) nomaster"))
        #expect(try refusal("port", "attach", "lab", "lo").contains("no Ethernet frames"))
        #expect(try refusal("port", "attach", "lab", "tun0").contains("no Ethernet frames"))
        #expect(try refusal("port", "attach", "lab", "none0").contains("no interface"))
        #expect(try refusal("port", "attach", "lab", gateway).contains("Martlet's own"))
        #expect(try refusal("port", "detach", "lab", Outside.near).contains("is not on network lab"))
        #expect(try bed.daemon.namespace.configuration() == before)
        try bed.daemon.namespace.run("ip", "link", "set", Outside.near, "nomaster")
        try bed.attach()
        #expect(try refusal("port", "attach", "lab", Outside.near).contains("on network lab already"))
        #expect(try refusal("network", "rm", "lab").contains("in use"))
      }
    }
  }
}
