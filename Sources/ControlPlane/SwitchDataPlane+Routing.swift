import ControlModel
import SystemCalls
import Tables
import Wire

extension SwitchDataPlane {
  private static let notBuilt = ControlError(.unsupported, "routing is not built yet")

  public func raiseUplink(
    socket: consuming FileDescriptorGroup, claims: PortClaims, _ uplink: DataPlaneUplink
  ) throws(ControlError) -> DataPlanePort {
    throw Self.notBuilt
  }

  public func changeUplink(_ uplink: DataPlaneUplink) throws(ControlError) { throw Self.notBuilt }

  public func lowerUplink() throws(ControlError) { throw Self.notBuilt }

  public func setGateway(_ gateway: DataPlaneGateway?, of network: DataPlaneNetwork) throws(ControlError) {
    throw Self.notBuilt
  }

  // What is told before there is an uplink is without effect yet.
  public func addHost(_ host: DataPlaneHost) throws(ControlError) {}

  public func setRoutes(_ routes: [DataPlaneRoute]) throws(ControlError) { throw Self.notBuilt }

  public func setNeighbour(_ address: IPAddress, mac: MACAddress?) throws(ControlError) { throw Self.notBuilt }

  public func onNeighbourNeeded(_ handler: @escaping @Sendable (IPAddress) -> Void) {}

  public func publish(_ publication: DataPlanePublication) throws(ControlError) { throw Self.notBuilt }

  public func unpublish(_ publication: DataPlanePublication) throws(ControlError) { throw Self.notBuilt }

  public func sessions() throws(ControlError) -> [DataPlaneSession] { throw Self.notBuilt }

  public func flushSessions() throws(ControlError) { throw Self.notBuilt }

  public func setTimeouts(_ timeouts: DataPlaneTimeouts) throws(ControlError) {}

  public func setTranslation(
    isEndpointIndependent: Bool, filtering: DataPlaneFiltering
  ) throws(ControlError) {}
}
