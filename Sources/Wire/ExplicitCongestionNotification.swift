/// The ECN field of an IP header (RFC 3168, 5): the low two bits of the traffic class.
@frozen
public struct ExplicitCongestionNotification: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
  public let rawValue: UInt8

  /// - Parameter rawValue: a traffic class; its DSCP is dropped.
  @inlinable
  public init(rawValue: UInt8) { self.rawValue = rawValue & 3 }

  @inlinable public static var notCapable: Self { Self(rawValue: 0) }
  /// ECT(1).
  @inlinable public static var capable1: Self { Self(rawValue: 1) }
  /// ECT(0).
  @inlinable public static var capable0: Self { Self(rawValue: 2) }
  /// CE.
  @inlinable public static var experienced: Self { Self(rawValue: 3) }

  /// What an inner packet has once it has left a tunnel whose outer packet had `outer` (RFC 6040, 4.2, figure 4).
  /// nil: it is to be dropped, for its sender would not understand what it met.
  @inlinable
  @inline(__always)
  public func leavingTunnel(outer: Self) -> Self? {
    if outer == .experienced { return self == .notCapable ? nil : .experienced }
    return outer == .capable1 && self == .capable0 ? .capable1 : self
  }

  /// Writes the field of the IPv4 header at `header` and brings its checksum up to date (RFC 1624).
  @inlinable
  public func store(toIPv4Header header: UnsafeMutableRawPointer) {
    let old = UInt16(bigEndian: header.loadUnaligned(as: UInt16.self))
    let new = old & ~3 | UInt16(rawValue)
    let checksum = UInt16(bigEndian: header.loadUnaligned(fromByteOffset: IPv4View.checksumOffset, as: UInt16.self))
    header.storeBytes(of: new.bigEndian, as: UInt16.self)
    header.storeBytes(
      of: InternetChecksum.updated(checksum, from: old, to: new).bigEndian, toByteOffset: IPv4View.checksumOffset,
      as: UInt16.self)
  }

  /// Writes the field of the IPv6 header at `header`: bits 4 and 5 of its second byte.
  @inlinable
  public func store(toIPv6Header header: UnsafeMutableRawPointer) {
    let old = header.load(fromByteOffset: 1, as: UInt8.self)
    header.storeBytes(of: old & ~0x30 | rawValue << 4, toByteOffset: 1, as: UInt8.self)
  }
}
