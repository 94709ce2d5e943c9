/// An address with a prefix length (CIDR notation, RFC 4632 and RFC 4291, 2.3): an interface's address as well as a subnet.
@frozen
public struct IPPrefix: Hashable, Sendable {
  /// As it was given: host bits are kept (`10.0.0.2/24`).
  public let address: IPAddress
  /// 0...32 or 0...128.
  public let length: Int

  /// nil where `length` does not fit the family.
  public init?(address: IPAddress, length: Int) {
    guard (0...address.bitWidth).contains(length) else { return nil }
    self.address = address
    self.length = length
  }

  public var isIPv6: Bool { address.isIPv6 }

  private var hostMask: UInt128 {
    let hostBits = address.bitWidth - length
    return hostBits == 128 ? .max : (1 << UInt128(hostBits)) - 1
  }

  /// The subnet: host bits cleared.
  public var network: IPPrefix { IPPrefix(address: first, length: length)! }

  /// The subnet's lowest address (IPv4's network address).
  public var first: IPAddress { address.sameFamily(bits: address.bits & ~hostMask) }

  /// The subnet's highest address (IPv4's broadcast address).
  public var last: IPAddress { address.sameFamily(bits: address.bits | hostMask) }

  /// The address is the subnet's first: nothing set in the host part.
  public var isNetwork: Bool { address == first }

  public func contains(_ other: IPAddress) -> Bool {
    other.isIPv6 == isIPv6 && other.bits & ~hostMask == address.bits & ~hostMask
  }

  public func contains(_ other: IPPrefix) -> Bool { other.length >= length && contains(other.address) }

  public func overlaps(_ other: IPPrefix) -> Bool { contains(other.first) || other.contains(first) }
}

extension IPPrefix {
  /// The address is in the subnet and one host's: not IPv4's network and broadcast addresses, nor the routers' anycast address of
  /// IPv6 (RFC 4291, 2.6.1), but where the prefix is too short for them (RFC 3021, RFC 6164).
  public func hasHost(_ address: IPAddress) -> Bool {
    guard contains(address) else { return false }
    if length >= address.bitWidth - 1 { return true }
    return address != first && (address.isIPv6 || address != last)
  }

  /// The first free address behind `cursor`, around the prefix; nil where there is none.
  /// - Parameters:
  ///   - cursor: nil, or outside the prefix: its end.
  ///   - steps: addresses at most that are not free. No more are looked at than one more.
  public func firstAddress(
    after cursor: IPAddress?, steps: Int, where isFree: (IPAddress) -> Bool
  ) -> IPAddress? {
    let (first, last) = (first, last)
    func next(_ address: IPAddress) -> IPAddress {
      address == last ? first : first.sameFamily(bits: address.bits + 1)
    }
    var candidate = cursor.flatMap { contains($0) ? next($0) : nil } ?? first
    for _ in 0...min(last.bits - first.bits, UInt128(steps)) {
      if isFree(candidate) { return candidate }
      candidate = next(candidate)
    }
    return nil
  }
}

extension IPPrefix: LosslessStringConvertible {
  /// `10.0.0.2/24`; the length must be there, without leading zeros.
  public init?(_ description: String) {
    let parts = description.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let address = IPAddress(String(parts[0])), parts[1].isDecimalNumber,
      let length = Int(parts[1])
    else { return nil }
    self.init(address: address, length: length)
  }

  public var description: String { "\(address)/\(length)" }
}
