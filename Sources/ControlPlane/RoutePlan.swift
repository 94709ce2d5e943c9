import Wire

/// The host's routes as the data plane is told of them.
///
/// Policy rules other than the kernel's first three, and what they look up, are not looked at.
enum RoutePlan {
  /// - Parameter uplink: the interface's index; nil: there is none now, and nothing but the host can be reached.
  /// - Parameter gateways: indices of the networks' own interfaces, whose routes the data plane does not need.
  static func routes(_ routes: [HostRoute], uplink: Int32?, gateways: Set<Int32>) -> [DataPlaneRoute] {
    var best: [IPPrefix: HostRoute] = [:]
    for route in routes where route.kind != .multicast && !route.destination.isLinkLocal {
      if let link = route.link, gateways.contains(link) { continue }
      if let other = best[route.destination], !route.precedes(other) { continue }
      best[route.destination] = route
    }
    let order = best.values.sorted {
      ($0.destination.length, $0.destination.first.bits) < ($1.destination.length, $1.destination.first.bits)
    }
    return order.map { route in
      DataPlaneRoute(destination: route.destination, target: target(of: route, uplink: uplink), mtu: route.mtu)
    }
  }

  private static func target(of route: HostRoute, uplink: Int32?) -> DataPlaneRoute.Target {
    switch route.kind {
    case .local: .host
    case .unicast where route.link != nil && route.link == uplink: .uplink(gateway: route.gateway)
    case .unicast, .multicast, .unreachable: .unreachable
    }
  }
}

extension HostRoute {
  /// Of two routes to the same prefix: the local table is asked first, then the metric counts.
  fileprivate func precedes(_ other: HostRoute) -> Bool {
    if (kind == .local) != (other.kind == .local) { return kind == .local }
    return metric < other.metric
  }
}

extension IPPrefix {
  /// Never forwarded (RFC 4291, 2.5.6).
  var isLinkLocal: Bool { if case .v6(let address) = address { address.isLinkLocal } else { false } }
}
