import ControlModel
import Wire

/// The subnets of a request for a network, at most one a family.
struct SubnetPlan {
  private(set) var subnets: [SubnetRecord] = []

  init(
    _ request: NetworkRequest, networkID: String, inUse: [PrefixInUse], ula: () throws(ControlError) -> IPPrefix
  ) throws(ControlError) {
    var prefixes: [IPPrefix] = []
    for text in request.subnets ?? [] {
      let prefix = try SubnetAllocator.parse(text)
      if let other = prefixes.first(where: { $0.isIPv6 == prefix.isIPv6 }) {
        throw ControlError(.invalid, "subnets \(other) and \(prefix): a network has at most one of each family")
      }
      if let used = inUse.first(where: { $0.prefix.overlaps(prefix) }) {
        throw ControlError(.conflict, "subnet \(prefix) overlaps \(used.prefix) of \(used.owner): choose another")
      }
      prefixes.append(prefix)
    }
    let givenAny = !prefixes.isEmpty
    let taken = inUse.map(\.prefix)
    // As Docker: --ipv6 adds to IPv4. An IPv6 subnet alone makes a network of IPv6 alone.
    if !prefixes.contains(where: { !$0.isIPv6 }), !givenAny || request.ipv6 == true {
      prefixes.insert(try SubnetAllocator.nextIPv4(inUse: taken), at: 0)
    }
    if request.ipv6 == true, !prefixes.contains(where: \.isIPv6) {
      prefixes.append(try SubnetAllocator.nextIPv6(of: try ula(), inUse: taken))
    }
    if !givenAny, request.gateways?.isEmpty == false || request.ipRanges?.isEmpty == false {
      throw ControlError(.invalid, "a gateway or an ip-range needs the --subnet it is in")
    }
    subnets = prefixes.map {
      SubnetRecord(networkId: networkID, isIpv6: $0.isIPv6, prefix: $0, auxiliaryAddresses: [:])
    }
    try setRanges(request.ipRanges ?? [])
    try setGateways(request.gateways ?? [], none: request.noGateway ?? false)
    try setAuxiliaryAddresses(request.auxiliaryAddresses ?? [:])
  }

  private func index(of address: IPAddress, _ what: String) throws(ControlError) -> Int {
    if let index = subnets.firstIndex(where: { $0.prefix.contains(address) }) { return index }
    let all = subnets.map(\.prefix.description).joined(separator: ", ")
    throw ControlError(.invalid, "\(what) is not in the network's subnet: \(all)")
  }

  private mutating func setRanges(_ texts: [String]) throws(ControlError) {
    for text in texts {
      guard let range = IPPrefix(text), range.isNetwork else {
        throw ControlError(.invalid, "ip-range \(text.quoted) is no CIDR such as 10.1.2.0/24")
      }
      let index = try index(of: range.first, "ip-range \(range)")
      guard subnets[index].prefix.contains(range) else {
        throw ControlError(.invalid, "ip-range \(range) is larger than the subnet \(subnets[index].prefix)")
      }
      guard subnets[index].range == nil else {
        throw ControlError(.invalid, "ip-range \(range): the subnet \(subnets[index].prefix) has one already")
      }
      subnets[index].range = range
    }
  }

  private mutating func setGateways(_ texts: [String], none: Bool) throws(ControlError) {
    guard !none else {
      if let text = texts.first {
        throw ControlError(.invalid, "gateway \(text.quoted) and no-gateway contradict each other")
      }
      return
    }
    for text in texts {
      guard let gateway = IPAddress(text) else {
        throw ControlError(.invalid, "gateway \(text.quoted) is no IP address")
      }
      let index = try index(of: gateway, "gateway \(gateway)")
      guard subnets[index].prefix.hasHost(gateway) else {
        throw ControlError(
          .invalid, "gateway \(gateway) is the network's or broadcast address of \(subnets[index].prefix)")
      }
      guard subnets[index].gateway == nil else {
        throw ControlError(.invalid, "gateway \(gateway): the subnet \(subnets[index].prefix) has one already")
      }
      subnets[index].gateway = gateway
    }
    for index in subnets.indices {
      let prefix = subnets[index].prefix
      guard prefix.length < prefix.address.bitWidth else {
        throw ControlError(.invalid, "subnet \(prefix) has room for the gateway only: use a larger one, or no gateway")
      }
      if subnets[index].gateway == nil { subnets[index].gateway = AddressPool.firstUsable(in: prefix) }
    }
  }

  private mutating func setAuxiliaryAddresses(_ addresses: [String: String]) throws(ControlError) {
    guard addresses.count <= Limits.auxiliaryAddresses else {
      throw ControlError(.invalid, "\(addresses.count) aux-addresses: at most \(Limits.auxiliaryAddresses) are allowed")
    }
    for (name, text) in addresses.sorted(by: { $0.key < $1.key }) {
      guard (1...Limits.labelKeyLength).contains(name.utf8.count) else {
        throw ControlError(.invalid, "aux-address name \(name.quoted): 1 to \(Limits.labelKeyLength) bytes are allowed")
      }
      guard let address = IPAddress(text) else {
        throw ControlError(.invalid, "aux-address \(name.quoted): \(text.quoted) is no IP address")
      }
      let index = try index(of: address, "aux-address \(address)")
      try subnets[index].pool.check(address, taken: [])
      subnets[index].auxiliaryAddresses[name] = address
    }
  }
}
