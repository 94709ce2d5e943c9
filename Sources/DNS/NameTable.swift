import Wire

/// Who is called what, by network: what is known of names, and no more. The names of an endpoint go with it. What a
/// look-up costs depends on the networks that the asker is on, and on the endpoints of the one name.
struct NameTable {
  private struct Network {
    var domain: DomainName?
    var endpoints: Set<String> = []
    /// By `DomainName.key`.
    var names: [String: Holders] = [:]
    var addresses: [IPAddress: String] = [:]
  }

  /// The endpoints that have a name; `turn` is the first of the next answer.
  private struct Holders {
    var endpoints: [String]
    var turn = 0
  }

  fileprivate struct Entry {
    var endpoint: NamedEndpoint
    var names: [DomainName]
    /// Beside each service of the endpoint, what /etc/services calls its port.
    var serviceNames: [[String]]
  }

  enum Finding: Equatable {
    /// Not ours.
    case unknown
    case noSuchName
    /// None is NODATA: the name has no record of that type (RFC 2308, 2.2).
    case records([Record], additional: [Record] = [])
  }

  /// Records in one answer.
  let recordCountMax: Int
  private var networks: [String: Network] = [:]
  private var entries: [String: Entry] = [:]
  /// Endpoints of a sandbox in the order they were connected.
  private var sandboxes: [String: [String]] = [:]

  init(recordCountMax: Int) { self.recordCountMax = recordCountMax }

  mutating func setNetwork(id: String, domain: DomainName?) { networks[id, default: Network()].domain = domain }

  mutating func removeNetwork(id: String) {
    for endpoint in networks[id]?.endpoints ?? [] { removeEndpoint(id: endpoint) }
    networks[id] = nil
  }

  mutating func setEndpoint(_ endpoint: NamedEndpoint, serviceNames: [[String]]) {
    // Where it was: the order of a sandbox's networks is that in which they were connected.
    let place = entries[endpoint.id].flatMap { old in
      old.endpoint.sandbox == endpoint.sandbox ? sandboxes[endpoint.sandbox]?.firstIndex(of: endpoint.id) : nil
    }
    removeEndpoint(id: endpoint.id)
    let names = endpoint.names.compactMap(DomainName.init)
    entries[endpoint.id] = Entry(endpoint: endpoint, names: names, serviceNames: serviceNames)
    sandboxes[endpoint.sandbox, default: []].insert(
      endpoint.id, at: place ?? sandboxes[endpoint.sandbox]?.count ?? 0)
    var network = networks.removeValue(forKey: endpoint.network) ?? Network()
    network.endpoints.insert(endpoint.id)
    for key in Set(names.map(\.key)) {
      network.names[key, default: Holders(endpoints: [])].endpoints.append(endpoint.id)
    }
    for address in endpoint.addresses { network.addresses[address] = endpoint.id }
    networks[endpoint.network] = network
  }

  mutating func removeEndpoint(id: String) {
    guard let entry = entries.removeValue(forKey: id) else { return }
    let endpoint = entry.endpoint
    sandboxes[endpoint.sandbox]?.removeAll { $0 == id }
    if sandboxes[endpoint.sandbox]?.isEmpty == true { sandboxes[endpoint.sandbox] = nil }
    guard var network = networks.removeValue(forKey: endpoint.network) else { return }
    network.endpoints.remove(id)
    for name in entry.names {
      network.names[name.key]?.endpoints.removeAll { $0 == id }
      if network.names[name.key]?.endpoints.isEmpty == true { network.names[name.key] = nil }
    }
    for address in endpoint.addresses where network.addresses[address] == id { network.addresses[address] = nil }
    networks[endpoint.network] = network
  }

  /// The networks whose names the asker may know, the one it asks in first; nil for a stranger, who gets nothing.
  func scope(of clientele: Clientele, source: IPAddress?, isHost: Bool) -> [String]? {
    switch clientele {
    case .sandbox(let sandbox):
      return networks(of: sandbox)
    case .network(let id):
      if isHost { return [id] }
      guard let source, let endpoint = networks[id]?.addresses[source], let entry = entries[endpoint]
      else { return nil }
      return [id] + networks(of: entry.endpoint.sandbox).filter { $0 != id }
    }
  }

