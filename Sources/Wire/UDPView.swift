/// A UDP datagram (RFC 768).
@frozen
public struct UDPView: ~Escapable {
  public static let headerLength = 8

  public static let sourcePortOffset = 0
  public static let destinationPortOffset = 2
  @usableFromInline static let lengthOffset = 4
  public static let checksumOffset = 6

  /// The datagram without what stands behind it in the packet.
  @usableFromInline let bytes: RawSpan

  /// nil where the header is not whole or the length lies outside of `bytes`, as in the first fragment of a datagram.
  @inlinable
  @_lifetime(copy bytes)
  public init?(_ bytes: RawSpan) {
    guard bytes.byteCount >= UDPView.headerLength else { return nil }
    let length = Int(bytes.uint16(at: UDPView.lengthOffset))
    guard length >= UDPView.headerLength, length <= bytes.byteCount else { return nil }
    self.bytes = bytes.extracting(first: length)
  }

  @inlinable public var sourcePort: UInt16 { bytes.uint16(at: UDPView.sourcePortOffset) }
  @inlinable public var destinationPort: UInt16 { bytes.uint16(at: UDPView.destinationPortOffset) }
  /// 0: none was sent.
  @inlinable public var checksum: UInt16 { bytes.uint16(at: UDPView.checksumOffset) }

  @inlinable
  public var payload: RawSpan {
    @_lifetime(copy self) get { bytes.extracting(droppingFirst: UDPView.headerLength) }
  }
}
