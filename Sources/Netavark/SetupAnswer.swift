import CNI
import ControlModel
import Wire

/// What `setup` answers.
struct SetupAnswer {
  var endpoint: Endpoint
  var network: Network

  var json: JSONValue {
    let subnets = endpoint.addresses.map { address in
      var fields: [String: JSONValue] = ["ipnet": .string(address)]
      let subnet = network.subnets.first { subnet in
        IPPrefix(address).map { IPPrefix(subnet.subnet)?.contains($0.address) ?? false } ?? false
      }
      fields["gateway"] = subnet?.gateway.map { .string($0) }
      return JSONValue.object(fields)
    }
    let interface = JSONValue.object(["mac_address": .string(endpoint.mac), "subnets": .array(subnets)])
    return .object([
      "interfaces": .object([endpoint.interface: interface]),
      "dns_server_ips": .array(endpoint.nameServers.map { .string($0) }),
      "dns_search_domains": .array([]),
    ])
  }
}
