import Wire

private let packetCount = 1024
/// From one packet to the next, in bytes.
private let stride = 256
private let updateCount = 1 << 14

/// TCP and UDP over IPv4, in turn.
private func packets() -> [UInt8] {
  var all: [UInt8] = []
  var random = SeededGenerator(state: 1)
  for index in 0..<packetCount {
    let isTCP = index % 2 == 0
    var packet: [UInt8] = [2, 0, 0, 0, 0, 0x0B, 2, 0, 0, 0, 0, 0x1A, 8, 0]
    packet += [0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, isTCP ? 6 : 17, 0, 0, 10, 0, 0, UInt8(index & 0xFF), 10, 0, 1, 2]
    packet += (0..<4).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    packet += isTCP ? [0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10] : [0, 40, 0, 0]
    all += packet + [UInt8](repeating: 0, count: stride - packet.count)
  }
  return all
}

/// Ethernet to ports, as a policy on flows would.
@inline(never)
private func parse(_ bytes: RawSpan) -> UInt64 {
  var sum: UInt64 = 0
  for index in 0..<packetCount {
    guard let frame = EthernetView(bytes.extracting(index &* stride..<index &* stride &+ 98)),
      let payload = EthernetPayload(frame), payload.etherType == .ipv4, let packet = IPv4View(payload.bytes)
    else { continue }
    sum &+= UInt64(packet.source.bits ^ packet.destination.bits)
    switch packet.protocol {
    case .tcp:
      guard let segment = TCPView(packet.payload) else { continue }
      sum &+= UInt64(segment.sourcePort) << 16 | UInt64(segment.destinationPort)
    case .udp:
      guard let datagram = UDPView(packet.payload) else { continue }
      sum &+= UInt64(datagram.sourcePort) << 16 | UInt64(datagram.destinationPort)
    default: continue
    }
  }
  return sum
}

/// From a place that is another each time, so that all alignments come.
@inline(never)
private func checksums(_ bytes: RawSpan, length: Int) -> UInt64 {
  var sum: UInt64 = 0
  for index in 0..<packetCount {
    let start = index & 63
    var checksum = InternetChecksum()
    checksum.add(bytes.extracting(start..<start &+ length))
    sum &+= UInt64(checksum.value)
  }
  return sum
}

@inline(never)
private func updates(_ first: UInt16) -> UInt16 {
  var checksum = first
  for index in 0..<UInt32(updateCount) { checksum = InternetChecksum.updated(checksum, from: index, to: index &* 3) }
  return checksum
}

private func checksumCase(_ length: Int) -> MicroCase {
  MicroCase("checksum, \(length) bytes", operations: packetCount, prepare: packets) {
    keep(checksums($0.span.bytes, length: length))
  }
}

/// A segmented TCP frame of 64 KB, over IPv4.
private let segmentSize = 1448
private let segmentedFrame: [UInt8] = {
  let payload = 45 * segmentSize
  let total = 52 + payload
  var frame: [UInt8] = [2, 0, 0, 0, 0, 0x0B, 2, 0, 0, 0, 0, 0x1A, 8, 0]
  frame += [0x45, 0, UInt8(total >> 8), UInt8(total & 0xFF), 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
  frame += [0x9C, 0x40, 0x14, 0x51, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x18, 1, 0, 0, 0, 0, 0]
  return frame + [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1] + [UInt8](repeating: 0x5A, count: payload)
}()

/// Cuts the frame apart: the headers of all its segments.
@inline(never)
private func segment(_ bytes: RawSpan, _ checksum: Segmenter.Checksum, to memory: UnsafeMutableRawBufferPointer)
  -> UInt64
{
  let header = VirtioNetHeader(
    flags: .needsChecksum, segmentation: .tcp4, headerLength: 66, segmentSize: UInt16(segmentSize), checksumStart: 34,
    checksumOffset: 16)
  guard let segmenter = Segmenter(header, bytes) else { return 0 }
  for index in 0..<segmenter.count { segmenter.writeHeaders(of: index, checksum: checksum, to: memory) }
  return UInt64(segmenter.count)
}

private func segmentCase(_ name: String, _ checksum: Segmenter.Checksum) -> MicroCase {
  MicroCase(name, operations: 45, prepare: { segmentedFrame }) { frame in
    withUnsafeTemporaryAllocation(byteCount: Segmenter.headersLengthMax, alignment: 8) { memory in
      keep(segment(frame.span.bytes, checksum, to: memory))
    }
  }
}

var wireCases: [MicroCase] {
  [
    MicroCase("parse Ethernet, IPv4, TCP or UDP", operations: packetCount, prepare: packets) {
      keep(parse($0.span.bytes))
    },
    checksumCase(20),
    checksumCase(1500),
    MicroCase("checksum, update by 32 bits", operations: updateCount) {
      UInt16(1)
    } body: { checksum in
      checksum = updates(checksum)
      keep(UInt64(checksum))
    },
    segmentCase("segment, headers, checksum partial", .partial),
    segmentCase("segment, headers, checksum complete", .complete),
  ]
}
