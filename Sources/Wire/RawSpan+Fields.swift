// Fields of the wire are big endian and lie at any address. The loads check their bounds: a view that accepted too short
// a span would stop the program, not read its neighbours.
extension RawSpan {
  @inlinable
  @inline(__always)
  func uint8(at offset: Int) -> UInt8 { unsafeLoadUnaligned(fromByteOffset: offset, as: UInt8.self) }

  @inlinable
  @inline(__always)
  func uint16(at offset: Int) -> UInt16 {
    UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }

  @inlinable
  @inline(__always)
  func uint32(at offset: Int) -> UInt32 {
    UInt32(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  @inlinable
  @inline(__always)
  func uint64(at offset: Int) -> UInt64 {
    UInt64(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  @inlinable
  @inline(__always)
  func macAddress(at offset: Int) -> MACAddress {
    MACAddress(bits: UInt64(uint32(at: offset)) << 16 | UInt64(uint16(at: offset &+ 4)))
  }

  @inlinable
  @inline(__always)
  func ipv4Address(at offset: Int) -> IPv4Address { IPv4Address(bits: uint32(at: offset)) }

  @inlinable
  @inline(__always)
  func ipv6Address(at offset: Int) -> IPv6Address {
    IPv6Address(bits: UInt128(uint64(at: offset)) << 64 | UInt128(uint64(at: offset &+ 8)))
  }
}
