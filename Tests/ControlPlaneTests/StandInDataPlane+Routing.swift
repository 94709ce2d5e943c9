import ControlModel
import ControlPlane
import Glibc
import SystemCalls
import Tables
import Wire

/// Remembers what it was told, and is strict about the order.
extension StandInDataPlane {
  struct Routing: Equatable {
    var uplink: DataPlaneUplink?
    var uplinkPort: DataPlanePort?
    var sockets: [Int32] = []
    var gateways: [DataPlaneNetwork: DataPlaneGateway] = [:]
    var hosts: [DataPlaneHost] = []
    var routes: [DataPlaneRoute] = []
    var neighbours: [IPAddress: MACAddress] = [:]
    var publications: Set<DataPlanePublication> = []
    var timeouts = DataPlaneTimeouts()
    var isEndpointIndependent: Bool?
    var filtering: DataPlaneFiltering?
    var flushCount = 0
    var services: [DataPlaneService: DataPlaneServiceOptions] = [:]
    var ownAddresses: [IPAddress: MACAddress] = [:]

    mutating func forget(_ port: DataPlanePort) {
      let gone = hosts.filter { $0.port == port }.map(\.address)
      hosts.removeAll { $0.port == port }
      publications = publications.filter { !gone.contains($0.address) }
    }

    mutating func closeUplink() {
      for socket in sockets { close(socket) }
      (sockets, uplink, uplinkPort, neighbours) = ([], nil, nil, [:])
      // Those at a virtual address stay.
      let virtual = Set(services.values.compactMap(\.virtualAddress))
      publications = publications.filter { $0.hostAddress.map(virtual.contains) == true }
    }
  }

  var routing: Routing { state.routing }

  func raiseUplink(
    socket: consuming FileDescriptorGroup, claims: PortClaims, _ uplink: DataPlaneUplink
  ) throws(ControlError) -> DataPlanePort {
    let sockets = socket.release()
    do throws(ControlError) {
      return try step("raiseUplink") { state throws(ControlError) in
        precondition(state.routing.uplink == nil, "there is one")
        state.next += 1
        let port = DataPlanePort(index: state.next)
        (state.routing.uplink, state.routing.uplinkPort, state.routing.sockets) = (uplink, port, sockets)
        return port
      }
    } catch {
      for socket in sockets { close(socket) }
      throw error
    }
  }

  func changeUplink(_ uplink: DataPlaneUplink) throws(ControlError) {
    try step("changeUplink") { state throws(ControlError) in
      precondition(state.routing.uplink != nil, "there is none")
      state.routing.uplink = uplink
    }
  }

  func lowerUplink() throws(ControlError) {
    try step("lowerUplink") { state throws(ControlError) in
      precondition(state.routing.uplink != nil, "there is none")
      state.routing.closeUplink()
    }
  }

  func setGateway(_ gateway: DataPlaneGateway?, of network: DataPlaneNetwork) throws(ControlError) {
    try step("setGateway") { state throws(ControlError) in
      if let port = gateway?.port { precondition(state.ports[port] != nil, "its port has gone") }
      state.routing.gateways[network] = gateway
    }
  }

  func addHost(_ host: DataPlaneHost) throws(ControlError) {
    try step("addHost") { state throws(ControlError) in
      precondition(!state.routing.hosts.contains { $0.address == host.address }, "told twice")
      state.routing.hosts.append(host)
    }
  }

  func setRoutes(_ routes: [DataPlaneRoute]) throws(ControlError) {
    try step("setRoutes") { state throws(ControlError) in state.routing.routes = routes }
  }

  func setNeighbour(_ address: IPAddress, mac: MACAddress?) throws(ControlError) {
    try step("setNeighbour") { state throws(ControlError) in state.routing.neighbours[address] = mac }
  }

  func onNeighbourNeeded(_ handler: @escaping @Sendable (IPAddress) -> Void) {
    neededHandler.withLock { $0 = handler }
  }

  func publish(_ publication: DataPlanePublication) throws(ControlError) {
    try step("publish") { state throws(ControlError) in
      if let service = publication.service {
        precondition(state.routing.services[service] != nil, "whose is it?")
      } else {
        precondition(state.routing.uplink != nil, "there is no uplink")
        precondition(state.routing.hosts.contains { $0.address == publication.address }, "whose is it?")
      }
      precondition(state.routing.publications.insert(publication).inserted, "told twice")
    }
  }

  func unpublish(_ publication: DataPlanePublication) throws(ControlError) {
    try step("unpublish") { state throws(ControlError) in
      precondition(state.routing.publications.remove(publication) != nil, "there is none")
    }
  }

  func sessions() throws(ControlError) -> [DataPlaneSession] {
    try faults.step("sessions")
    return shownSessions.withLock { $0 }
  }

  var sessionCount: Int { 0 }

  func removeSessionFile() {}

  func restoreSessions() throws(ControlError) -> (restored: Int, of: Int) {
    try step("restoreSessions") { _ throws(ControlError) in (0, 0) }
  }

  func flushSessions() throws(ControlError) {
    try step("flushSessions") { state throws(ControlError) in state.routing.flushCount += 1 }
  }

  func setTimeouts(_ timeouts: DataPlaneTimeouts) throws(ControlError) {
    try step("setTimeouts") { state throws(ControlError) in state.routing.timeouts = timeouts }
  }

  func setTranslation(isEndpointIndependent: Bool, filtering: DataPlaneFiltering) throws(ControlError) {
    try step("setTranslation") { state throws(ControlError) in
      (state.routing.isEndpointIndependent, state.routing.filtering) = (isEndpointIndependent, filtering)
    }
  }
}
