import CLinux
import Datapath
import Glibc
import Support
import SystemCalls
import Testing
import Wire

@testable import LinuxIO

/// Segmented frames on interfaces whose device takes none. The kernel that cuts the same frame apart says what is right.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct SegmentationTests {
  /// A super frame with its virtio-net header, headers and payload at random.
  static func superFrame(_ random: inout SeededGenerator) -> [UInt8] {
    let (isTCP, isIPv6) = (random.below(2) == 0, random.below(2) == 0)
    let payload = (0..<(1 + random.below(20_000))).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let options = [UInt8](repeating: 1, count: isTCP ? 4 * random.below(11) : 0)
    let transportLength = (isTCP ? 20 : 8) + options.count + payload.count
    let ipOptions = [UInt8](repeating: 1, count: isIPv6 ? 0 : 4 * random.below(11))
    let extensions: [UInt8] = isIPv6 && random.below(2) == 0 ? [isTCP ? 6 : 17, 0, 1, 4, 0, 0, 0, 0] : []
    let `protocol` = IPProtocol(rawValue: isTCP ? 6 : 17)
    let network: [UInt8]
    let sum: UInt16
    if isIPv6 {
      let (source, destination) = (IPv6Address("fd00::1")!, IPv6Address("fd00::2")!)
      let next: UInt8 = extensions.isEmpty ? `protocol`.rawValue : 60
      let length = bytes(UInt16(extensions.count + transportLength))
      network = [0x60, 1, 2, 3] + length + [next, 64] + source.bytes + destination.bytes + extensions
      sum =
        InternetChecksum(
          source: source, destination: destination, protocol: `protocol`, length: transportLength
        ).partial
    } else {
      let (source, destination) = (IPv4Address("10.0.0.1")!, IPv4Address("10.0.0.2")!)
      let length = bytes(UInt16(20 + ipOptions.count + transportLength))
      let identification = bytes(UInt16(truncatingIfNeeded: random.next()))
      network =
        [0x45 + UInt8(ipOptions.count / 4), 0] + length + identification + [0x40, 0, 64, `protocol`.rawValue, 0, 0]
        + source.bytes + destination.bytes + ipOptions
      sum =
        InternetChecksum(
          source: source, destination: destination, protocol: `protocol`, length: transportLength
        ).partial
    }
    let flags = UInt8([0x10, 0x18, 0x11, 0x90, 0x99][random.below(5)])
    let sequence = (0..<4).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let transport: [UInt8] =
      isTCP
      ? [0x9C, 0x40, 0, 80] + sequence + [0, 0, 0, 1, UInt8(5 + options.count / 4) << 4, flags, 1, 0] + bytes(sum)
        + [0, 0] + options
      : [0x9C, 0x40, 0x1B, 0x58] + bytes(UInt16(transportLength)) + bytes(sum)
    let type: [UInt8] = isIPv6 ? [0x86, 0xDD] : [0x08, 0x00]
    let frame = Array(PacketSocketTests.frame()[..<12]) + type + network + transport + payload
    // At most 128 datagrams (UDP_MAX_SEGMENTS of linux/udp.h); more than one, or the kernel refuses.
    let size = max(8, payload.count / 100 + random.below(1400))
    let kind: UInt8 = isTCP ? (isIPv6 ? 4 : 1) | (flags & 0x80) : 5
    var message = [UInt8](repeating: 0, count: VirtioNetHeader.length)
    message.withUnsafeMutableBytes {
      VirtioNetHeader(
        flags: .needsChecksum, segmentation: VirtioNetHeader.Segmentation(rawValue: kind),
        headerLength: UInt16(frame.count - payload.count), segmentSize: UInt16(min(size, max(1, payload.count - 1))),
        checksumStart: UInt16(14 + network.count), checksumOffset: isTCP ? 16 : 6
      ).store(to: $0.baseAddress!)
    }
    return message + frame
  }

  static func bytes(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }

  /// At least `count` frames of a packet socket, and all that have come by then. The kernel may deliver what was sent
  /// a while later, on a thread of its own.
  static func receive(_ count: Int, from socket: Int32) -> [[UInt8]] {
    var frames: [[UInt8]] = []
    var buffer = [UInt8](repeating: 0, count: 70_000)
    while true {
      let length = recv(socket, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      if length >= 0 {
        frames.append(Array(buffer[..<length]))
        continue
      }
      var request = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
      guard frames.count < count, poll(&request, 1, patienceMilliseconds) > 0 else { return frames }
    }
  }

  private static let patienceMilliseconds: Int32 = 10_000

  /// How many segments a super frame comes to.
  static func segmentCount(_ message: [UInt8]) -> Int {
    let header = Int(message[2]) | Int(message[3]) << 8
    let size = Int(message[4]) | Int(message[5]) << 8
    return (message.count - header - VirtioNetHeader.length + size - 1) / size
  }

  /// - Parameter checksums: the device completes checksums; else the kernel does, as it sends.
  @Test(arguments: [true, false]) func `segments are the kernel's own`(checksums: Bool) throws {
    let cable = try Cable()
    for end in ["left", "right"] { try cable.ip("link", "set", end, "mtu", "9000") }
    try cable.features(of: "left", "tso", "off", "tx-udp-segmentation", "off", "tx", checksums ? "on" : "off")
    let sender = try cable.socket("left").release()[0]
    let receiver = try cable.socket("right").release()[0]
    // Without the bypass, the kernel cuts apart what the device does not take.
    let kernel = try cable.socket("left").release()[0]
    var off: Int32 = 0
    setsockopt(kernel, SOL_PACKET, PACKET_QDISC_BYPASS, &off, socklen_t(MemoryLayout<Int32>.size))
    defer { for socket in [sender, receiver, kernel] { close(socket) } }
    let segments = SegmentSender()
    var random = SeededGenerator(seed: checksums ? 1 : 2)
    var compared = 0
    for round in 0..<100 {
      var frame = Self.superFrame(&random)
      guard write(kernel, frame, frame.count) == frame.count else { continue }
      let count = Self.segmentCount(frame)
      let expected = Self.receive(count, from: receiver)
      let result = frame.withUnsafeMutableBytes { memory in
        segments.send(
          FrameDescriptor(start: memory.baseAddress!, length: UInt32(memory.count), port: 0, buffer: 0), to: sender)
      }
      #expect(result == frame.count, "round \(round)")
      let made = Self.receive(count, from: receiver)
      #expect(made.count == expected.count, "round \(round)")
      let difference = zip(made, expected).first { $0 != $1 }.map { ($0.prefix(100), $1.prefix(100)) }
      #expect(difference == nil, "round \(round)")
      if expected.count > 1 { compared += 1 }
    }
    #expect(compared > 80)
  }

  /// What the device does not take is refused by the kernel where the queueing discipline is bypassed: the reason for all this.
  @Test func `a device that lacks the feature drops the frame whole`() throws {
    let cable = try Cable()
    try cable.features(of: "left", "tso", "off")
    let sender = try cable.socket("left").release()[0]
    defer { close(sender) }
    var random = SeededGenerator(seed: 3)
    let frame = Self.plainTCP(&random)
    #expect(write(sender, frame, frame.count) == -1 && errno == ENOBUFS)
  }

  /// TCP over IPv4, without the ECN bit.
  static func plainTCP(_ random: inout SeededGenerator) -> [UInt8] {
    while true {
      let frame = superFrame(&random)
      if frame[1] == 1 { return frame }
    }
  }

  @Test func `order is kept between segments and whole frames`() throws {
    let bed = try PacketSocketTests.Bed()
    var random = SeededGenerator(seed: 4)
    for number in UInt8(0)..<50 {
      var message = Self.plainTCP(&random)
      // No larger than the interface's MTU takes.
      (message[4], message[5]) = (0x4C, 0x04)
      let mark = PacketSocketTests.frame([UInt8](repeating: number, count: 60))
      bed.near.send(message: message)
      bed.near.send(mark)
      for _ in 0..<Self.segmentCount(message) {
        let segment = try #require(bed.far.receive())
        #expect(segment[12] == 0x08)
      }
      #expect(bed.far.receive() == mark)
    }
    #expect(bed.fabric[bed.left, .txFrames] == 100)
  }

  @Test func `what cannot be cut is dropped as malformed`() throws {
    let bed = try PacketSocketTests.Bed()
    var random = SeededGenerator(seed: 5)
    var message = Self.superFrame(&random)
    // csum_start points elsewhere.
    message[6] &+= 1
    bed.near.send(message: message)
    let next = PacketSocketTests.frame()
    bed.near.send(next)
    #expect(bed.far.receive() == next)
    #expect(bed.fabric.drops(bed.left, .malformed) == 1)
  }

  @Test func `a device that is told to take all gets all`() throws {
    let bed = try PacketSocketTests.Bed(mtu: 9000, left: .all, right: .all)
    var random = SeededGenerator(seed: 6)
    for _ in 0..<50 {
      let message = Self.superFrame(&random)
      bed.near.send(message: message)
      #expect(bed.far.receiveMessage()?.dropFirst(10) == message.dropFirst(10))
    }
    bed.fabric.changePort(bed.left, PortOptions(offloads: PacketSocketTests.none))
    var message = Self.superFrame(&random)
    while message.count < 10_000 { message = Self.superFrame(&random) }
    bed.near.send(message: message)
    #expect(try #require(bed.far.receive()).count < 9_000)
  }
}
