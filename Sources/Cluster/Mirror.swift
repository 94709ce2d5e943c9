import Etcd
import FoundationEssentials
import Wire

// Theory of operation. What was read stands here by its key. Of endpoints that have a MAC or an IP address in common
// only the one that was changed last is shown: a container that moved may be published by its new host while its old
// one has not withdrawn it, or is dead with its lease still running. What a batch of events comes to is told as the
// difference between what was shown before and what is shown now, and it does not matter whether they came from a watch
// or from reading all again.

/// What etcd has below `state`, as far as it can be read. A value, pure.
struct Mirror {
  private struct Entry<Value: Equatable> {
    var value: Value
    var modRevision: Int64
  }

  /// What two endpoints of a network cannot both have.
  private enum Possession: Hashable {
    case mac(String, MACAddress)
    case address(String, IPAddress)
  }

  private let keys: ClusterKeys
  private var networks: [String: Entry<ClusterNetwork>] = [:]
  private var hosts: [String: Entry<ClusterHost>] = [:]
  /// By key.
  private var services: [String: Entry<ClusterService>] = [:]
  /// By key.
  private var endpoints: [String: Entry<ClusterEndpoint>] = [:]
  private var owners: [Possession: Set<String>] = [:]
  /// By key; a part of `endpoints`.
  private var shown: [String: ClusterEndpoint] = [:]
  /// What could not be read, since it was last asked for: by key, with the reason.
  private(set) var unreadable: [(key: String, reason: String)] = []

  init(keys: ClusterKeys) { self.keys = keys }

  var allNetworks: [ClusterNetwork] { networks.values.map(\.value) }
  var allServices: [ClusterService] { services.values.map(\.value) }
  var allHosts: [ClusterHost] { hosts.values.map(\.value) }
  var allEndpoints: [ClusterEndpoint] { Array(shown.values) }

  /// All that is known, as `replace` takes it.
  var keyValues: [KeyValue] {
    func keyValue<Value>(_ key: String, _ entry: Entry<Value>, _ data: Data) -> KeyValue {
      KeyValue(
        key: key, value: data, createRevision: entry.modRevision, modRevision: entry.modRevision, version: 1)
    }
    return networks.map { keyValue(keys.network($0), $1, StoredNetwork($1.value).data) }
      + hosts.map { keyValue(keys.host($0), $1, StoredHost($1.value).data) }
      + endpoints.map { keyValue($0, $1, StoredEndpoint($1.value).data) }
      + services.map { keyValue($0, $1, StoredService($1.value).data) }
  }

  /// Takes events of a watch.
  mutating func apply(_ events: [WatchEvent]) -> [ClusterChange] {
    change { mirror, touched in
      for event in events {
        switch event {
        case .put(let value): mirror.put(value, &touched)
        case .delete(let key, _): mirror.remove(key, &touched)
        }
      }
    }
  }

  /// Takes all that there is.
  mutating func replace(with values: [KeyValue]) -> [ClusterChange] {
    change { mirror, touched in
      let present = Set(values.map(\.key))
      let known =
        mirror.networks.keys.map { mirror.keys.network($0) } + mirror.hosts.keys.map { mirror.keys.host($0) }
        + mirror.endpoints.keys + mirror.services.keys
      for key in known where !present.contains(key) { mirror.remove(key, &touched) }
      for value in values { mirror.put(value, &touched) }
    }
  }

  /// What was touched, and what it was before.
  private struct Touched {
    var networks: [String: ClusterNetwork?] = [:]
    var hosts: [String: ClusterHost?] = [:]
    var services: [String: ClusterService?] = [:]
    /// Keys, of neighbours too.
    var endpoints: Set<String> = []
  }

  private mutating func change(_ body: (inout Mirror, inout Touched) -> Void) -> [ClusterChange] {
    unreadable = []
    var touched = Touched()
    body(&self, &touched)
    let networkChanges = touched.networks.compactMap { Self.difference($1, networks[$0]?.value) }
    let hostChanges = touched.hosts.compactMap { Self.difference($1, hosts[$0]?.value) }
    let serviceChanges = touched.services.compactMap { Self.difference($1, services[$0]?.value) }
    let endpointChanges = show(touched.endpoints)
    func isGone<Value>(_ change: Change<Value>) -> Bool { if case .gone = change { true } else { false } }
    return networkChanges.filter { !isGone($0) }.map { .network($0) }
      + hostChanges.filter { !isGone($0) }.map { .host($0) }
      + endpointChanges.map { .endpoint($0) } + serviceChanges.map { .service($0) }
      + hostChanges.filter(isGone).map { .host($0) } + networkChanges.filter(isGone).map { .network($0) }
  }

  private static func difference<Value: Equatable>(_ before: Value?, _ now: Value?) -> Change<Value>? {
    switch (before, now) {
    case (nil, nil): nil
    case (nil, let now?): .added(now)
    case (let before?, nil): .gone(before)
    case (let before?, let now?): before == now ? nil : .changed(now, from: before)
    }
  }

