import ControlModel
import Wire

/// A route that a sandbox gets with an endpoint, checked against the network.
struct PlannedRoute: Equatable {
  var destination: IPPrefix
  var gateway: IPAddress

  /// - Parameter subnets: those that the endpoint has an address of.
  static func plan(_ requests: [RouteRequest], subnets: [SubnetRecord]) throws(ControlError) -> [PlannedRoute] {
    guard requests.count <= Limits.routesPerEndpoint else {
      throw ControlError(.invalid, "\(requests.count) routes: at most \(Limits.routesPerEndpoint) are allowed")
    }
    var routes: [PlannedRoute] = []
    for request in requests {
      let route = try plan(request, subnets)
      guard !routes.contains(where: { $0.destination == route.destination }) else {
        throw ControlError(.invalid, "there are two routes to \(route.destination): give one")
      }
      routes.append(route)
    }
    return routes
  }

  private static func plan(_ request: RouteRequest, _ subnets: [SubnetRecord]) throws(ControlError) -> PlannedRoute {
    guard let destination = IPPrefix(request.destination), destination.isNetwork else {
      throw ControlError(.invalid, "route \(request.destination.quoted): a prefix such as 10.1.0.0/16 is needed")
    }
    guard destination.length > 0 else {
      throw ControlError(.invalid, "route \(destination): the default route is the network's to give")
    }
    guard let subnet = subnets.first(where: { $0.isIpv6 == destination.isIPv6 }) else {
      throw ControlError(.invalid, "route \(destination): the endpoint has no address of its family")
    }
    guard let text = request.gateway else {
      guard let gateway = subnet.gateway else {
        throw ControlError(.invalid, "route \(destination): the network has no gateway: name one")
      }
      return PlannedRoute(destination: destination, gateway: gateway)
    }
    guard let gateway = IPAddress(text), subnet.prefix.contains(gateway) else {
      throw ControlError(
        .invalid, "route \(destination): its gateway \(text.quoted) is no address of the subnet \(subnet.prefix)")
    }
    return PlannedRoute(destination: destination, gateway: gateway)
  }
}
