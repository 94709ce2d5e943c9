/// The control bits of a TCP header (RFC 9293, 3.1).
@frozen
public struct TCPFlags: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8

  @inlinable
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inlinable public static var fin: TCPFlags { TCPFlags(rawValue: 0x01) }
  @inlinable public static var syn: TCPFlags { TCPFlags(rawValue: 0x02) }
  @inlinable public static var rst: TCPFlags { TCPFlags(rawValue: 0x04) }
  @inlinable public static var psh: TCPFlags { TCPFlags(rawValue: 0x08) }
  @inlinable public static var ack: TCPFlags { TCPFlags(rawValue: 0x10) }
  @inlinable public static var urg: TCPFlags { TCPFlags(rawValue: 0x20) }
  @inlinable public static var ece: TCPFlags { TCPFlags(rawValue: 0x40) }
  @inlinable public static var cwr: TCPFlags { TCPFlags(rawValue: 0x80) }
}

/// A TCP segment (RFC 9293).
@frozen
public struct TCPView: ~Escapable {
  /// Without options, in bytes.
  public static let headerLengthMin = 20

  public static let sourcePortOffset = 0
  public static let destinationPortOffset = 2
  @usableFromInline static let sequenceNumberOffset = 4
  @usableFromInline static let acknowledgmentNumberOffset = 8
  public static let dataOffsetOffset = 12
  @usableFromInline static let flagsOffset = 13
  @usableFromInline static let windowOffset = 14
  public static let checksumOffset = 16

  @usableFromInline let bytes: RawSpan
  /// With options, in bytes.
  public let headerLength: Int

  /// nil where the header, with its options, is not whole.
  @inlinable
  @_lifetime(copy bytes)
  public init?(_ bytes: RawSpan) {
    guard bytes.byteCount >= TCPView.headerLengthMin else { return nil }
    let headerLength = Int(bytes.uint8(at: TCPView.dataOffsetOffset) >> 4) &* 4
    guard headerLength >= TCPView.headerLengthMin, headerLength <= bytes.byteCount else { return nil }
    self.bytes = bytes
    self.headerLength = headerLength
  }

  @inlinable public var sourcePort: UInt16 { bytes.uint16(at: TCPView.sourcePortOffset) }
  @inlinable public var destinationPort: UInt16 { bytes.uint16(at: TCPView.destinationPortOffset) }
  @inlinable public var sequenceNumber: UInt32 { bytes.uint32(at: TCPView.sequenceNumberOffset) }
  @inlinable public var acknowledgmentNumber: UInt32 { bytes.uint32(at: TCPView.acknowledgmentNumberOffset) }
  @inlinable public var flags: TCPFlags { TCPFlags(rawValue: bytes.uint8(at: TCPView.flagsOffset)) }
  /// Not scaled.
  @inlinable public var window: UInt16 { bytes.uint16(at: TCPView.windowOffset) }
  @inlinable public var checksum: UInt16 { bytes.uint16(at: TCPView.checksumOffset) }

  @inlinable
  public var options: RawSpan {
    @_lifetime(copy self) get { bytes.extracting(TCPView.headerLengthMin..<headerLength) }
  }

  @inlinable
  public var payload: RawSpan {
    @_lifetime(copy self) get { bytes.extracting(droppingFirst: headerLength) }
  }
}
