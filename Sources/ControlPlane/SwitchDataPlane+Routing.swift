import ControlModel
import Datapath
import LinuxIO
import SystemCalls
import Tables
import Wire

extension SwitchDataPlane {
  // MARK: The uplink

  public func raiseUplink(
    socket: consuming FileDescriptorGroup, claims: PortClaims, _ uplink: DataPlaneUplink
  ) throws(ControlError) -> DataPlanePort {
    let handle: PortHandle
    do throws(Errno) {
      handle = try fabric.raiseUplink(socket: socket, claims: claims, UplinkOptions(uplink))
    } catch {
      throw ControlError(error)
    }
    return state.withLock { state in
      let port = DataPlanePort(index: state.number())
      state.uplink = (port, handle, claims)
      state.portsByHandle[handle] = port
      return port
    }
  }

  public func changeUplink(_ uplink: DataPlaneUplink) throws(ControlError) {
    guard let (_, handle, claims) = state.withLock({ $0.uplink }) else {
      throw ControlError(.notFound, "there is no uplink in the data plane")
    }
    fabric.changeUplink(handle, claims: claims, UplinkOptions(uplink))
  }

  public func lowerUplink() throws(ControlError) {
    let uplink = state.withLock { state in
      if let handle = state.uplink?.handle { state.portsByHandle.removeValue(forKey: handle) }
      defer { state.uplink = nil }
      return state.uplink
    }
    if let uplink { fabric.lowerUplink(uplink.handle) }
  }

  // MARK: Where things are

  public func setGateway(_ gateway: DataPlaneGateway?, of network: DataPlaneNetwork) throws(ControlError) {
    let handle = try handle(network)
    guard let gateway else { return fabric.setGateway(nil, of: handle) }
    let port: UInt16? = if let port = gateway.port { try self.handle(port).index } else { nil }
    fabric.setGateway(
      GatewayOptions(
        mac: gateway.mac, port: port ?? Engine.none, mtu: gateway.mtu, addresses: gateway.addresses,
        translatesIPv4: gateway.translatesIPv4, translatesIPv6: gateway.translatesIPv6, isOpen: gateway.isOpen,
        outbound: gateway.outbound, prefixTranslation: gateway.prefixTranslation,
        meshAddresses: gateway.meshAddresses),
      of: handle)
  }

  public func addHost(_ host: DataPlaneHost) throws(ControlError) {
    let handle = try handle(host.port)
    try controlled { () throws(Errno) in
      try fabric.addHost(host.address, mac: host.mac, port: handle, isElsewhere: host.isElsewhere)
    }
  }

  public func setRoutes(_ routes: [DataPlaneRoute]) throws(ControlError) {
    fabric.setRoutes(routes.map(RoutingTable.Route.init))
  }

  public func setNeighbour(_ address: IPAddress, mac: MACAddress?) throws(ControlError) {
    fabric.setNeighbour(address, mac: mac)
  }

  public func onNeighbourNeeded(_ handler: @escaping @Sendable (IPAddress) -> Void) {
    fabric.onNeighbourWanted(handler)
  }

  // MARK: Published ports and sessions

  public func publish(_ publication: DataPlanePublication) throws(ControlError) {
    let range = try range(publication)
    try controlled { () throws(Errno) in try fabric.publish(range) }
  }

  public func unpublish(_ publication: DataPlanePublication) throws(ControlError) {
    fabric.unpublish(try range(publication))
  }

  private func range(_ publication: DataPlanePublication) throws(ControlError) -> PublishedRange {
    let service = try publication.service.map { service throws(ControlError) in try handle(service) }
    return PublishedRange(
      protocol: publication.protocol, hostAddress: publication.hostAddress, hostPorts: publication.hostPorts,
      address: publication.address, firstPort: publication.firstPort, service: service ?? 0)
  }

  public func sessions() throws(ControlError) -> [DataPlaneSession] { fabric.sessions().map(DataPlaneSession.init) }

  public func restoreSessions() throws(ControlError) -> (restored: Int, of: Int) { fabric.restoreSessions() }

  public var sessionCount: Int { fabric.sessionCount }

  public func removeSessionFile() { fabric.removeSessionFile() }

  public func flushSessions() throws(ControlError) { fabric.flushSessions() }

  public func setTimeouts(_ timeouts: DataPlaneTimeouts) throws(ControlError) {
    for (timer, seconds) in [
      (SessionTimer.udp, timeouts.udp), (.udpStream, timeouts.udpStream), (.tcpEstablished, timeouts.tcpEstablished),
      (.tcpTransitory, timeouts.tcpTransitory),
      (.tcpClosed, timeouts.tcpTransitory), (.icmp, timeouts.icmp),
    ] {
      fabric.setTimeout(timer, seconds: UInt32(seconds))
    }
  }

  public func setTranslation(isEndpointIndependent: Bool, filtering: DataPlaneFiltering) throws(ControlError) {
    let filter: MappingFilter =
      switch filtering {
      case .endpointIndependent: .endpointIndependent
      case .addressDependent: .addressDependent
      case .addressAndPortDependent: .addressAndPortDependent
      }
    fabric.setTranslation(isEndpointIndependent: isEndpointIndependent, filter: filter)
  }
}

extension UplinkOptions {
  fileprivate init(_ uplink: DataPlaneUplink) {
    self.init(
      mac: uplink.mac, mtu: uplink.mtu,
      externals: uplink.addresses.map { RouterExternal(slot: $0.slot, address: $0.address.mapped) },
      ports: uplink.ports, offloads: uplink.offloads)
  }
}

extension RoutingTable.Route {
  fileprivate init(_ route: DataPlaneRoute) {
    let target: RoutingTable.Target =
      switch route.target {
      case .uplink(let gateway): .uplink(gateway: gateway?.mapped)
      case .host: .host
      case .unreachable: .unreachable
      }
    let length = route.destination.length + (route.destination.isIPv6 ? 0 : 96)
    self.init(prefix: route.destination.first.mapped, length: length, target: target, mtu: route.mtu ?? 0)
  }
}

extension DataPlaneSession {
  fileprivate init(_ entry: (session: Tables.Session, expires: Int)) {
    let session = entry.session
    let state =
      switch IPProtocol(rawValue: session.protocol) {
      case .tcp: ConnectionState(rawValue: session.state).name
      default: session.state == 3 ? "replied" : "unreplied"
      }
    self.init(
      protocol: IPProtocol(rawValue: session.protocol), inside: (IPAddress(mapped: session.inside), session.insidePort),
      outside: (IPAddress(mapped: session.external), session.externalPort),
      remote: (IPAddress(mapped: session.remote), session.remotePort), state: state, expiresSeconds: entry.expires)
  }
}
