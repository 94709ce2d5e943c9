import ControlModel
import Wire

/// What an ADD answers: an interface with its addresses and routes, behind those of the plugins before it in the chain.
struct AttachmentResult {
  var endpoint: Endpoint
  var network: Network
  /// Of the namespace, those over the endpoint's interface.
  var routes: [Route]
  /// As CNI_NETNS names it.
  var namespace: String
  var dns: JSONValue?

  /// - Parameter previous: the result of the plugins before, whose every field is kept.
  func json(_ version: SpecVersion, after previous: JSONObject?) throws(ControlError) -> JSONValue {
    var fields = previous?.fields ?? [:]
    let interfaces = try previous?.array("interfaces") ?? []
    fields["cniVersion"] = .string(version.rawValue)
    fields["interfaces"] = .array(interfaces + [interface(version)])
    let addresses = endpoint.addresses.map { address($0, version, interface: interfaces.count) }
    fields["ips"] = .array(try (previous?.array("ips") ?? []) + addresses)
    fields["routes"] = .array(try (previous?.array("routes") ?? []) + ownRoutes)
    if let dns {
      fields["dns"] = dns
    } else if fields["dns"] == nil {
      let servers = endpoint.nameServers.map { JSONValue.string($0) }
      fields["dns"] = .object(servers.isEmpty ? [:] : ["nameservers": .array(servers)])
    }
    return .object(fields)
  }

  private func interface(_ version: SpecVersion) -> JSONValue {
    var fields: [String: JSONValue] = [
      "name": .string(endpoint.interface), "mac": .string(endpoint.mac), "sandbox": .string(namespace),
    ]
    if version.hasInterfaceMTU { fields["mtu"] = .integer(Int64(endpoint.mtu)) }
    return .object(fields)
  }

  private func address(_ text: String, _ version: SpecVersion, interface: Int) -> JSONValue {
    let prefix = IPPrefix(text)
    var fields: [String: JSONValue] = ["address": .string(text), "interface": .integer(Int64(interface))]
    if version.namesFamily { fields["version"] = prefix?.isIPv6 == true ? "6" : "4" }
    let subnet = network.subnets.first { subnet in
      prefix.map { IPPrefix(subnet.subnet)?.contains($0.address) ?? false } ?? false
    }
    fields["gateway"] = subnet?.gateway.map { .string($0) }
    return .object(fields)
  }

  /// Without those of the kernel to the subnets themselves.
  private var ownRoutes: [JSONValue] {
    routes.compactMap { route in
      guard let gateway = route.gateway else { return nil }
      let everything = gateway.contains(":") ? "::/0" : "0.0.0.0/0"
      let destination = route.destination == "default" ? everything : route.destination
      return .object(["dst": .string(destination), "gw": .string(gateway)])
    }
  }
}
