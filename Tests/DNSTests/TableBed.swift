import Wire

@testable import DNS

/// A table that is told and asked in few words.
struct TableBed {
  var table: NameTable

  init(recordCountMax: Int = NameServerLimits().recordCountMax) { table = NameTable(recordCountMax: recordCountMax) }

  mutating func network(_ id: String, _ name: String) { table.setNetwork(id: id, domain: DomainName(name)) }

  mutating func endpoint(
    _ id: String, _ network: String, _ sandbox: String, _ names: [String], _ addresses: [String],
    _ services: [NamedEndpoint.Service] = []
  ) {
    table.setEndpoint(
      NamedEndpoint(
        id: id, network: network, sandbox: sandbox, names: names, addresses: addresses.map { IPAddress($0)! },
        services: services),
      serviceNames: services.map { $0.port == 80 ? ["http", "www"] : $0.port == 53 ? ["domain"] : [] })
  }

  /// `name` is taken as a question's: in small letters.
  mutating func find(_ name: String, _ type: RecordType, for sandbox: String) -> NameTable.Finding {
    let scope = table.scope(of: .sandbox(sandbox), source: nil, isHost: false)!
    return table.find(Question(key: name.lowercased(), type: type), in: scope)
  }

  mutating func addresses(_ name: String, _ type: RecordType = .a, for sandbox: String) -> [String] {
    guard case .records(let records, _) = find(name, type, for: sandbox) else { return [] }
    return records.map { if case .address(let address) = $0.content { "\(address)" } else { "not an address" } }
  }

  mutating func pointer(_ name: String, for sandbox: String) -> String? {
    guard case .records(let records, _) = find(name, .ptr, for: sandbox), records.count == 1,
      case .pointer(let name) = records[0].content
    else { return nil }
    return name.text
  }

  /// `TARGET:PORT`, as far as each target's address comes along.
  mutating func services(_ name: String, for sandbox: String) -> [String] {
    guard case .records(let records, let additional) = find(name, .srv, for: sandbox) else { return [] }
    return records.compactMap { record in
      guard case .service(let port, let target) = record.content, additional.contains(where: { $0.owner == target })
      else { return nil }
      return "\(target.text):\(port)"
    }
  }
}
