import ControlModel
import Glibc
import Netlink
import SystemCalls
import Wire

extension KernelHostNetwork {
  public func addAddress(
    _ address: IPPrefix, to name: String, in namespace: NamespaceReference
  ) throws(ControlError) {
    try withLink(name, in: namespace) { socket, link throws(Errno) in
      do throws(Errno) {
        try socket.addAddress(address, link: link.index, noDAD: true)
      } catch let error where error.code == EEXIST {
        return
      }
    }
  }

  public func removeAddress(
    _ address: IPPrefix, from name: String, in namespace: NamespaceReference
  ) throws(ControlError) {
    try withLink(name, in: namespace) { socket, link throws(Errno) in
      do throws(Errno) {
        try socket.removeAddress(address, link: link.index)
      } catch let error where error.code == EADDRNOTAVAIL {
        return
      }
    }
  }

  // MARK: Routes

  public func hasDefaultRoute(ipv6: Bool, in namespace: NamespaceReference) throws(ControlError) -> Bool {
    try withSocket(in: namespace) { socket throws(Errno) in
      try socket.routes(ipv6 ? .ipv6 : .ipv4, table: Netlink.Route.Table.main).contains {
        $0.destination.length == 0 && $0.kind == .unicast
      }
    }
  }

  private func defaultRoute(via gateway: IPAddress, on link: Link) -> Netlink.Route {
    Netlink.Route(destination: gateway.family.everything, gateway: gateway, linkIndex: link.index, origin: .martlet)
  }

  public func addDefaultRoute(
    via gateway: IPAddress, on name: String, in namespace: NamespaceReference
  ) throws(ControlError) {
    try withLink(name, in: namespace) { socket, link throws(Errno) in
      try socket.addRoute(defaultRoute(via: gateway, on: link))
    }
  }

  public func removeDefaultRoute(
    via gateway: IPAddress, on name: String, in namespace: NamespaceReference
  ) throws(ControlError) {
    try withLink(name, in: namespace) { socket, link throws(Errno) in
      do throws(Errno) {
        try socket.removeRoute(defaultRoute(via: gateway, on: link))
      } catch let error where error.code == ESRCH {
        return
      }
    }
  }

  public func addRoute(
    to destination: IPPrefix, via gateway: IPAddress, on name: String, in namespace: NamespaceReference
  ) throws(ControlError) {
    let isThere = try withLink(name, in: namespace) { socket, link throws(Errno) in
      do throws(Errno) {
        try socket.addRoute(
          Netlink.Route(destination: destination, gateway: gateway, linkIndex: link.index, origin: .martlet))
        return false
      } catch let error where error.code == EEXIST {
        return true
      }
    }
    if isThere {
      throw ControlError(.conflict, "\(namespace.path) has a route to \(destination) already")
    }
  }

  public func routes(in namespace: NamespaceReference) throws(ControlError) -> [ControlModel.Route] {
    try withSocket(in: namespace) { socket throws(Errno) in
      var names: [Int32: String] = [:]
      for link in try socket.links() { names[link.index] = link.name }
      let table = Netlink.Route.Table.main
      let routes = try socket.routes(.ipv4, table: table) + socket.routes(.ipv6, table: table)
      return routes.filter { $0.kind == .unicast }.map { route in
        ControlModel.Route(
          destination: route.destination.length == 0 ? "default" : route.destination.description,
          gateway: route.gateway?.description, interface: route.linkIndex.flatMap { names[$0] } ?? "")
      }
    }
  }

  /// Prefixes so short that they stand for everything, as the two halves of a default route that VPNs set.
  private static let shortestRoutedPrefix = 8

  public func routedPrefixes(except interfaces: Set<String>) throws(ControlError) -> [IPPrefix] {
    try withSocket(in: own) { socket throws(Errno) in
      let left = Set(try socket.links().filter { interfaces.contains($0.name) }.map(\.index))
      let table = Netlink.Route.Table.main
      let routes = try socket.routes(.ipv4, table: table) + socket.routes(.ipv6, table: table)
      return routes.filter { route in
        route.destination.length >= Self.shortestRoutedPrefix && !(route.linkIndex.map(left.contains) ?? false)
          && !route.destination.isLinkLocal
      }.map(\.destination)
    }
  }

  public func forgetNeighbours(_ addresses: [IPAddress], on interface: String) throws(ControlError) {
    try withSocket(in: own) { socket throws(Errno) in
      guard let link = try socket.link(named: interface) else { return }
      for address in addresses { try socket.flushNeighbours(link: link.index, address: address) }
    }
  }
}

extension Netlink.Route.Origin {
  /// Marks what Martlet made (rtm_protocol, FRA_PROTOCOL): a number that linux/rtnetlink.h gives to nobody.
  static let martlet = Netlink.Route.Origin(rawValue: 109)
}
