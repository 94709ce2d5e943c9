import Glibc

/// What a port number counts for: the ports of TCP and UDP, and the identifiers of ICMP queries, are numbered apart.
@frozen
public enum PortPlane: Int, CaseIterable, Sendable {
  case tcp, udp, icmp
}

/// Which ports of which external address are Martlet's: a bit for each. The uplink's filter, in the kernel, reads the same
/// memory. One thread writes, by plain stores of a byte.
@frozen
public struct PortClaims: @unchecked Sendable {
  /// External addresses; each has a slot.
  public static let slotCount = 16
  /// 65,536 bits.
  public static let planeBytes = 8192
  public static let slotBytes = planeBytes * PortPlane.allCases.count
  public static let bytes = slotBytes * slotCount

  @usableFromInline let memory: UnsafeMutableRawPointer

  /// - Parameter memory: `bytes` of it, zero, longer-lived than this.
  public init(memory: UnsafeMutableRawPointer) { self.memory = memory }

  /// In memory of its own, which is not given back: for who has no filter.
  public init() { memory = calloc(Self.bytes, 1)! }

  @inlinable
  @inline(__always)
  func byte(_ slot: Int, _ plane: PortPlane, _ port: UInt16) -> UnsafeMutablePointer<UInt8> {
    precondition(slot >= 0 && slot < Self.slotCount)
    let offset = slot &* Self.slotBytes &+ plane.rawValue &* Self.planeBytes &+ Int(port >> 3)
    return (memory + offset).assumingMemoryBound(to: UInt8.self)
  }

  @inlinable
  public func isSet(slot: Int, plane: PortPlane, port: UInt16) -> Bool {
    byte(slot, plane, port).pointee & (1 << UInt8(port & 7)) != 0
  }

  @inlinable
  public func set(slot: Int, plane: PortPlane, port: UInt16) { byte(slot, plane, port).pointee |= 1 << UInt8(port & 7) }

  @inlinable
  public func clear(slot: Int, plane: PortPlane, port: UInt16) {
    byte(slot, plane, port).pointee &= ~(1 << UInt8(port & 7))
  }

  /// 64 ports at once, the lowest in bit 0.
  /// - Parameter index: of the 1024 words of a plane.
  func word(slot: Int, plane: PortPlane, index: Int) -> UInt64 {
    let offset = slot * Self.slotBytes + plane.rawValue * Self.planeBytes + index * 8
    return UInt64(littleEndian: memory.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}
