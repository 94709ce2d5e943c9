import Wire

/// A received frame where it lies in its buffer. A plain value: whoever holds the burst owns the memory behind it.
@frozen
public struct FrameDescriptor: BitwiseCopyable {
  /// Where the virtio-net header begins.
  public var start: UnsafeMutableRawPointer
  /// Bytes from `start`: virtio-net header and frame.
  public var length: UInt32
  /// The port it came in by.
  public var port: UInt16
  /// The buffer it lies in, for whoever recycles it.
  public var buffer: UInt16

  @inlinable
  public init(start: UnsafeMutableRawPointer, length: UInt32, port: UInt16, buffer: UInt16) {
    (self.start, self.length, self.port, self.buffer) = (start, length, port, buffer)
  }

  /// Its first tag is a VLAN's, of a customer or of a provider (IEEE 802.1Q). At least an Ethernet header long.
  @inlinable public var isTagged: Bool {
    let type = (start + VirtioNetHeader.length).loadUnaligned(
      fromByteOffset: EthernetView.etherTypeOffset, as: UInt16.self)
    return type == EtherType.vlan.rawValue.bigEndian || type == EtherType.serviceVLAN.rawValue.bigEndian
  }
}

/// What a policy sees of a frame: its addresses, read once, and its bytes.
@frozen
public struct Frame: ~Escapable {
  public let destination: MACAddress
  public let source: MACAddress
  /// The port it came in by.
  public let port: UInt16
  /// From the Ethernet header on, at least `EthernetHeader.length` bytes.
  public let bytes: RawSpan

  @inlinable
  @_lifetime(copy bytes)
  init(checked bytes: RawSpan, port: UInt16) {
    let first = UInt64(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self))
    let second = UInt32(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt32.self))
    destination = MACAddress(bits: first >> 16)
    source = MACAddress(bits: first << 32 | UInt64(second))
    self.port = port
    self.bytes = bytes
  }

  /// Carries IPv4 or IPv6, without a VLAN tag.
  @inlinable
  var isIP: Bool {
    let type = UInt16(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 12, as: UInt16.self))
    return type == EtherType.ipv4.rawValue || type == EtherType.ipv6.rawValue
  }
}
