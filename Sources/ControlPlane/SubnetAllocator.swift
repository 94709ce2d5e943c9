import ControlModel
import Wire

/// Chooses and checks the subnets of networks. Pure: what is in use is given to it.
enum SubnetAllocator {
  /// Docker's: 172.17.0.0/16 to 172.31.0.0/16, then the sixteen /20 of 192.168.0.0/16.
  static let ipv4Pools: [IPPrefix] =
    (17...31).map { ipv4(0xAC00_0000 | $0 << 16, 16) } + (0..<16).map { ipv4(0xC0A8_0000 | $0 << 12, 20) }

  private static func ipv4(_ bits: UInt32, _ length: Int) -> IPPrefix {
    IPPrefix(address: .v4(IPv4Address(bits: bits)), length: length)!
  }

  /// Of a unique local prefix (RFC 4193, 3.1): fd, 40 random bits, 16 bits for subnets.
  static let ulaLength = 48
  static let ulaSubnetLength = 64

  /// fd00::/8 with a random global id (RFC 4193, 3.2).
  static func randomULA(using generator: inout some RandomNumberGenerator) -> IPPrefix {
    let globalID = generator.next(upperBound: UInt64(1) << 40)
    return IPPrefix(
      address: .v6(IPv6Address(bits: UInt128(0xFD) << 120 | UInt128(globalID) << 80)), length: ulaLength)!
  }

  /// The first default pool that overlaps nothing in use.
  static func nextIPv4(inUse: [IPPrefix]) throws(ControlError) -> IPPrefix {
    for pool in ipv4Pools where !inUse.contains(where: pool.overlaps) { return pool }
    throw ControlError(
      .exhausted, "all \(ipv4Pools.count) default pools are in use by networks or by the host's routes: give a --subnet"
    )
  }

  /// The first /64 of the unique local prefix that overlaps nothing in use.
  static func nextIPv6(of ula: IPPrefix, inUse: [IPPrefix]) throws(ControlError) -> IPPrefix {
    let near = inUse.filter(ula.overlaps)
    for number in 0..<(UInt128(1) << UInt128(ulaSubnetLength - ulaLength)) {
      let address = ula.first.sameFamily(bits: ula.first.bits | number << 64)
      let subnet = IPPrefix(address: address, length: ulaSubnetLength)!
      if !near.contains(where: subnet.overlaps) { return subnet }
    }
    throw ControlError(.exhausted, "all /64 of the local prefix \(ula) are in use: give a --subnet")
  }

  /// Refuses what is no subnet for a network.
  static func parse(_ text: String) throws(ControlError) -> IPPrefix {
    guard let subnet = IPPrefix(text) else {
      throw ControlError(.invalid, "subnet \(text.quoted) is no CIDR such as 10.1.0.0/16 or fd00:1::/64")
    }
    guard subnet.isNetwork else {
      throw ControlError(.invalid, "subnet \(subnet) has host bits set: write \(subnet.network)")
    }
    let minimum = subnet.isIPv6 ? Limits.ipv6PrefixMinimum : Limits.ipv4PrefixMinimum
    guard subnet.length >= minimum else {
      throw ControlError(.invalid, "subnet \(subnet) is too large: the shortest prefix allowed is /\(minimum)")
    }
    if let range = unassignable.first(where: { subnet.overlaps($0.prefix) }) {
      throw ControlError(.invalid, "subnet \(subnet) is in the \(range.role) range \(range.prefix): choose another")
    }
    return subnet
  }

  private static let unassignable: [(prefix: IPPrefix, role: String)] = [
    ("0.0.0.0/8", "unspecified"), ("127.0.0.0/8", "loopback"), ("224.0.0.0/3", "multicast and reserved"),
    ("::/32", "loopback and unspecified"), ("fe80::/10", "link-local"), ("ff00::/8", "multicast"),
  ].map { (IPPrefix($0)!, $1) }
}
