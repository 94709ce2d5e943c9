import Glibc

// For a pool of ports, which has the same layout.
extension PortClaims {
  func setAll(slot: Int, plane: Plane, to isSet: Bool) {
    memset(byte(slot, plane, 0), isSet ? 0xFF : 0, Self.planeByteCount)
  }

  /// 64 ports at once, the lowest in bit 0.
  /// - Parameter index: of the 1024 words of a plane.
  func word(slot: Int, plane: Plane, index: Int) -> UInt64 {
    UInt64(littleEndian: UnsafeRawPointer(byte(slot, plane, 0) + index * 8).loadUnaligned(as: UInt64.self))
  }
}

extension PortClaims.Plane {
  /// Of an IP protocol: TCP, UDP, or a query of ICMP or ICMPv6.
  public init(protocol: UInt8) {
    switch `protocol` {
    case 6: self = .tcp
    case 17: self = .udp
    default: self = .query
    }
  }
}
