import FoundationEssentials
import Wire

// What etcd keeps, as JSON: addresses as people write them, and a version. A field that is not known is passed over; a
// change that older readers would misunderstand has a higher version, which they leave alone.

/// Why a value of etcd's is not taken.
struct UnreadableValue: Error, CustomStringConvertible {
  var description: String
}

/// A value's form. `ids`, from the key, are not kept twice.
protocol StoredValue: Codable {
  associatedtype Value
  var version: Int { get }
  init(_ value: Value)
  func value(_ ids: [String]) throws(UnreadableValue) -> Value
}

extension StoredValue {
  static var currentVersion: Int { 1 }

  static func read(_ data: Data, _ ids: [String]) throws(UnreadableValue) -> Value {
    let stored: Self
    do {
      stored = try JSONDecoder().decode(Self.self, from: data)
    } catch let error as DecodingError {
      throw UnreadableValue(description: words(error))
    } catch {
      throw UnreadableValue(description: "no JSON")
    }
    guard stored.version == currentVersion else {
      throw UnreadableValue(
        description: "its version is \(stored.version), this Martlet reads \(currentVersion): is another host newer?")
    }
    return try stored.value(ids)
  }

  private static func words(_ error: DecodingError) -> String {
    switch error {
    case .keyNotFound(let key, _): "\(key.stringValue) is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      "\(context.codingPath.map(\.stringValue).joined(separator: ".")) is of the wrong type"
    default: "no JSON"
    }
  }

  /// The same bytes for the same value.
  var data: Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return try encoder.encode(self)
    } catch {
      preconditionFailure("texts and whole numbers always have JSON: \(error)")
    }
  }
}

private func parse<Value: LosslessStringConvertible>(
  _ text: String, _ field: String
) throws(UnreadableValue) -> Value {
  guard let value = Value(text) else {
    throw UnreadableValue(description: "\(field) \"\(text.prefix(64))\" cannot be read")
  }
  return value
}

private func parse<Value: LosslessStringConvertible>(
  _ text: String?, _ field: String
) throws(UnreadableValue) -> Value? {
  guard let text else { return nil }
  let value: Value = try parse(text, field)
  return value
}

private func parse<Value: LosslessStringConvertible>(
  _ texts: [String], _ field: String
) throws(UnreadableValue) -> [Value] {
  guard texts.count <= ClusterLimits.addressesPerEndpoint else {
    throw UnreadableValue(description: "\(field): more than \(ClusterLimits.addressesPerEndpoint)")
  }
  var values: [Value] = []
  for text in texts { values.append(try parse(text, field)) }
  return values
}

struct StoredNetwork: StoredValue {
  struct Subnet: Codable {
    var subnet: String
    var gateway: String?
    var range: String?
  }

  var version = currentVersion
  var name: String
  var vni: UInt32?
  var subnets: [Subnet]
  var options: [String: String]?

  init(_ network: ClusterNetwork) {
    (name, vni, options) = (network.name, network.vni, network.options)
    subnets = network.subnets.map {
      Subnet(
        subnet: $0.subnet.description, gateway: $0.gateway?.description, range: $0.range?.description)
    }
  }

  func value(_ ids: [String]) throws(UnreadableValue) -> ClusterNetwork {
    if let vni, !ClusterLimits.vnis.contains(vni) { throw UnreadableValue(description: "vni \(vni) is too large") }
    var all: [ClusterNetwork.Subnet] = []
    for stored in subnets {
      let subnet: IPPrefix = try parse(stored.subnet, "subnet")
      let gateway: IPAddress? = try parse(stored.gateway, "gateway")
      let range: IPPrefix? = try parse(stored.range, "range")
      guard subnet.isNetwork, gateway.map(subnet.contains) ?? true, range.map({ subnet.contains($0) }) ?? true else {
        throw UnreadableValue(description: "subnet \(subnet): gateway or range is not in it")
      }
      all.append(.init(subnet, gateway: gateway, range: range))
    }
    return ClusterNetwork(id: ids[0], name: name, vni: vni, subnets: all, options: options ?? [:])
  }
}

struct StoredHost: StoredValue {
  var version = currentVersion
  var vteps: [String]
  var identity: String

  init(_ host: ClusterHost) { (vteps, identity) = (host.vteps.map(\.description), host.identity) }

  func value(_ ids: [String]) throws(UnreadableValue) -> ClusterHost {
    ClusterHost(name: ids[0], vteps: try parse(vteps, "vteps"), identity: identity)
  }
}

struct StoredEndpoint: StoredValue {
  struct Service: Codable {
    var port: UInt16
    var transport: String
  }

  var version = currentVersion
  var mac: String?
  var addresses: [String]
  var name: String
  var aliases: [String]?
  var services: [Service]?
  var host: String
  var vtep: String?

  init(_ endpoint: ClusterEndpoint) {
    (mac, addresses) = (endpoint.mac?.description, endpoint.addresses.map(\.description))
    (name, aliases, host) = (endpoint.name, endpoint.aliases, endpoint.host)
    services = endpoint.services.map { Service(port: $0.port, transport: $0.transport) }
    vtep = endpoint.vtep?.description
  }

  func value(_ ids: [String]) throws(UnreadableValue) -> ClusterEndpoint {
    let mac: MACAddress? = try parse(self.mac, "mac")
    if let mac, !mac.isValidSource { throw UnreadableValue(description: "mac \(mac) is no host's") }
    guard (aliases ?? []).count <= ClusterLimits.aliases, (services ?? []).count <= ClusterLimits.services else {
      throw UnreadableValue(description: "too many aliases or services")
    }
    return ClusterEndpoint(
      id: ids[1], network: ids[0], mac: mac, addresses: try parse(addresses, "addresses"), name: name,
      aliases: aliases ?? [], services: (services ?? []).map { .init(port: $0.port, transport: $0.transport) },
      host: host, vtep: try parse(vtep, "vtep"))
  }
}

struct StoredService: StoredValue {
  var version = currentVersion
  var addresses: [String]
  var ports: [String]?
  var specification: String

  init(_ service: ClusterService) {
    addresses = service.addresses.map(\.description)
    (ports, specification) = (service.ports, service.specification)
  }

  func value(_ ids: [String]) throws(UnreadableValue) -> ClusterService {
    ClusterService(
      name: ids[1], network: ids[0], addresses: try parse(addresses, "addresses"), ports: ports ?? [],
      specification: specification)
  }
}

/// Whose an address is. It has no lease: it stays when its host dies.
struct StoredAddress: StoredValue {
  struct Holder: Equatable {
    var endpoint: String
    var host: String
  }

  var version = currentVersion
  var endpoint: String
  var host: String

  init(_ holder: Holder) { (endpoint, host) = (holder.endpoint, holder.host) }

  func value(_ ids: [String]) throws(UnreadableValue) -> Holder { Holder(endpoint: endpoint, host: host) }
}

/// Whose a VNI or a network's name is.
struct StoredNetworkID: StoredValue {
  var version = currentVersion
  var network: String

  init(_ network: String) { self.network = network }

  func value(_ ids: [String]) throws(UnreadableValue) -> String { network }
}
