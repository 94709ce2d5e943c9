/// A UDP datagram over IPv4 from one of many sources (RFC 791 section 3.1, RFC 768).
struct SessionDatagram {
  /// Ports that each source address has, from `firstPort` on.
  static let portsEach = 16_384
  private static let firstPort = 20_000
  private static let (ipBytes, udpBytes) = (20, 8)
  private static let udp: UInt8 = 17

  /// In host order, as all of them.
  let destination: UInt32
  let port: UInt16
  let firstSource: UInt32
  let payload: Int

  /// Bytes of the packet, IP header and all.
  var count: Int { Self.ipBytes + Self.udpBytes + payload }

  /// All numbers below `count`, each once, and no two neighbours in turn: what follows is not in the cache already.
  ///
  /// The factor is a prime above any count, so that no two of `count` consecutive turns meet.
  static func scattered(_ turn: UInt64, among count: Int) -> Int { Int(turn &* 2_654_435_761 % UInt64(count)) }

  func address(ofSource index: Int) -> UInt32 { firstSource &+ UInt32(index / Self.portsEach) }
  func port(ofSource index: Int) -> UInt16 { UInt16(Self.firstPort + index % Self.portsEach) }

  /// The kernel fills in the checksum of the IP header (raw(7)); the payload is as it was.
  func write(source index: Int, into packet: UnsafeMutableRawBufferPointer) {
    let (source, sourcePort) = (address(ofSource: index), port(ofSource: index))
    let length = UInt16(Self.udpBytes + payload)
    packet.storeBytes(of: UInt32(0x4500_0000 | UInt32(count)).bigEndian, toByteOffset: 0, as: UInt32.self)
    packet.storeBytes(of: UInt32(0x0000_4000).bigEndian, toByteOffset: 4, as: UInt32.self)  // don't fragment
    packet.storeBytes(of: UInt32(0x4000_0000 | UInt32(Self.udp) << 16).bigEndian, toByteOffset: 8, as: UInt32.self)
    packet.storeBytes(of: source.bigEndian, toByteOffset: 12, as: UInt32.self)
    packet.storeBytes(of: destination.bigEndian, toByteOffset: 16, as: UInt32.self)
    packet.storeBytes(of: sourcePort.bigEndian, toByteOffset: 20, as: UInt16.self)
    packet.storeBytes(of: port.bigEndian, toByteOffset: 22, as: UInt16.self)
    packet.storeBytes(of: length.bigEndian, toByteOffset: 24, as: UInt16.self)
    packet.storeBytes(of: UInt16(0), toByteOffset: 26, as: UInt16.self)
    let checksum = checksum(of: packet, source: source, length: length)
    packet.storeBytes(of: checksum.bigEndian, toByteOffset: 26, as: UInt16.self)
  }

  /// Of the datagram with its pseudo header (RFC 768); 0, which would say that there is none, goes as its other form.
  private func checksum(of packet: UnsafeMutableRawBufferPointer, source: UInt32, length: UInt16) -> UInt16 {
    var sum = UInt64(source) + UInt64(destination) + UInt64(Self.udp) + UInt64(length)
    var offset = Self.ipBytes
    while offset + 1 < count {
      sum += UInt64(UInt16(bigEndian: packet.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
      offset += 2
    }
    if offset < count { sum += UInt64(packet[offset]) << 8 }
    while sum >> 16 != 0 { sum = (sum & 0xFFFF) + (sum >> 16) }
    let complement = ~UInt16(sum)
    return complement == 0 ? 0xFFFF : complement
  }
}
