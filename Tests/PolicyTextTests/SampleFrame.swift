import Support
import Wire

/// A frame by what it is to say: known before any code of ours has read it.
struct SampleFrame {
  enum Transport: Equatable {
    case tcp(source: UInt16, destination: UInt16, flags: UInt8)
    case udp(source: UInt16, destination: UInt16)
    case icmp(type: UInt8, code: UInt8)
    case other(UInt8)
  }

  enum Content: Equatable {
    case arp(operation: UInt16, sender: UInt32, target: UInt32)
    case ipv4(source: UInt32, destination: UInt32)
    case ipv6(source: UInt128, destination: UInt128)
    case type(UInt16)
  }

  enum Fragment { case none, first, later }

  var port: UInt16 = 0
  var destination: UInt64 = 0x02_00_00_00_00_02
  var source: UInt64 = 0x02_00_00_00_00_01
  /// Control information of a tag.
  var tag: UInt16?
  var content: Content = .ipv4(source: 0x0A00_0001, destination: 0x0A00_0002)
  var transport: Transport = .udp(source: 1000, destination: 53)
  var trafficClass: UInt8 = 0
  var timeToLive: UInt8 = 64
  var fragment = Fragment.none
  /// Options or extension headers of this many bytes, of 0, 8 or 16.
  var optionsLength = 0

  var bytes: [UInt8] {
    var bytes = MACAddress(bits: destination).bytes + MACAddress(bits: source).bytes
    if let tag { bytes += [0x81, 0x00] + Self.octets(tag) }
    switch content {
    case .type(let type): return bytes + Self.octets(type) + [UInt8](repeating: 0x5A, count: 46)
    case .arp(let operation, let sender, let target):
      bytes += [0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4] + Self.octets(operation) + MACAddress(bits: source).bytes
      bytes += Self.octets(sender) + [UInt8](repeating: 0, count: 6) + Self.octets(target)
      return bytes + [UInt8](repeating: 0, count: 18)
    case .ipv4(let source, let destination):
      let payload = payload
      var header: [UInt8] = [0x45 + UInt8(optionsLength / 4), trafficClass]
      header += Self.octets(UInt16(20 + optionsLength + payload.count)) + [0x12, 0x34]
      header += Self.octets(fragment == .none ? 0x4000 : fragment == .first ? 0x2000 : 0x0010 as UInt16)
      header += [timeToLive, number, 0, 0] + Self.octets(source) + Self.octets(destination)
      header += [UInt8](repeating: 1, count: optionsLength)
      header.replaceSubrange(10..<12, with: Self.octets(Self.checksum(header)))
      return bytes + [0x08, 0x00] + header + payload
    case .ipv6(let source, let destination): return bytes + ipv6(source, destination)
    }
  }

  private func ipv6(_ source: UInt128, _ destination: UInt128) -> [UInt8] {
    var (next, chain): (UInt8, [UInt8]) = (number, payload)
    if fragment != .none {
      chain = [next, 0] + Self.octets(fragment == .first ? 0x0001 : 0x0010 as UInt16) + [0, 0, 0, 7] + chain
      next = 44
    }
    if optionsLength > 0 {
      chain =
        [next, UInt8(optionsLength / 8 - 1), 1, UInt8(optionsLength - 4)]
        + [UInt8](repeating: 0, count: optionsLength - 4) + chain
      next = 60
    }
    return [0x86, 0xDD, 0x60 | trafficClass >> 4, trafficClass << 4, 0, 0] + Self.octets(UInt16(chain.count))
      + [next, timeToLive] + IPv6Address(bits: source).bytes + IPv6Address(bits: destination).bytes + chain
  }

  private var isIPv6: Bool { if case .ipv6 = content { true } else { false } }

  var number: UInt8 {
    switch transport {
    case .tcp: 6
    case .udp: 17
    case .icmp: isIPv6 ? 58 : 1
    case .other(let number): number
    }
  }

  private var payload: [UInt8] {
    let rest = [UInt8](repeating: 0xA5, count: 24)
    // A later fragment's bytes may look like a header, and are none.
    switch transport {
    case .tcp(let source, let destination, let flags):
      return Self.octets(source) + Self.octets(destination) + [
        0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0,
      ]
        + rest
    case .udp(let source, let destination):
      return Self.octets(source) + Self.octets(destination) + Self.octets(UInt16(8 + rest.count)) + [0, 0] + rest
    case .icmp(let type, let code): return [type, code, 0, 0] + rest
    case .other: return rest
    }
  }

  /// RFC 1071.
  private static func checksum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for place in stride(from: 0, to: bytes.count, by: 2) { sum += UInt32(bytes[place]) << 8 | UInt32(bytes[place + 1]) }
    while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
    return ~UInt16(sum)
  }

  private static func octets(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }

  private static func octets(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * $0)) }
  }
}
