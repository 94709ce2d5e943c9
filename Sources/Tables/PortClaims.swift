import Glibc

// Theory of operation.
//
// Which ports of which external addresses are ours, as bits in memory that the kernel's side reads too (uplink.bpf.c of
// UplinkFilter): a bit that is set takes the packets to that port from the host's stack from the next packet on. There is
// no system call and no lock. One thread writes; the kernel's readers see a byte either before or after a store, and a
// packet that comes in just then is judged by either.

/// A bit for each port of each external address, 384 KiB in all. A handle: the memory is whoever's who made it.
///
/// Threads: one at a time writes (`set`, `clear`), any may read. The memory must outlive every use of this.
@frozen
public struct PortClaims: @unchecked Sendable {
  /// The bits of one slot that belong together.
  @frozen
  public enum Plane: Int, Sendable, CaseIterable {
    case tcp
    case udp
    /// ICMP and ICMPv6 queries, by their identifier.
    case query
  }

  /// External addresses have slots 0 ..< `slots`.
  public static let slots = 16
  public static let planeByteCount = 8192
  public static let byteCount = slots * Plane.allCases.count * planeByteCount

  /// `byteCount` bytes: slot by slot, within it plane by plane; port P is bit P & 7 of a plane's byte P >> 3.
  @usableFromInline let memory: UnsafeMutablePointer<UInt8>

  /// - Parameter memory: `byteCount` bytes, which stay the caller's.
  public init(memory: UnsafeMutableRawPointer) {
    self.memory = memory.bindMemory(to: UInt8.self, capacity: Self.byteCount)
  }

  /// In memory of its own, all bits clear, which nothing but `deallocate` gives back.
  public init() {
    self.init(memory: UnsafeMutableRawPointer(zeroed(Self.byteCount) as UnsafeMutablePointer<UInt8>))
  }

  /// For what `init()` made, once.
  public func deallocate() { free(memory) }

  @inlinable
  func byte(_ slot: Int, _ plane: Plane, _ port: UInt16) -> UnsafeMutablePointer<UInt8> {
    precondition(slot >= 0 && slot < Self.slots)
    return memory + ((slot * 3 + plane.rawValue) * Self.planeByteCount + Int(port >> 3))
  }

  @inlinable
  public func set(slot: Int, plane: Plane, port: UInt16) { byte(slot, plane, port).pointee |= 1 << UInt8(port & 7) }

  @inlinable
  public func clear(slot: Int, plane: Plane, port: UInt16) {
    byte(slot, plane, port).pointee &= ~(1 << UInt8(port & 7))
  }

  @inlinable
  public func isSet(slot: Int, plane: Plane, port: UInt16) -> Bool {
    byte(slot, plane, port).pointee >> UInt8(port & 7) & 1 != 0
  }

  /// Clears every bit of a slot.
  public func clear(slot: Int) {
    memset(byte(slot, .tcp, 0), 0, Plane.allCases.count * Self.planeByteCount)
  }
}
