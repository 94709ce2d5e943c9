import ControlModel
import Etcd
import FoundationEssentials
import Synchronization
import Wire

// Theory of operation. A claim is a key that a transaction makes if it is not there. As with the local allocator an
// address is the next free one behind that which this host handed out last, so that one that was given back is the last
// to be handed out again; each host begins somewhere else, by chance, and jumps elsewhere where another was faster.
// What others have is learned only when a claim fails, so that one that succeeds costs a single transaction. A claim
// whose answer was lost is sent again: the key tells who has it.
//
// Claims have no lease of etcd's: a host that dies keeps its addresses, and a container that moves claims its address
// for itself on the new host.

/// Addresses, VNIs and names of networks that one host or network has alone. Every method may be called from any
/// thread, and blocks for etcd's answers.
final class Claims: Sendable {
  private struct Subnet: Hashable {
    var network: String
    var range: IPPrefix
  }

  /// What is known of a subnet's addresses; old, but for what this host did.
  private struct Known {
    var cursor: IPAddress
    var taken: Set<IPAddress> = []
  }

  let client: EtcdClient
  let keys: ClusterKeys
  private let host: String
  private let known = Mutex<[Subnet: Known]>([:])

  init(client: EtcdClient, keys: ClusterKeys, host: String) {
    (self.client, self.keys, self.host) = (client, keys, host)
  }

  // MARK: Addresses

  func claimAddress(
    network: String, endpoint: String, in range: AddressRange, wanted: IPAddress?
  ) throws(ControlError) -> IPAddress {
    let holder = StoredAddress.Holder(endpoint: endpoint, host: host)
    return try claimAddress(network: network, holder: holder, in: range, wanted: wanted)
  }

  func claimAddress(
    network: String, holder mine: StoredAddress.Holder, in range: AddressRange, wanted: IPAddress?
  ) throws(ControlError) -> IPAddress {
    if let wanted {
      guard range.isUsable(wanted) else {
        throw ControlError(.invalid, "address \(wanted) is not one that an endpoint may have in \(range.subnet)")
      }
      if let holder = try claim(wanted, network, mine) { throw taken(wanted, holder) }
      return wanted
    }
    let subnet = Subnet(network: network, range: range.range)
    for _ in 0..<ClusterLimits.claimAttempts {
      guard let candidate = try choose(subnet, range) else {
        throw ControlError(
          .exhausted,
          "all addresses of \(range.range) are taken in the cluster: disconnect what is not needed, or add a subnet")
      }
      if try claim(candidate, network, mine) == nil { return candidate }
      // Where one is taken more are, and whoever took it goes on from there.
      try learn(subnet)
      known.withLock { $0[subnet]?.cursor = range.random() }
    }
    throw ControlError(
      .conflict, "other hosts were faster \(ClusterLimits.claimAttempts) times at claiming an address: try again")
  }

  /// The next that is not known to be taken; reads who has what before it says that there is none.
  private func choose(_ subnet: Subnet, _ range: AddressRange) throws(ControlError) -> IPAddress? {
    func next() -> IPAddress? {
      known.withLock { known in
        var state = known[subnet] ?? Known(cursor: range.random())
        let candidate = range.next(after: state.cursor, taken: state.taken)
        if let candidate {
          state.cursor = candidate
          state.taken.insert(candidate)
        }
        known[subnet] = state
        return candidate
      }
    }
    if let candidate = next() { return candidate }
    try learn(subnet)
    return next()
  }

  private func learn(_ subnet: Subnet) throws(ControlError) {
    let prefix = keys.addresses(of: subnet.network)
    let all = try asking { () throws(EtcdError) in try client.readAll(.prefix(prefix), keysOnly: true) }
    let taken = all.values.compactMap { IPAddress(String($0.key.dropFirst(prefix.count))) }
    known.withLock { $0[subnet]?.taken = Set(taken.filter(subnet.range.contains)) }
  }

  /// nil: the endpoint has it here now. Else who has it.
  private func claim(
    _ address: IPAddress, _ network: String, _ mine: StoredAddress.Holder
  ) throws(ControlError) -> StoredAddress.Holder? {
    let key = keys.address(address.description, of: network)
    let (networkKey, value) = (keys.network(network), StoredAddress(mine).data)
    var revision: Int64 = 0
    while true {
      let answer = try change(
        [.exists(networkKey), .isUnchanged(key, since: revision)], success: [.put(key, value)],
        failure: [.range(.key(networkKey)), .range(.key(key))])
      if answer.succeeded { return nil }
      guard !answer.results[0].isEmpty else {
        throw ControlError(.notFound, "network \(network) is not in the cluster: it was removed, or not yet made")
      }
      guard let found = answer.results[1].first else {
        // Given back in between.
        revision = 0
        continue
      }
      let holder = holder(of: found)
      if holder == mine { return nil }
      guard holder.endpoint == mine.endpoint else { return holder }
      // It moved here.
      revision = found.modRevision
    }
  }

  private func holder(of value: KeyValue) -> StoredAddress.Holder {
    (try? StoredAddress.read(value.value, [])) ?? StoredAddress.Holder(endpoint: "unknown", host: "unknown")
  }