  private func networks(of sandbox: String) -> [String] {
    (sandboxes[sandbox] ?? []).compactMap { entries[$0]?.endpoint.network }
  }

  /// The first of `scope` that knows the name has the word: so A and AAAA are of one sandbox. Counts the name's turn
  /// on.
  mutating func find(_ question: Question, in scope: [String]) -> Finding {
    if let address = IPAddress(reverseName: question.key) { return findPointer(address, question.type, in: scope) }
    for id in scope {
      guard let (name, isQualified) = locate(question.key[...], in: id) else { continue }
      guard question.type == .a || question.type == .aaaa else { return .records([]) }
      return .records(addresses(of: name, in: id, isIPv6: question.type == .aaaa, isQualified: isQualified))
    }
    return findService(question, in: scope)
  }

  private func findPointer(_ address: IPAddress, _ type: RecordType, in scope: [String]) -> Finding {
    for id in scope {
      guard let network = networks[id], let endpoint = network.addresses[address],
        let name = entries[endpoint]?.names.first
      else { continue }
      guard type == .ptr else { return .records([]) }
      return .records([Record(content: .pointer(network.domain.flatMap { name.within($0) } ?? name))])
    }
    return .unknown
  }

  /// NAME or NAME.NETWORK: the key by which the network knows it.
  private func locate(_ key: Substring, in id: String) -> (name: String, isQualified: Bool)? {
    guard let network = networks[id] else { return nil }
    let plain = String(key)
    if network.names[plain] != nil { return (plain, false) }
    guard let domain = network.domain, key.hasSuffix(domain.key) else { return nil }
    let rest = key.dropLast(domain.key.utf8.count)
    guard rest.last == "." else { return nil }
    let name = String(rest.dropLast())
    return network.names[name] == nil ? nil : (name, true)
  }

  private mutating func addresses(of name: String, in id: String, isIPv6: Bool, isQualified: Bool) -> [Record] {
    var records: [Record] = []
    for endpoint in inTurn(name, in: id) {
      for address in entries[endpoint]?.endpoint.addresses ?? [] where address.isIPv6 == isIPv6 {
        records.append(Record(content: .address(address)))
        if records.count == recordCountMax { return records }
      }
    }
    return records
  }

  /// Those that have the name, another one first each time.
  private mutating func inTurn(_ name: String, in id: String) -> [String] {
    guard let holders = networks[id]?.names[name] else { return [] }
    guard holders.endpoints.count > 1 else { return holders.endpoints }
    let first = holders.turn % holders.endpoints.count
    networks[id]?.names[name]?.turn = first + 1
    return Array(holders.endpoints[first...] + holders.endpoints[..<first])
  }

  /// `_SERVICE._PROTOCOL.NAME` (RFC 2782), the service by its port or by what /etc/services calls it.
  private mutating func findService(_ question: Question, in scope: [String]) -> Finding {
    let labels = question.key.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    guard labels.count == 3, labels[0].first == "_", labels[1].first == "_" else { return .unknown }
    let (service, transport) = (labels[0].dropFirst(), labels[1].dropFirst())
    for id in scope {
      guard let (name, isQualified) = locate(labels[2], in: id) else { continue }
      let domain = isQualified ? networks[id]?.domain : nil
      var (answers, additional): ([Record], [Record]) = ([], [])
      for endpoint in inTurn(name, in: id) {
        guard let entry = entries[endpoint], let own = entry.names.first else { continue }
        let target = domain.flatMap { own.within($0) } ?? own
        let ports = entry.ports(of: service, transport)
        guard !ports.isEmpty, answers.count + ports.count <= recordCountMax else { continue }
        answers += ports.map { Record(content: .service(port: $0, target: target)) }
        additional += entry.endpoint.addresses.map { Record(owner: target, content: .address($0)) }
      }
      if answers.isEmpty { return .noSuchName }
      return .records(question.type == .srv ? answers : [], additional: question.type == .srv ? additional : [])
    }
    return .unknown
  }
}

extension NameTable.Entry {
  fileprivate func ports(of service: Substring, _ transport: Substring) -> [UInt16] {
    zip(endpoint.services, serviceNames).compactMap { offered, names in
      let isMeant = String(offered.port) == service || names.contains { $0 == service }
      return isMeant && offered.transport.rawValue == transport ? offered.port : nil
    }
  }
}
