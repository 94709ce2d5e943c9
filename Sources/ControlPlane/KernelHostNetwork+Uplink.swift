import ControlModel
import Glibc
import Netlink
import SystemCalls
import Wire

extension KernelHostNetwork {
  public var hasIPv6: Bool { Self.kernelHasIPv6 }

  public func hostAddresses() throws(ControlError) -> [HostAddress] {
    try withSocket(in: own) { socket throws(Errno) in
      try socket.addresses().map { address in
        let isLasting =
          address.scope == .universe && !address.isTentative && !address.isDuplicate && !address.isDeprecated
          && !address.isTemporary && !address.prefix.isLinkLocal
        return HostAddress(prefix: address.prefix, link: address.linkIndex, isLasting: isLasting)
      }
    }
  }

  public func hostRoutes() throws(ControlError) -> [HostRoute] {
    let tables = [Netlink.Route.Table.local, Netlink.Route.Table.main]
    return try withSocket(in: own) { socket throws(Errno) in
      var routes = try socket.routes(.ipv4, tables: tables)
      if Self.kernelHasIPv6 { routes += try socket.routes(.ipv6, tables: tables) }
      return routes.compactMap { HostRoute($0) }
    }
  }

  public func localPortRange() throws(ControlError) -> ClosedRange<UInt16> {
    let namespace = try open(own)
    return try controlled { () throws(Errno) in try namespace.localPortRange() }
  }

  public func usedPorts() throws(ControlError) -> Set<UInt16> {
    let namespace = try open(own)
    return try controlled { () throws(Errno) in
      var ports: Set<UInt16> = []
      for transport in TransportProtocol.allCases {
        ports.formUnion(try PortUser.boundPorts(protocol: transport, in: namespace))
      }
      return ports
    }
  }

  // MARK: Neighbours

  public func neighbour(_ address: IPAddress, on link: Int32) throws(ControlError) -> MACAddress? {
    try withSocket(in: own) { socket throws(Errno) in
      try socket.neighbours(link: link).first { $0.address == address && $0.isValid }?.mac
    }
  }

  public func resolve(_ address: IPAddress, on link: Int32) throws(ControlError) {
    try withSocket(in: own) { socket throws(Errno) in
      // Asking would take its permanence from an entry that an administrator made.
      let known = try socket.neighbours(link: link).first { $0.address == address }
      if known?.state == .permanent || known?.state == .noARP { return }
      try socket.useNeighbour(address, link: link)
    }
  }

  public func onChange(_ handler: @escaping @Sendable (HostChange) -> Void) {
    changeHandler.withLock { $0 = handler }
  }

  /// From now on, with the neighbours of this link.
  func watch(neighboursOf link: Int32) throws(ControlError) {
    let namespace = try open(own)
    try monitor.withLock { monitor throws(ControlError) in
      if let monitor { return monitor.watchNeighbours(ofLinks: [link]) }
      monitor = try controlled { () throws(Errno) in
        try NetworkMonitor(in: namespace, neighbourLinks: [link]) { [weak self] event in
          // At a start the uplink is there before its handler is.
          guard let change = HostChange(event), let handler = self?.changeHandler.withLock({ $0 }) else { return }
          handler(change)
        }
      }
    }
  }
}

extension HostChange {
  /// nil: of no concern here.
  init?(_ event: NetworkMonitor.Event) {
    switch event {
    case .links, .addresses, .routes, .overrun: self = .configuration
    case .neighbour(let neighbour):
      // What is still being asked for is no news.
      guard neighbour.isValid || neighbour.state == .failed else { return nil }
      self = .neighbour(neighbour.address, link: neighbour.linkIndex)
    // Aged out: nobody said that it does not answer. The data plane asks again when it has need.
    case .neighbourGone: return nil
    }
  }
}

extension HostRoute {
  /// nil: the kernel does not use it now.
  init?(_ route: Netlink.Route) {
    let kind: Kind
    switch route.kind {
    case .unicast: kind = .unicast
    case .local, .broadcast, .anycast: kind = .local
    case .multicast: kind = .multicast
    default: kind = .unreachable
    }
    // Of several hops one is taken for all flows: the first that is alive.
    let hop = route.nextHops.first { !$0.isDead }
    if hop == nil, !route.nextHops.isEmpty { return nil }
    self.init(
      kind, route.destination, gateway: hop?.gateway, link: hop?.linkIndex, metric: route.metric,
      mtu: route.mtu.map(Int.init))
  }
}
