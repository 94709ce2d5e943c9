import Datapath
import Glibc
import SystemCalls
import Tables
import Wire

/// What the switch needs to know of the uplink.
public struct UplinkOptions: Sendable, Equatable {
  public var mac: MACAddress
  /// Bytes of an IP packet.
  public var mtu: Int
  public var externals: [RouterExternal]
  /// Of which outbound mappings take theirs.
  public var ports: [ClosedRange<UInt16>]
  public var offloads: SegmentationOffloads

  public init(
    mac: MACAddress, mtu: Int, externals: [RouterExternal], ports: [ClosedRange<UInt16>],
    offloads: SegmentationOffloads = .all
  ) {
    (self.mac, self.mtu, self.externals, self.ports, self.offloads) = (mac, mtu, externals, ports, offloads)
  }

  fileprivate func routed(by port: PortHandle) -> RouterUplink {
    RouterUplink(port: port.port, mac: mac, mtu: mtu, externals: externals, ports: ports)
  }
}

/// A published port, or a range of them; see `Router.publish`.
public struct PublishedRange: Hashable, Sendable {
  public var `protocol`: IPProtocol
  /// nil: every external address of the family of `address`.
  public var hostAddress: IPAddress?
  public var hostPorts: ClosedRange<UInt16>
  public var address: IPAddress
  /// Of the first; the others follow.
  public var firstPort: UInt16
  /// That it leads to, by its number; 0: to the endpoint with the address.
  public var service: Int

  public init(
    protocol: IPProtocol, hostAddress: IPAddress?, hostPorts: ClosedRange<UInt16>, address: IPAddress,
    firstPort: UInt16, service: Int = 0
  ) {
    (self.protocol, self.hostAddress, self.hostPorts) = (`protocol`, hostAddress, hostPorts)
    (self.address, self.firstPort, self.service) = (address, firstPort, service)
  }
}

// Routing. The router is one worker's; gateways' MAC addresses are known to all.
extension Switch {
  /// Sessions looked at between two bursts.
  static let sessionsPerVisit: UInt32 = 4096

  func askRouter<Answer>(_ body: @escaping (inout Router) -> Answer) -> Answer {
    ask(RouterHandOver.routingWorker) { body(&$0.routing!.router.pointee) }
  }

  // MARK: The uplink

  /// - Parameter socket: one packet socket with a virtio-net header (`PacketSocket`), which gives what is the router's. The switch owns
  ///   it from here on, also where this throws.
  /// - Parameter claims: outlive the uplink.
  public func raiseUplink(
    socket: consuming FileDescriptorGroup, claims: PortClaims, _ options: UplinkOptions
  ) throws(Errno) -> PortHandle {
    let descriptors = socket.release()
    precondition(descriptors.count == 1)
    let port = try place(for: descriptors)
    var link = PortLink(descriptor: descriptors[0], isRead: true)
    link.serial = port.serial
    link.isPacketSocket = true
    link.setOffloads(options.offloads, coalescesUDP: self.options.coalescesUDP)
    let opened = link
    if let error = ask(RouterHandOver.routingWorker, { $0.openUplink(port.port, opened) }) {
      take(port, from: 0..<0)
      throw error
    }
    let uplink = options.routed(by: port)
    askRouter { $0.setUplink(uplink, claims: claims) }
    return port
  }

  /// Sessions of external addresses that have gone end.
  public func changeUplink(_ port: PortHandle, claims: PortClaims, _ options: UplinkOptions) {
    let uplink = options.routed(by: port)
    askRouter { $0.setUplink(uplink, claims: claims) }
    let coalesces = self.options.coalescesUDP
    ask(RouterHandOver.routingWorker) {
      $0.transmitter.links[Int(port.port)].setOffloads(options.offloads, coalescesUDP: coalesces)
    }
  }

  /// All sessions end.
  public func lowerUplink(_ port: PortHandle) {
    askRouter { $0.removeUplink() }
    take(port, from: RouterHandOver.routingWorker..<RouterHandOver.routingWorker + 1)
  }

  // MARK: Where things are

  /// nil: the network is not routed, and its sessions end.
  public func setGateway(_ gateway: GatewayOptions?, of network: NetworkHandle) {
    askAll { $0.engine.setGateway(gateway, network: network.network) }
  }

