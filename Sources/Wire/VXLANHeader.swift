/// What stands between a tunnel's UDP header and the frame that it carries (RFC 7348, 5).
@frozen
public struct VXLANHeader: Hashable, Sendable, BitwiseCopyable {
  public static let length = 8
  /// 24 bits.
  public static let vniMax: UInt32 = 0xFF_FFFF
  /// The UDP port that IANA assigned.
  public static let portDefault: UInt16 = 4789

  /// The I flag: the VNI is valid. All other bits of the word are reserved.
  @usableFromInline static let vniFlag: UInt32 = 0x0800_0000

  /// 0...`vniMax`.
  public let vni: UInt32

  /// - Parameter vni: 0...`vniMax`; bits beyond are dropped.
  @inlinable
  public init(vni: UInt32) { self.vni = vni & VXLANHeader.vniMax }

  /// Reads the `length` bytes at `memory`, of any alignment; reserved bits are ignored. nil where the I flag is not set.
  @inlinable
  @inline(__always)
  public init?(loadingFrom memory: UnsafeRawPointer) {
    guard UInt32(bigEndian: memory.loadUnaligned(as: UInt32.self)) & VXLANHeader.vniFlag != 0 else { return nil }
    vni = UInt32(bigEndian: memory.loadUnaligned(fromByteOffset: 4, as: UInt32.self)) >> 8
  }

  /// Writes the `length` bytes at `memory`, of any alignment; reserved bits are zero.
  @inlinable
  @inline(__always)
  public func store(to memory: UnsafeMutableRawPointer) {
    memory.storeBytes(of: VXLANHeader.vniFlag.bigEndian, as: UInt32.self)
    memory.storeBytes(of: (vni << 8).bigEndian, toByteOffset: 4, as: UInt32.self)
  }
}
