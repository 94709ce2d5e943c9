/// The checksum of IP, TCP, UDP and ICMP (RFC 1071): a sum in ones' complement that is built up piece by piece.
///
/// The sum is kept in the order of memory, not of the network: it comes out the same, byte-swapped (RFC 1071, 2 (B)),
/// and no word needs to be swapped on the way.
@frozen
public struct InternetChecksum: Sendable {
  /// Words of 16 bits in the order of memory, carries not yet added back.
  @usableFromInline var sum: UInt64
  /// The bytes so far are odd in number: the next one is the second half of a word.
  @usableFromInline var isOdd: Bool

  @inlinable
  public init() { (sum, isOdd) = (0, false) }

  /// Starts with the pseudo-header of TCP and UDP over IPv4 (RFC 9293, 3.1). `length`: of the TCP segment or the UDP datagram, in bytes.
  @inlinable
  public init(source: IPv4Address, destination: IPv4Address, protocol: IPProtocol, length: Int) {
    self.init()
    sum = InternetChecksum.words(source.bits) &+ InternetChecksum.words(destination.bits)
    addEnd(of: `protocol`, length: length)
  }

  /// Starts with the pseudo-header over IPv6 (RFC 8200, 8.1).
  @inlinable
  public init(source: IPv6Address, destination: IPv6Address, protocol: IPProtocol, length: Int) {
    self.init()
    sum = InternetChecksum.words(source.bits) &+ InternetChecksum.words(destination.bits)
    addEnd(of: `protocol`, length: length)
  }

  @inlinable
  mutating func addEnd(of protocol: IPProtocol, length: Int) {
    sum &+= InternetChecksum.words(UInt32(`protocol`.rawValue))
    sum &+= InternetChecksum.words(UInt32(truncatingIfNeeded: length))
  }

  @inlinable
  static func words(_ value: UInt32) -> UInt64 { UInt64(value.bigEndian) }

  @inlinable
  static func words(_ value: UInt128) -> UInt64 {
    words(UInt32(truncatingIfNeeded: value >> 96)) &+ words(UInt32(truncatingIfNeeded: value >> 64))
      &+ words(UInt32(truncatingIfNeeded: value >> 32)) &+ words(UInt32(truncatingIfNeeded: value))
  }

  /// Adds bytes in the order of the wire.
  @inlinable
  public mutating func add(_ bytes: RawSpan) {
    var part = InternetChecksum.folded(InternetChecksum.sum(bytes))
    if isOdd { part = part.byteSwapped }
    sum &+= UInt64(part)
    isOdd = isOdd != (bytes.byteCount & 1 == 1)
  }

  /// The sum in the host's order, not complemented: what `VIRTIO_NET_HDR_F_NEEDS_CSUM` wants of a pseudo-header.
  @inlinable
  public var partial: UInt16 { UInt16(bigEndian: InternetChecksum.folded(sum)) }

  /// The checksum in the host's order. UDP sends 0xFFFF in place of 0 (RFC 768).
  @inlinable
  public var value: UInt16 { ~partial }

  /// Bytes that hold their own checksum, as an IPv4 header does.
  @inlinable
  public static func isValid(_ bytes: RawSpan) -> Bool {
    var checksum = InternetChecksum()
    checksum.add(bytes)
    return checksum.value == 0
  }
}

extension InternetChecksum {
  /// The checksum after a 16-bit word of what it covers has changed (RFC 1624, equation 3). All in the host's order.
  @inlinable
  public static func updated(_ checksum: UInt16, from old: UInt16, to new: UInt16) -> UInt16 {
    let sum = UInt32(~checksum) &+ UInt32(~old) &+ UInt32(new)
    return ~folded(UInt64(sum))
  }

  /// The same for 32 bits that stand on a word's border, such as an IPv4 address.
  @inlinable
  public static func updated(_ checksum: UInt16, from old: UInt32, to new: UInt32) -> UInt16 {
    ~folded(UInt64(~checksum) &+ UInt64(~old) &+ UInt64(new))
  }

  /// The same for an IPv6 address.
  @inlinable
  public static func updated(_ checksum: UInt16, from old: UInt128, to new: UInt128) -> UInt16 {
    // `words` sums in the order of the network's memory: so the checksum is swapped into it and back.
    let sum = UInt64((~checksum).bigEndian) &+ words(~old) &+ words(new)
    return ~UInt16(bigEndian: folded(sum))
  }

  /// Two sums in the host's order as one: how a length is put into, or with its complement taken out of, a `partial` sum.
  @inlinable
  public static func sum(_ first: UInt16, _ second: UInt16) -> UInt16 { folded(UInt64(first) &+ UInt64(second)) }

  /// Adds the carries back until 16 bits are left.
  @inlinable
  static func folded(_ sum: UInt64) -> UInt16 {
    var sum = (sum & 0xFFFF_FFFF) &+ (sum >> 32)
    sum = (sum & 0xFFFF_FFFF) &+ (sum >> 32)
    sum = (sum & 0xFFFF) &+ (sum >> 16)
    sum = (sum & 0xFFFF) &+ (sum >> 16)
    return UInt16(truncatingIfNeeded: (sum & 0xFFFF) &+ (sum >> 16))
  }

  /// From this length on, vectors win over words; the headers of IP and TCP are shorter.
  @usableFromInline static let vectorLengthMin = 128

  /// The sum of the bytes as 32-bit words in the order of memory; a last odd byte counts as if a zero followed.
  @inlinable
  static func sum(_ bytes: RawSpan) -> UInt64 {
    var sum: UInt64 = 0
    var offset = 0
    let end = bytes.byteCount
    if end >= vectorLengthMin { (sum, offset) = vectorSum(bytes) }
    while offset &+ 8 <= end {
      let word = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
      sum &+= (word & 0xFFFF_FFFF) &+ (word >> 32)
      offset &+= 8
    }
    if end &- offset >= 4 {
      sum &+= UInt64(bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
      offset &+= 4
    }
    if end &- offset >= 2 {
      sum &+= UInt64(bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self))
      offset &+= 2
    }
    if offset < end {
      let last = UInt16(bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt8.self))
      sum &+= UInt64(last.littleEndian)
    }
    return sum
  }

  /// The sum of as many whole pairs of 32-byte vectors as there are, and where they end. Each lane holds 32-bit halves,
  /// so it can take 2^32 of them before it overflows.
  @inlinable
  static func vectorSum(_ bytes: RawSpan) -> (sum: UInt64, offset: Int) {
    let halves = SIMD4<UInt64>(repeating: 0xFFFF_FFFF)
    var low0 = SIMD4<UInt64>.zero
    var high0 = SIMD4<UInt64>.zero
    var low1 = SIMD4<UInt64>.zero
    var high1 = SIMD4<UInt64>.zero
    var offset = 0
    while offset &+ 64 <= bytes.byteCount {
      let first = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: SIMD4<UInt64>.self)
      let second = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 32, as: SIMD4<UInt64>.self)
      low0 &+= first & halves
      high0 &+= first &>> 32
      low1 &+= second & halves
      high1 &+= second &>> 32
      offset &+= 64
    }
    return ((low0 &+ high0 &+ low1 &+ high1).wrappedSum(), offset)
  }
}