  private mutating func put(_ value: KeyValue, _ touched: inout Touched) {
    guard let (kind, ids) = keys.parse(value.key) else {
      return unreadable.append((value.key, "not a key of this Martlet's"))
    }
    do throws(UnreadableValue) {
      switch kind {
      case .networks:
        let network = try StoredNetwork.read(value.value, ids)
        touch(&touched.networks, ids[0], networks[ids[0]]?.value)
        networks[ids[0]] = Entry(value: network, modRevision: value.modRevision)
      case .hosts:
        let host = try StoredHost.read(value.value, ids)
        touch(&touched.hosts, ids[0], hosts[ids[0]]?.value)
        hosts[ids[0]] = Entry(value: host, modRevision: value.modRevision)
      case .services:
        let service = try StoredService.read(value.value, ids)
        touch(&touched.services, value.key, services[value.key]?.value)
        services[value.key] = Entry(value: service, modRevision: value.modRevision)
      case .endpoints:
        let endpoint = try StoredEndpoint.read(value.value, ids)
        removeEndpoint(value.key, &touched)
        endpoints[value.key] = Entry(value: endpoint, modRevision: value.modRevision)
        for possession in Self.possessions(of: endpoint) {
          touched.endpoints.formUnion(owners[possession] ?? [])
          owners[possession, default: []].insert(value.key)
        }
      }
    } catch {
      unreadable.append((value.key, error.description))
      // As it would be for who reads it for the first time.
      remove(value.key, &touched)
    }
  }

  private mutating func remove(_ key: String, _ touched: inout Touched) {
    guard let (kind, ids) = keys.parse(key) else { return }
    switch kind {
    case .networks:
      touch(&touched.networks, ids[0], networks[ids[0]]?.value)
      networks[ids[0]] = nil
    case .hosts:
      touch(&touched.hosts, ids[0], hosts[ids[0]]?.value)
      hosts[ids[0]] = nil
    case .services:
      touch(&touched.services, key, services[key]?.value)
      services[key] = nil
    case .endpoints: removeEndpoint(key, &touched)
    }
  }

  private func touch<Value>(_ touched: inout [String: Value?], _ id: String, _ before: Value?) {
    if touched[id] == nil { touched[id] = .some(before) }
  }

  private mutating func removeEndpoint(_ key: String, _ touched: inout Touched) {
    touched.endpoints.insert(key)
    guard let entry = endpoints.removeValue(forKey: key) else { return }
    for possession in Self.possessions(of: entry.value) {
      owners[possession]?.remove(key)
      touched.endpoints.formUnion(owners[possession] ?? [])
      if owners[possession]?.isEmpty == true { owners[possession] = nil }
    }
  }

  private static func possessions(of endpoint: ClusterEndpoint) -> [Possession] {
    (endpoint.mac.map { [.mac(endpoint.network, $0)] } ?? [])
      + endpoint.addresses.map { .address(endpoint.network, $0) }
  }

  /// Nobody changed later has anything of this endpoint's.
  private func isLatest(_ key: String, _ entry: Entry<ClusterEndpoint>) -> Bool {
    Self.possessions(of: entry.value).allSatisfy { possession in
      owners[possession]!.allSatisfy { other in
        other == key || (endpoints[other]!.modRevision, other) < (entry.modRevision, key)
      }
    }
  }

  /// Shows of the endpoints `keys` what is to be shown, and tells what that changed: first what went, last what came.
  private mutating func show(_ keys: Set<String>) -> [Change<ClusterEndpoint>] {
    var (gone, changed, added): ([ClusterEndpoint], [Change<ClusterEndpoint>], [ClusterEndpoint]) = ([], [], [])
    for key in keys.sorted() {
      let before = shown[key]
      let now = endpoints[key].flatMap { isLatest(key, $0) ? $0.value : nil }
      shown[key] = now
      switch Self.difference(before, now) {
      case nil: break
      case .gone(let endpoint): gone.append(endpoint)
      case .added(let endpoint): added.append(endpoint)
      case .changed(let now, let before): changed.append(.changed(now, from: before))
      }
    }
    // One that went and one that came with its address are one that moved.
    var heirs: [Possession: Int] = [:]
    for (index, endpoint) in added.enumerated() {
      for possession in Self.possessions(of: endpoint) { heirs[possession] = index }
    }
    var inherited: Set<Int> = []
    gone.removeAll { endpoint in
      for possession in Self.possessions(of: endpoint) {
        guard let index = heirs[possession], inherited.insert(index).inserted else { continue }
        changed.append(.changed(added[index], from: endpoint))
        return true
      }
      return false
    }
    let new = added.enumerated().filter { !inherited.contains($0.offset) }.map(\.element)
    return gone.map { .gone($0) } + changed + new.map { .added($0) }
  }
}
