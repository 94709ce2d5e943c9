import CLinux
import Datapath
import Glibc
import SystemCalls
import Testing
import Wire

@testable import LinuxIO

/// Ports on veth ends, with real rings and the real kernel between them.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct PacketSocketTests {
  static let none = SegmentationOffloads(kinds: [], frameBytesMax: 65535, takesTagged: false)

  /// Two networks that a cable joins: what comes in by `near` leaves by `far`, and the other way round.
  final class Bed {
    let cable: Cable
    let fabric: Switch
    let near = SocketPort()
    let far = SocketPort()
    let networks: [NetworkHandle]
    let left: PortHandle
    let right: PortHandle

    init(
      _ mode: WorkerOptions.ReadMode = .automatic, workers: Int = 1, queues: Int = 1, mtu: Int = 1500,
      left: SegmentationOffloads = none, right: SegmentationOffloads = none
    ) throws {
      cable = try Cable()
      let fabric = try Switch(workers: workers, SwitchTests.options(mode))
      self.fabric = fabric
      networks = [
        try fabric.addNetwork(NetworkOptions(mtu: mtu)), try fabric.addNetwork(NetworkOptions(mtu: mtu)),
      ]
      _ = try fabric.addPort(queues: near.queue(), to: networks[0], PortOptions())
      _ = try fabric.addPort(queues: far.queue(), to: networks[1], PortOptions())
      self.left = try fabric.addPort(
        queues: cable.socket("left", queues: queues), to: networks[0], PortOptions(offloads: left))
      self.right = try fabric.addPort(
        queues: cable.socket("right", queues: queues), to: networks[1], PortOptions(offloads: right))
    }

    deinit { fabric.stop() }
  }

  static let tags: [[UInt8]] = [
    [], [0x81, 0x00, 0xB0, 0x64], [0x88, 0xA8, 0x00, 0xC8], [0x88, 0xA8, 0x00, 0xC8, 0x81, 0x00, 0x71, 0x2C],
  ]

  /// Both addresses, as `frame` has them, and the type of IPv4.
  static let ipv4Header = Array(frame()[..<12]) + [0x08, 0x00]

  static func frame(tag: [UInt8] = [], _ payload: [UInt8] = Array(0..<50)) -> [UInt8] {
    MACAddress(bits: 0x02_00_00_00_00_0B).bytes + MACAddress(bits: 0x02_00_00_00_00_0A).bytes + tag + [0x88, 0xB5]
      + payload
  }

  @Test(arguments: SwitchTests.modes, tags) func `frames cross whole, tags too`(
    mode: WorkerOptions.ReadMode, tag: [UInt8]
  ) throws {
    let bed = try Bed(mode)
    // Of tags, the kernel's packet sockets give only one of 802.1Q room beyond the MTU (packet_extra_vlan_len_allowed).
    let sizeMax = tag.count > 4 || tag.first == 0x88 ? 1500 - tag.count : 1500
    for size in [46, 100, sizeMax] {
      let frame = Self.frame(tag: tag, (0..<size).map { UInt8(truncatingIfNeeded: $0) })
      bed.near.send(frame)
      #expect(bed.far.receive() == frame)
      bed.far.send(frame)
      #expect(bed.near.receive() == frame)
    }
    // Each frame was received twice and sent twice, once at each end of the cable.
    try eventually { bed.fabric[bed.right, .txFrames] >= 3 }
    #expect(bed.fabric[bed.left, .txFrames] == 3 && bed.fabric[bed.right, .rxFrames] == 3)
    #expect(bed.fabric[bed.right, .txFrames] == 3 && bed.fabric[bed.left, .rxFrames] == 3)
  }

  /// Several sockets share out the frames of one interface: each comes once.
  @Test(.enabled(if: Switch.processorCount > 1)) func `queues have each frame once`() throws {
    let bed = try Bed(workers: 2, queues: 2)
    for port in UInt8(0)..<100 {
      // UDP from another port each: the kernel shares out by flow.
      let header: [UInt8] = [0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 17, 0x66, 0xCB, 10, 0, 0, 1, 10, 0, 0, 2]
      let datagram: [UInt8] = [0x10, port, 0x10, 0x01, 0, 12, 0, 0, 1, 2, 3, port]
      let frame = Self.ipv4Header + header + datagram + [UInt8](repeating: 0, count: 14)
      bed.near.send(frame)
      #expect(bed.far.receive() == frame)
    }
    #expect(bed.fabric[bed.right, .rxFrames] == 100)
    #expect(bed.far.isEmpty && bed.near.isEmpty)
  }

  @Test func `what is longer than the interface's MTU is dropped as oversize`() throws {
    let bed = try Bed(mtu: 9000)
    bed.near.send(Self.frame([UInt8](repeating: 1, count: 1501)))
    let fits = Self.frame([UInt8](repeating: 2, count: 1500))
    bed.near.send(fits)
    #expect(bed.far.receive() == fits)
    try eventually { bed.fabric.drops(bed.left, .oversize) + bed.fabric[bed.left, .txFrames] >= 2 }
    #expect(bed.fabric.drops(bed.left, .oversize) == 1)
  }

  @Test(arguments: SwitchTests.modes) func `goes on when the interface was down`(mode: WorkerOptions.ReadMode)
    async throws
  {
    let bed = try Bed(mode)
    let (troubled, continuation) = AsyncStream<PortHandle>.makeStream()
    bed.fabric.onPortLost { continuation.yield($0) }
    let frame = Self.frame()
    for _ in 0..<3 {
      try bed.cable.ip("link", "set", "left", "down")
      #expect(await troubled.first { _ in true } == bed.left)
      let before = bed.fabric.drops(bed.left, .portDown)
      bed.near.send(frame)
      try eventually { bed.fabric.drops(bed.left, .portDown) > before }
      try bed.cable.ip("link", "set", "left", "up")
      bed.near.send(frame)
      #expect(bed.far.receive() == frame)
      bed.far.send(frame)
      #expect(bed.near.receive() == frame)
    }
  }

  @Test func `an interface that is deleted is reported, and the port can be removed`() async throws {
    let bed = try Bed()
    let (troubled, continuation) = AsyncStream<PortHandle>.makeStream()
    bed.fabric.onPortLost { continuation.yield($0) }
    try bed.cable.ip("link", "del", "left")
    var seen: Set<PortHandle> = []
    for await port in troubled where seen.insert(port).inserted && seen.count == 2 { break }
    #expect(seen == [bed.left, bed.right])
    bed.near.send(Self.frame())
    try eventually { bed.fabric.drops(bed.left, .portDown) > 0 }
    bed.fabric.removePort(bed.left)
    #expect(bed.fabric.gone(bed.networks[0], .drops, .portDown) == 1)
  }

  /// A worker that is held up: the kernel drops what its socket has no room for, and not one frame goes uncounted.
  @Test(arguments: SwitchTests.modes) func `overruns are counted`(mode: WorkerOptions.ReadMode) throws {
    let bed = try Bed(mode)
    let sender = try bed.cable.socket("left").release()[0]
    defer { close(sender) }
    let frame = [UInt8](repeating: 0, count: 10) + Self.frame([UInt8](repeating: 7, count: 1486))
    var sent: UInt64 = 0
    bed.fabric.ask(0) { _ in
      // Twice what the socket's buffer holds.
      while sent < 2 * UInt64(2 * PacketSocket.receiveBufferBytes) / 1500 {
        if write(sender, frame, frame.count) == frame.count { sent += 1 }
      }
    }
    try eventually { bed.fabric[bed.right, .rxFrames] >= sent }
    #expect(bed.fabric[bed.right, .rxFrames] == sent)
    let lost = bed.fabric.drops(bed.right, .receiveQueueFull)
    #expect(lost > 0 && lost < sent)
  }

  /// A frame for IP fragmentation (UFO), which only a TAP's writer can still make: virtio-net has no word for it towards a
  /// packet socket, whose recvmsg fails with EINVAL.
  @Test(arguments: SwitchTests.modes) func `what virtio-net cannot express is counted, and the next one comes`(
    mode: WorkerOptions.ReadMode
  ) throws {
    let bed = try Bed(mode)
    let tap = try bed.cable.inside { try TAPDevice(name: "tap0").release() }
    try bed.cable.ip("link", "set", "tap0", "addrgenmode", "none", "up")
    let port = try bed.fabric.addPort(queues: bed.cable.socket("tap0"), to: bed.networks[0], PortOptions())
    let payload = [UInt8](repeating: 9, count: 4000)
    let header: [UInt8] = [0x45, 0, 0x0F, 0xBC, 0, 0, 0, 0, 64, 17, 0x57, 0x3F, 10, 0, 0, 1, 10, 0, 0, 2]
    let datagram: [UInt8] = [0x10, 0, 0x10, 1, 0x0F, 0xA8, 0, 0] + payload
    let frame = Self.ipv4Header + header + datagram
    // NEEDS_CSUM, GSO_UDP, hdr_len 42, gso_size 1480, csum_start 34, csum_offset 6.
    let message = [1, 3, 42, 0, 0xC8, 0x05, 34, 0, 6, 0] + frame
    #expect(write(tap.numbers[0], message, message.count) == message.count)
    let next = Self.frame()
    let plain = [UInt8](repeating: 0, count: 10) + next
    #expect(write(tap.numbers[0], plain, plain.count) == plain.count)
    #expect(bed.near.receive() == next)
    #expect(bed.fabric.drops(port, .unsupportedOffload) == 1)
    #expect(bed.fabric[port, .rxFrames] == 2)
  }
}
