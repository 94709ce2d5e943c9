/// Frames that tell a network, unasked, at which MAC address an IP address now is. For the control plane: each call
/// allocates.
public enum AddressAnnouncement {
  private static let allNodes = IPv6Address(bits: 0xFF02 << 112 | 1)
  /// Of every neighbour discovery message; others are discarded, for a router has let them pass (RFC 4861, 7.1).
  private static let hopLimit: UInt8 = 255

  /// The announcement fit for an address of either family.
  public static func frame(for address: IPAddress, at mac: MACAddress) -> [UInt8] {
    switch address {
    case .v4(let address): gratuitousARP(for: address, at: mac)
    case .v6(let address): neighbourAdvertisement(for: address, at: mac)
    }
  }

  /// A gratuitous ARP packet in its Ethernet frame, 42 bytes.
  ///
  /// - Parameter operation: `.request`, the form of RFC 5227, 3 and of the kernel's `arp_notify`, or `.reply`, for the
  ///   few stacks that learn from nothing else; it names the sender as the target too, as arping(8) -A does.
  public static func gratuitousARP(
    for address: IPv4Address, at mac: MACAddress, operation: ARPOperation = .request
  ) -> [UInt8] {
    let targetMAC = operation == .reply ? mac : .zero
    return MACAddress.broadcast.bytes + mac.bytes + bytes(EtherType.arp.rawValue)
      + bytes(ARPView.hardwareTypeEthernet) + bytes(EtherType.ipv4.rawValue) + [6, 4] + bytes(operation.rawValue)
      + mac.bytes + address.bytes + targetMAC.bytes + address.bytes
  }

  /// An unsolicited neighbour advertisement to all nodes, with override, in its Ethernet frame, 86 bytes
  /// (RFC 4861, 7.2.6).
  ///
  /// - Parameter isRouter: the address is a router's: hosts drop a router that says otherwise (RFC 4861, 7.2.5).
  public static func neighbourAdvertisement(
    for address: IPv6Address, at mac: MACAddress, isRouter: Bool = false
  ) -> [UInt8] {
    let flags = NeighbourDiscoveryView.overrideBit | (isRouter ? NeighbourDiscoveryView.routerBit : 0)
    let type = ICMPv6Type.neighbourAdvertisement.rawValue
    var message: [UInt8] = [type, 0, 0, 0, flags, 0, 0, 0]
    message += address.bytes
    message += [NeighbourDiscoveryView.targetLinkLayerAddressOption, 1] + mac.bytes
    var checksum = InternetChecksum(
      source: address, destination: allNodes, protocol: .icmpv6, length: message.count)
    checksum.add(message.span.bytes)
    message.replaceSubrange(ICMPv6View.checksumOffset..<ICMPv6View.checksumOffset + 2, with: bytes(checksum.value))
    let header =
      [0x60, 0, 0, 0] + bytes(UInt16(message.count)) + [IPProtocol.icmpv6.rawValue, hopLimit] + address.bytes
      + allNodes.bytes
    return allNodes.multicastMAC.bytes + mac.bytes + bytes(EtherType.ipv6.rawValue) + header + message
  }

  private static func bytes(_ value: UInt16) -> [UInt8] {
    [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)]
  }
}

extension IPv6Address {
  /// The Ethernet address of a multicast group (RFC 2464, 7).
  @inlinable
  public var multicastMAC: MACAddress {
    MACAddress(bits: 0x3333 << 32 | UInt64(truncatingIfNeeded: bits & 0xFFFF_FFFF))
  }
}
