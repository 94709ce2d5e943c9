import ControlModel
import LinuxIO
import SystemCalls
import Wire

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
    _ remote: RemoteOptions, by carrier: DataPlanePort, to network: DataPlaneNetwork
  ) throws(ControlError) -> DataPlanePort
  /// Who has an address in the network: questions for it (ARP, neighbour solicitations) are answered where they are asked, and not
  /// flooded. nil: nobody is known to. Goes with the network.
  func setNeighbour(_ address: IPAddress, mac: MACAddress?, in network: DataPlaneNetwork) throws(ControlError)
}