  private func taken(_ address: IPAddress, _ holder: StoredAddress.Holder) -> ControlError {
    let owner = holder.host.isEmpty ? holder.endpoint : "endpoint \(holder.endpoint) on host \(holder.host)"
    return ControlError(.conflict, "address \(address) is taken by \(owner): choose another")
  }

  /// Without effect where the endpoint does not have it on this host, or no more.
  func releaseAddress(_ address: IPAddress, network: String, endpoint: String) throws(EtcdError) {
    try releaseAddress(address, network: network, holder: StoredAddress.Holder(endpoint: endpoint, host: host))
  }

  func releaseAddress(
    _ address: IPAddress, network: String, holder mine: StoredAddress.Holder
  ) throws(EtcdError) {
    let key = keys.address(address.description, of: network)
    if let found = try client.range(.key(key)).values.first, holder(of: found) == mine {
      try release(found)
    }
    known.withLock { known in
      for subnet in known.keys where subnet.network == network { known[subnet]?.taken.remove(address) }
    }
  }

  /// As long as it is as it was found: another answer means that somebody else has dealt with it.
  private func release(_ found: KeyValue) throws(EtcdError) {
    _ = try client.transaction(
      [.isUnchanged(found.key, since: found.modRevision)], success: [.delete(.key(found.key))])
  }

  /// Gives back what `host` has for others than `holders`, and has had since before `revision` (0: whenever).
  func releaseAddresses(
    of host: String, keeping holders: Set<String> = [], upTo revision: Int64 = 0
  ) throws(EtcdError) {
    for value in try client.readAll(.prefix(keys.allAddresses)).values {
      guard let holder = try? StoredAddress.read(value.value, []), holder.host == host,
        !holders.contains(holder.endpoint), revision == 0 || value.modRevision <= revision
      else { continue }
      try release(value)
    }
  }

  func forgetHost(_ name: String) throws(ControlError) {
    try asking { () throws(EtcdError) in
      guard try client.range(.key(keys.host(name))).values.isEmpty else {
        throw EtcdError(.refused, "host \(name) is in the cluster: stop martletd there first")
      }
      try releaseAddresses(of: name)
    }
  }

  // MARK: VNIs

  func claimVNI(network: String, wanted: UInt32?) throws(ControlError) -> UInt32 {
    if let wanted {
      guard ClusterLimits.vnis.contains(wanted) else {
        throw ControlError(.invalid, "VNI \(wanted): allowed is 0 to \(ClusterLimits.vnis.upperBound)")
      }
      if let other = try claim(wanted, network) {
        throw ControlError(.conflict, "VNI \(wanted) is taken by network \(other): choose another")
      }
      return wanted
    }
    for _ in 0..<ClusterLimits.claimAttempts {
      let candidate = UInt32.random(in: ClusterLimits.chosenVNIs)
      if try claim(candidate, network) == nil { return candidate }
    }
    throw ControlError(
      .exhausted, "\(ClusterLimits.claimAttempts) VNIs chosen by chance are all taken: say which is to be taken")
  }

  /// nil: the network has it now. Else which network has it.
  private func claim(_ vni: UInt32, _ network: String) throws(ControlError) -> String? {
    let key = keys.vni(vni)
    while true {
      let answer = try change(
        [.isAbsent(key)], success: [.put(key, StoredNetworkID(network).data)], failure: [.range(.key(key))])
      if answer.succeeded { return nil }
      guard let found = answer.results[0].first else { continue }
      let owner = owner(of: found)
      return owner == network ? nil : owner
    }
  }

  private func owner(of value: KeyValue) -> String { (try? StoredNetworkID.read(value.value, [])) ?? "unknown" }

  func hasVNI(_ vni: UInt32, network: String) throws(ControlError) -> Bool {
    let found = try asking { () throws(EtcdError) in try client.range(.key(keys.vni(vni))).values.first }
    return found.map(owner) == network
  }

  /// Without effect where the network does not have it.
  func releaseVNI(_ vni: UInt32, network: String) throws(ControlError) {
    try asking { () throws(EtcdError) in
      guard let found = try client.range(.key(keys.vni(vni))).values.first, owner(of: found) == network else { return }
      try release(found)
    }
  }
}

extension Claims {
  /// A transaction that is sent again, a few times at most, where its answer was lost: it may then have been done
  /// before, which `failure` must tell.
  func change(
    _ compares: [Compare], success: [Operation], failure: [Operation]
  ) throws(ControlError) -> TransactionAnswer {
    try asking { () throws(EtcdError) in
      for _ in 1..<ClusterLimits.lostAnswers {
        do throws(EtcdError) {
          return try client.transaction(compares, success: success, failure: failure)
        } catch {
          if error.code != .uncertain { throw error }
        }
      }
      return try client.transaction(compares, success: success, failure: failure)
    }
  }

  /// What went wrong with etcd, for a person.
  func asking<Value>(_ body: () throws(EtcdError) -> Value) throws(ControlError) -> Value {
    do throws(EtcdError) {
      return try body()
    } catch {
      throw ControlError(error)
    }
  }
}

extension ControlError {
  init(_ error: EtcdError) {
    switch error.code {
    case .invalid: self.init(.invalid, error.message)
    case .unreachable, .uncertain, .cancelled:
      self.init(
        .system, "\(error.message): the cluster's store cannot be reached; what runs goes on, try again when it is back"
      )
    default: self.init(.system, error.message)
    }
  }
}
