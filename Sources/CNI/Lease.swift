import ControlModel
import Wire

/// What a delegated plugin gives an attachment: a result without interfaces (CNI 1.1.0, section 4).
struct Lease {
  struct Address: Equatable {
    var prefix: IPPrefix
    var gateway: IPAddress?
  }
  struct Route: Equatable {
    var destination: IPPrefix
    /// nil: the network's gateway.
    var gateway: IPAddress?
  }

  private(set) var addresses: [Address] = []
  private(set) var routes: [Route] = []
  private(set) var dns: JSONValue?

  /// - Parameter plugin: its name, for messages.
  init(_ output: [UInt8], of plugin: String) throws(ControlError) {
    guard let value = JSONValue(output) else { throw ControlError(.system, "\(plugin) answered no JSON") }
    let result = try JSONObject(value, name: "the result of \(plugin)")
    for entry in try result.objects("ips") ?? [] {
      guard let text = try entry.string("address"), let prefix = IPPrefix(text) else {
        throw ControlError(.invalid, "\(entry.path("address")) is no address with a prefix length")
      }
      addresses.append(Address(prefix: prefix, gateway: try Self.gateway(entry, "gateway")))
    }
    guard !addresses.isEmpty else { throw ControlError(.invalid, "\(plugin) gave no address") }
    routes = try Self.routes(try result.objects("routes") ?? [])
    if let dns = try result.object("dns"), !dns.fields.isEmpty { self.dns = .object(dns.fields) }
  }

  static func routes(_ entries: [JSONObject]) throws(ControlError) -> [Route] {
    var routes: [Route] = []
    for entry in entries {
      guard let text = try entry.string("dst"), let destination = IPPrefix(text) else {
        throw ControlError(.invalid, "\(entry.path("dst")) is no prefix such as 10.1.0.0/16")
      }
      for key in ["mtu", "advmss", "priority", "table", "scope"] where entry.has(key) {
        throw ControlError(.unsupported, "\(entry.path(key)) \(entry.fields[key]!.text): routes have none of it")
      }
      routes.append(Route(destination: destination, gateway: try gateway(entry, "gw")))
    }
    return routes
  }

  private static func gateway(_ entry: JSONObject, _ key: String) throws(ControlError) -> IPAddress? {
    guard let text = try entry.string(key), !text.isEmpty else { return nil }
    guard let address = IPAddress(text) else {
      throw ControlError(.invalid, "\(entry.path(key)) \(quoted(text)) is no IP address")
    }
    return address
  }
}
