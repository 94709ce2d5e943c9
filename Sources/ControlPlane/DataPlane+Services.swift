import ControlModel
import Tables
import Wire

/// A service of the data plane, of one family. Not used again after it has gone.
public struct DataPlaneService: Hashable, Sendable {
  public let index: Int
  public init(index: Int) { self.index = index }
}

/// What the data plane needs to know of a service.
public struct DataPlaneServiceOptions: Hashable, Sendable {
  public var network: DataPlaneNetwork
  /// An address of the network that stands for the members, at any port: a published one leads to the member's, others to the same.
  public var virtualAddress: IPAddress?
  /// A secret; hosts with the same one, and the same members, choose alike.
  public var seed: UInt64
  /// Addresses of one family. Only those that hosts have (`RoutingPlane.addHost`) take new flows.
  public var members: Set<IPAddress>
  public init(network: DataPlaneNetwork, virtualAddress: IPAddress?, seed: UInt64, members: Set<IPAddress>) {
    (self.network, self.virtualAddress, self.seed, self.members) = (network, virtualAddress, seed, members)
  }
}

/// The data plane's services: one address, several that answer. Same threads as `DataPlane`.
public protocol ServicePlane: AnyObject, Sendable {
  func addService(_ options: DataPlaneServiceOptions) throws(ControlError) -> DataPlaneService
  /// Flows stay with their members.
  func changeService(_ service: DataPlaneService, _ options: DataPlaneServiceOptions) throws(ControlError)
  /// Its flows and its publications end.
  func removeService(_ service: DataPlaneService) throws(ControlError)
  /// Of a host that `addHost` told of: its flows end.
  func removeHost(_ address: IPAddress) throws(ControlError)
  /// An address of the network that is this host's alone, as a mesh address: questions for it are answered wherever they come
  /// from. nil: no longer. Goes with the network.
  func setOwnAddress(_ address: IPAddress, mac: MACAddress?, in network: DataPlaneNetwork) throws(ControlError)
}
