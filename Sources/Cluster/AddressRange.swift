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

  func isUsable(_ address: IPAddress) -> Bool { subnet.hasHost(address) && !reserved.contains(address) }

  /// Anywhere in the range.
  func random() -> IPAddress {
    range.first.sameFamily(bits: .random(in: range.first.bits...range.last.bits))
  }

  /// The first address behind `cursor`, around the range, that may be had; nil where none is left.
  func next(after cursor: IPAddress, taken: Set<IPAddress>) -> IPAddress? {
    // Two more than are known to be taken: the network's and the broadcast address.
    range.firstAddress(after: cursor, steps: taken.count + reserved.count + 2) {
      isUsable($0) && !taken.contains($0)
    }
  }
}
