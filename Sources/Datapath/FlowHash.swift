import Wire

extension FrameDescriptor {
  /// A hash of the frame's flow: IP addresses, protocol and TCP or UDP ports, the same for both directions. nil where the frame is
  /// no IP packet, is tagged, or is a fragment, whose later pieces have no ports.
  @inlinable
  public var flowHash: UInt32? {
    let length = Int(self.length) &- Engine.headerLength
    let bytes = UnsafeRawPointer(start + Engine.headerLength)
    guard length >= 34 else { return nil }
    var sum: UInt64
    let transport: Int
    let `protocol`: UInt8
    switch EtherType(rawValue: UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 12, as: UInt16.self))) {
    case .ipv4:
      let version = bytes.load(fromByteOffset: 14, as: UInt8.self)
      // More fragments, or an offset.
      let fragment = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 20, as: UInt16.self)) & 0x3FFF
      guard version >> 4 == 4, version & 0x0F >= 5, fragment == 0 else { return nil }
      transport = 14 &+ Int(version & 0x0F) &* 4
      `protocol` = bytes.load(fromByteOffset: 23, as: UInt8.self)
      sum = Self.folded(
        UInt64(bytes.loadUnaligned(fromByteOffset: 26, as: UInt32.self)),
        UInt64(bytes.loadUnaligned(fromByteOffset: 30, as: UInt32.self)))
    case .ipv6:
      guard length >= 54, bytes.load(fromByteOffset: 14, as: UInt8.self) >> 4 == 6 else { return nil }
      transport = 54
      `protocol` = bytes.load(fromByteOffset: 20, as: UInt8.self)
      sum = Self.folded(
        bytes.loadUnaligned(fromByteOffset: 22, as: UInt64.self),
        bytes.loadUnaligned(fromByteOffset: 38, as: UInt64.self))
      sum ^= Self.folded(
        bytes.loadUnaligned(fromByteOffset: 30, as: UInt64.self),
        bytes.loadUnaligned(fromByteOffset: 46, as: UInt64.self))
    default: return nil
    }
    if `protocol` == IPProtocol.tcp.rawValue || `protocol` == IPProtocol.udp.rawValue {
      guard length >= transport &+ 4 else { return nil }
      sum ^= Self.folded(
        UInt64(bytes.loadUnaligned(fromByteOffset: transport, as: UInt16.self)),
        UInt64(bytes.loadUnaligned(fromByteOffset: transport &+ 2, as: UInt16.self)))
    }
    return UInt32(truncatingIfNeeded: ((sum ^ UInt64(`protocol`)) &* 0x9E37_79B9_7F4A_7C15) >> 32)
  }

  /// TCP over IP, without a tag or extension headers.
  @inlinable
  @inline(__always)
  public var carriesTCP: Bool {
    guard Int(length) >= Engine.headerLength &+ 34 else { return false }
    let bytes = UnsafeRawPointer(start + Engine.headerLength)
    switch EtherType(rawValue: UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 12, as: UInt16.self))) {
    case .ipv4: return bytes.load(fromByteOffset: 23, as: UInt8.self) == IPProtocol.tcp.rawValue
    case .ipv6: return bytes.load(fromByteOffset: 20, as: UInt8.self) == IPProtocol.tcp.rawValue
    default: return false
    }
  }

  /// The same whichever of the two comes first.
  @inlinable
  static func folded(_ first: UInt64, _ second: UInt64) -> UInt64 { (first &+ second) ^ (first &* second) }
}
