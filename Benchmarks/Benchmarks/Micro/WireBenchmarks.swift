import Benchmark
import Wire

private let packetCount = 1024
/// From one packet to the next, in bytes.
private let stride = 256
private let rounds = 100

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

@inline(never)
private func checksum(_ bytes: RawSpan) -> UInt16 {
  var checksum = InternetChecksum()
  checksum.add(bytes)
  return checksum.value
}

func registerWire() {
  register("parse Ethernet, IPv4, TCP or UDP", operations: packetCount * rounds) {
    packets()
  } run: { packets in
    for _ in 0..<rounds { blackHole(parse(packets.span.bytes)) }
  }
  for length in [20, 1500] {
    register("checksum of \(length) bytes", operations: packetCount * rounds) {
      packets()
    } run: { packets in
      for index in 0..<packetCount * rounds {
        let start = index & 63
        blackHole(checksum(packets.span.bytes.extracting(start..<start + length)))
      }
    }
  }
  register("checksum update of 32 bits", operations: packetCount * rounds) {
    UInt16(1)
  } run: { checksum in
    for index in 0..<UInt32(packetCount * rounds) {
      checksum = InternetChecksum.updated(checksum, from: index, to: index &* 3)
    }
    blackHole(checksum)
  }
}
