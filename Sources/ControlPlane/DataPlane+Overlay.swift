import ControlModel
import SystemCalls
import Wire

/// A VTEP of another host, and how frames of one network go there (RFC 7348).
public struct DataPlaneRemote: Sendable, Equatable {
  /// The carrier's.
  public var local: IPAddress
  /// Of the same family.
  public var remote: IPAddress
  /// UDP, of both.
  public var port: UInt16
  public var vni: UInt32
  /// Of the outer packet; nil: the inner's.
  public var timeToLive: UInt8?
  /// Of the outer packet, its two ECN bits 0: those are RFC 6040's to set; nil: the inner's.
  public var trafficClass: UInt8?
  /// Its frames tell which MAC addresses are there.
  public var learns: Bool
  public init(
    local: IPAddress, remote: IPAddress, port: UInt16, vni: UInt32, timeToLive: UInt8?, trafficClass: UInt8?,
    learns: Bool
  ) {
    (self.local, self.remote, self.port, self.vni) = (local, remote, port, vni)
    (self.timeToLive, self.trafficClass, self.learns) = (timeToLive, trafficClass, learns)
  }
}

/// The data plane's tunnels to other hosts. Same threads as `DataPlane`.
public protocol OverlayPlane: AnyObject, Sendable {
  /// A tunnel endpoint's carrier: a TAP by which encapsulated frames come and go (`HostOverlay.raiseCarrier`). What comes
  /// from a VTEP that is no remote, or with a VNI that is not its, is dropped and counted here. Goes by `removePort`, after
  /// its remotes.
  /// - Parameter port: UDP, of this host.
  func addCarrier(queues: consuming FileDescriptorGroup, port: UInt16) throws(ControlError) -> DataPlanePort
  /// A remote VTEP as a port of a network: what is forwarded there leaves encapsulated by the carrier, and what comes from
  /// there with that VNI comes in by this port. Goes by `removePort`.
  func addRemote(
    _ remote: DataPlaneRemote, by carrier: DataPlanePort, to network: DataPlaneNetwork
  ) throws(ControlError) -> DataPlanePort
}
