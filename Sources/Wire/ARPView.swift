/// The operation of an ARP packet (RFC 826).
@frozen
public struct ARPOperation: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt16

  @inlinable
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  @inlinable public static var request: ARPOperation { ARPOperation(rawValue: 1) }
  @inlinable public static var reply: ARPOperation { ARPOperation(rawValue: 2) }
}

/// An ARP packet for IPv4 over Ethernet (RFC 826), from the hardware type on.
@frozen
public struct ARPView: ~Escapable {
  public static let length = 28

  @usableFromInline static let hardwareTypeOffset = 0
  @usableFromInline static let protocolTypeOffset = 2
  @usableFromInline static let hardwareLengthOffset = 4
  @usableFromInline static let protocolLengthOffset = 5
  @usableFromInline static let operationOffset = 6
  @usableFromInline static let senderMACOffset = 8
  @usableFromInline static let senderAddressOffset = 14
  @usableFromInline static let targetMACOffset = 18
  @usableFromInline static let targetAddressOffset = 24

  @usableFromInline static let hardwareTypeEthernet: UInt16 = 1

  @usableFromInline let bytes: RawSpan

  /// nil where the packet is not whole or is for other kinds of addresses. Padding behind it is ignored.
  @inlinable
  @_lifetime(copy bytes)
  public init?(_ bytes: RawSpan) {
    guard bytes.byteCount >= ARPView.length,
      bytes.uint16(at: ARPView.hardwareTypeOffset) == ARPView.hardwareTypeEthernet,
      bytes.uint16(at: ARPView.protocolTypeOffset) == EtherType.ipv4.rawValue,
      bytes.uint8(at: ARPView.hardwareLengthOffset) == 6, bytes.uint8(at: ARPView.protocolLengthOffset) == 4
    else { return nil }
    self.bytes = bytes
  }

  @inlinable
  public var operation: ARPOperation { ARPOperation(rawValue: bytes.uint16(at: ARPView.operationOffset)) }

  @inlinable public var senderMAC: MACAddress { bytes.macAddress(at: ARPView.senderMACOffset) }
  @inlinable public var senderAddress: IPv4Address { bytes.ipv4Address(at: ARPView.senderAddressOffset) }
  @inlinable public var targetMAC: MACAddress { bytes.macAddress(at: ARPView.targetMACOffset) }
  @inlinable public var targetAddress: IPv4Address { bytes.ipv4Address(at: ARPView.targetAddressOffset) }
}
