import Wire

/// An IP packet in its Ethernet frame as a test makes and reads it, byte by byte, with sums of its own: RFC 1071 as it is written.
struct IPPacket {
  var bytes: [UInt8]

  private static func be16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)] }
  private static func be32(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(value >> UInt32(24 - 8 * $0) & 0xFF) } }

  static func sum(_ bytes: [UInt8]) -> Int {
    var sum = 0
    for index in stride(from: 0, to: bytes.count, by: 2) {
      sum += Int(bytes[index]) << 8 | (index + 1 < bytes.count ? Int(bytes[index + 1]) : 0)
    }
    while sum >> 16 != 0 { sum = sum & 0xFFFF + sum >> 16 }
    return sum
  }

  private static func address(_ text: String) -> [UInt8] { IPAddress(text)!.bytes }

  private static func pseudoHeader(_ source: String, _ destination: String, _ protocol: UInt8, _ length: Int) -> [UInt8]
  {
    let addresses = address(source) + address(destination)
    return addresses.count == 8
      ? addresses + [0, `protocol`] + be16(length) : addresses + be32(UInt32(length)) + [0, 0, 0, `protocol`]
  }

  init(bytes: [UInt8]) { self.bytes = bytes }

  /// - Parameter flags: the word of flags and fragment offset, of IPv4.
  init(
    from source: String, to destination: String, protocol: UInt8, payload: [UInt8], ttl: UInt8 = 64,
    flags: Int = 0x4000,
    identification: Int = 1, mac: (to: UInt64, from: UInt64) = (RouterBed.gatewayMAC, host(1))
  ) {
    let isIPv6 = source.contains(":")
    bytes = MACAddress(bits: mac.to).bytes + MACAddress(bits: mac.from).bytes + (isIPv6 ? [0x86, 0xDD] : [0x08, 0x00])
    if isIPv6 {
      bytes += [0x60, 0, 0, 0] + Self.be16(payload.count) + [`protocol`, ttl]
      bytes += Self.address(source) + Self.address(destination)
    } else {
      var header: [UInt8] = [0x45, 0] + Self.be16(20 + payload.count) + Self.be16(identification) + Self.be16(flags)
      header += [ttl, `protocol`, 0, 0] + Self.address(source) + Self.address(destination)
      header.replaceSubrange(10..<12, with: Self.be16(~Self.sum(header) & 0xFFFF))
      bytes += header
    }
    bytes += payload
  }

  static func udp(
    _ source: (String, Int), _ destination: (String, Int), payload: [UInt8] = Array("hello".utf8),
    checksum: Bool = true,
    ttl: UInt8 = 64, mac: (to: UInt64, from: UInt64) = (RouterBed.gatewayMAC, host(1))
  ) -> IPPacket {
    var datagram = be16(source.1) + be16(destination.1) + be16(8 + payload.count) + [0, 0] + payload
    if checksum {
      let sum = ~Self.sum(pseudoHeader(source.0, destination.0, 17, datagram.count) + datagram) & 0xFFFF
      datagram.replaceSubrange(6..<8, with: be16(sum == 0 ? 0xFFFF : sum))
    }
    return IPPacket(
      from: source.0, to: destination.0, protocol: 17, payload: datagram, ttl: ttl, mac: mac)
  }

  static let (fin, syn, rst, ack) = (1, 2, 4, 16)

  static func tcp(
    _ source: (String, Int), _ destination: (String, Int), _ flags: Int, sequence: UInt32 = 1000,
    acknowledgment: UInt32 = 0,
    options: [UInt8] = [], payload: [UInt8] = [], window: Int = 1000,
    mac: (to: UInt64, from: UInt64) = (RouterBed.gatewayMAC, host(1))
  ) -> IPPacket {
    var segment = be16(source.1) + be16(destination.1) + be32(sequence) + be32(acknowledgment)
    segment += [UInt8((20 + options.count) / 4) << 4, UInt8(flags)] + be16(window) + [0, 0, 0, 0] + options + payload
    let sum = ~Self.sum(pseudoHeader(source.0, destination.0, 6, segment.count) + segment) & 0xFFFF
    segment.replaceSubrange(16..<18, with: be16(sum))
    return IPPacket(from: source.0, to: destination.0, protocol: 6, payload: segment, mac: mac)
  }

  static func icmp(
    _ source: String, _ destination: String, type: UInt8, code: UInt8 = 0, word: UInt32 = 0, payload: [UInt8] = [],
    ttl: UInt8 = 64, mac: (to: UInt64, from: UInt64) = (RouterBed.gatewayMAC, host(1))
  ) -> IPPacket {
    var message: [UInt8] = [type, code, 0, 0] + be32(word) + payload
    let number: UInt8 = source.contains(":") ? 58 : 1
    let covered = number == 58 ? pseudoHeader(source, destination, 58, message.count) + message : message
    message.replaceSubrange(2..<4, with: be16(~Self.sum(covered) & 0xFFFF))
    return IPPacket(from: source, to: destination, protocol: number, payload: message, ttl: ttl, mac: mac)
  }

  // MARK: Reading

  var isIPv6: Bool { bytes[12] == 0x86 }
  private var addressLength: Int { isIPv6 ? 16 : 4 }
  private var addressOffset: Int { isIPv6 ? 22 : 26 }
  var source: String { text(addressOffset) }
  var destination: String { text(addressOffset + addressLength) }
  private func text(_ offset: Int) -> String { IPAddress(bytes: bytes[offset..<offset + addressLength])!.description }
  var ttl: UInt8 { bytes[isIPv6 ? 21 : 22] }
  var number: UInt8 { bytes[isIPv6 ? 20 : 23] }
  var transport: Int { isIPv6 ? 54 : 14 + Int(bytes[14] & 15) * 4 }
  func word(_ offset: Int) -> Int { Int(bytes[offset]) << 8 | Int(bytes[offset + 1]) }
  var sourcePort: Int { word(transport) }
  var destinationPort: Int { word(transport + 2) }
  var destinationMAC: UInt64 { MACAddress(bytes: bytes[0..<6])!.bits }
  var sourceMAC: UInt64 { MACAddress(bytes: bytes[6..<12])!.bits }
  var payload: [UInt8] { Array(bytes[transport...]) }
  /// The IP packet that an ICMP error quotes, as if it had a frame of its own.
  var quoted: IPPacket { IPPacket(bytes: Array(bytes[0..<14]) + bytes[(transport + 8)...]) }

  /// Every checksum in it is right; a UDP checksum of zero is none.
  var isSummedRight: Bool {
    if !isIPv6 && Self.sum(Array(bytes[14..<transport])) != 0xFFFF { return false }
    if number == 17 && word(transport + 6) == 0 { return true }
    let covered = number == 1 ? [] : Self.pseudoHeader(source, destination, number, payload.count)
    return Self.sum(covered + payload) == 0xFFFF
  }
}
