import ControlModel
import Wire

// Address pools of engines: promised before there is a network that has them, and given back after it.

extension Controller {
  func requestPool(_ request: DriverPoolRequest) throws(ControlError) -> DriverPool {
    let networks = try store.networks()
    guard try store.pools().count < Limits.networks else {
      throw ControlError(.exhausted, "there are \(Limits.networks) address pools, the most allowed: remove a network")
    }
    let inUse = try prefixesInUse(networks, besides: nil)
    let prefix: IPPrefix
    if let text = request.pool {
      prefix = try SubnetAllocator.parse(text)
      if let used = inUse.first(where: { $0.prefix.overlaps(prefix) }) {
        throw ControlError(.conflict, "pool \(prefix) overlaps \(used.prefix) of \(used.owner): choose another")
      }
    } else if request.isIPv6 {
      prefix = try SubnetAllocator.nextIPv6(of: try store.ulaPrefix(), inUse: inUse.map(\.prefix))
    } else {
      prefix = try SubnetAllocator.nextIPv4(inUse: inUse.map(\.prefix))
    }
    var range: IPPrefix?
    if let text = request.range {
      guard let parsed = IPPrefix(text), parsed.isNetwork, prefix.contains(parsed) else {
        throw ControlError(.invalid, "ip-range \(text.quoted) is no part of the pool \(prefix)")
      }
      range = parsed
    }
    let pool = PoolRecord(
      id: Identifier.random(), isIpv6: prefix.isIPv6, prefix: prefix, range: range, cursor: nil, created: Self.now())
    try store.insert(pool)
    return DriverPool(id: pool.id, pool: prefix.description)
  }

  func releasePool(id: String) throws(ControlError) { try store.deletePool(id) }

  func requestAddress(pool id: String, address text: String?, isGateway: Bool) throws(ControlError) -> String {
    var asked: IPAddress?
    if let text {
      guard let address = IPAddress(text) else {
        throw ControlError(.invalid, "address \(text.quoted) is no IP address")
      }
      asked = address
    }
    return try store.takeAddress(ofPool: id, asked: asked, isGateway: isGateway).description
  }

  func releaseAddress(pool id: String, address text: String) throws(ControlError) {
    guard let address = IPAddress(text) else {
      throw ControlError(.invalid, "address \(text.quoted) is no IP address")
    }
    try store.releaseAddress(address, ofPool: id)
    // An engine releases an address behind its endpoint: one that still has it is one whose end was not told.
    for endpoint in try store.engineEndpoints(ofPool: id, with: address) {
      try collect(endpoint, because: "its engine gave \(address) back")
    }
  }

  /// What an engine was promised for an endpoint when it, or we, ended. An endpoint that still comes has its address all the same.
  func releaseUnusedAddresses() throws(ControlError) {
    let count = try store.releaseUnusedAddresses()
    if count > 0 { logger.warning("\(count) addresses of pools that no endpoint has are free again") }
  }
}
