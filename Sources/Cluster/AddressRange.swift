import Wire

/// Where addresses of a subnet are claimed from.
public struct AddressRange: Sendable, Equatable {
  public var subnet: IPPrefix
  /// Within `subnet`.
  public var range: IPPrefix
  /// Never chosen: the gateway's, say.
  public var reserved: Set<IPAddress>

  public init(subnet: IPPrefix, range: IPPrefix? = nil, reserved: Set<IPAddress> = []) {
    (self.subnet, self.range, self.reserved) = (subnet, range ?? subnet, reserved)
  }

  /// One host may have it: not the network's and the broadcast address of IPv4, nor the routers' anycast address of
  /// IPv6 (RFC 4291, 2.6.1), but where a prefix is too short for them (RFC 3021, RFC 6164).
  func isUsable(_ address: IPAddress) -> Bool {
    guard subnet.contains(address), !reserved.contains(address) else { return false }
    if subnet.length >= address.bitWidth - 1 { return true }
    return address != subnet.first && (address.isIPv6 || address != subnet.last)
  }

  /// Anywhere in the range.
  func random() -> IPAddress {
    range.first.sameFamily(bits: .random(in: range.first.bits...range.last.bits))
  }

  /// The first address behind `cursor`, around the range, that may be had; nil where none is left.
  func next(after cursor: IPAddress, taken: Set<IPAddress>) -> IPAddress? {
    let (first, last) = (range.first, range.last)
    var candidate = cursor
    // Two more than are known to be taken: the network's and the broadcast address.
    let most = min(last.bits - first.bits, UInt128(taken.count + reserved.count + 2))
    for _ in 0...most {
      candidate =
        range.contains(candidate) && candidate != last ? candidate.sameFamily(bits: candidate.bits + 1) : first
      if isUsable(candidate), !taken.contains(candidate) { return candidate }
    }
    return nil
  }
}