  /// An address of an endpoint. It goes with its port.
  /// - Parameter isElsewhere: the endpoint's own gateway is another host's.
  public func addHost(
    _ address: IPAddress, mac: MACAddress, port: PortHandle, isElsewhere: Bool = false
  ) throws(Errno) {
    let isAdded = ask(RouterHandOver.routingWorker) { worker in
      let network = worker.engine.network(of: port.port)
      guard network != Engine.none else { return true }
      return worker.routing!.router.pointee.addHost(
        address.mapped, mac: mac, port: port.port, network: network, isElsewhere: isElsewhere)
    }
    guard isAdded else { throw Errno(ENOSPC, "tell the router of \(address)") }
  }

  /// Takes the place of all routes.
  public func setRoutes(_ routes: [RoutingTable.Route]) {
    let table = Once(RoutingTable(routes, seed: .random(in: .min ... .max)))
    // What is replaced is freed here, on the caller's thread.
    let old: Once<RoutingTable> = askRouter { Once($0.setRoutes(table.take())) }
    _ = old.take()
  }

  /// Who has an address on the uplink; nil: nobody answers.
  public func setNeighbour(_ address: IPAddress, mac: MACAddress?) {
    ask(RouterHandOver.routingWorker) { $0.setNeighbour(address, mac: mac) }
  }

  /// Called, on a thread of its own, for each next hop whose MAC is wanted, and every now and then for those in use. Set once.
  public func onNeighbourWanted(_ handler: @escaping @Sendable (IPAddress) -> Void) { wanted.start(handler) }

  // MARK: Published ports

  public func publish(_ range: PublishedRange) throws(Errno) {
    let isPublished = askRouter {
      $0.publish(
        protocol: range.protocol.rawValue, hostAddress: range.hostAddress?.mapped ?? 0, hostPorts: range.hostPorts,
        address: range.address.mapped, firstPort: range.firstPort, service: range.service)
    }
    guard isPublished else { throw Errno(ENOSPC, "publish ports of \(range.address)") }
  }

  /// Its sessions end at once. That it was not published is no error.
  public func unpublish(_ range: PublishedRange) {
    _ = askRouter {
      $0.unpublish(
        protocol: range.protocol.rawValue, hostAddress: range.hostAddress?.mapped ?? 0, hostPorts: range.hostPorts,
        address: range.address.mapped, firstPort: range.firstPort, service: range.service)
    }
  }

  // MARK: Sessions

  /// A copy, with the seconds after which each ends, taken in steps between bursts: sessions that begin or end meanwhile may be
  /// missed.
  public func sessions() -> [(session: Session, expires: Int)] {
    var sessions: [(session: Session, expires: Int)] = []
    var cursor: UInt32? = 1
    while let from = cursor {
      let (visited, next) = ask(RouterHandOver.routingWorker) { worker in
        var visited: [(session: Session, expires: Int)] = []
        let router = worker.routing!.router
        let now = worker.now
        let next = router.pointee.visitSessions(from: from, budget: Self.sessionsPerVisit) { session in
          let idle = Int(now &- session.lastSeen)
          visited.append((session, max(0, Int(router.pointee.timeout(session.timer)) - idle)))
        }
        return (visited, next)
      }
      sessions += visited
      cursor = next
    }
    return sessions
  }

  /// Takes up the sessions of an earlier process (`WorkerOptions.sessionFile`), where endpoints, external addresses and published
  /// ports are as they were. After these were told. Once.
  /// - Returns: how many were taken up, and how many there were.
  public func restoreSessions() -> (restored: Int, of: Int) {
    guard let earlier = sessionMemory?.takeEarlier(), !earlier.isEmpty else { return (0, 0) }
    var restored = 0
    for start in stride(from: 0, to: earlier.count, by: Int(Self.sessionsPerVisit)) {
      let part = earlier[start..<min(earlier.count, start + Int(Self.sessionsPerVisit))]
      restored += ask(RouterHandOver.routingWorker) { worker in
        part.count { worker.routing!.router.pointee.restore($0, now: worker.now) }
      }
    }
    return (restored, earlier.count)
  }

  public var sessionCount: Int { askRouter { $0.sessionCount } }

  /// The file of the sessions goes: nobody is to take them up.
  public func removeSessionFile() { sessionMemory?.remove() }

  public func flushSessions() { askRouter { $0.flushSessions() } }

  public func setTimeout(_ timer: SessionTimer, seconds: UInt32) {
    askRouter { $0.setTimeout(timer, seconds: seconds) }
  }

  public func setTranslation(isEndpointIndependent: Bool, filter: MappingFilter) {
    askRouter {
      $0.mapsEndpointIndependently = isEndpointIndependent
      $0.filter = filter
    }
  }
}
