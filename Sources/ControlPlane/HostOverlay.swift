import ControlModel
import SystemCalls
import Wire

/// What the kernel is asked of tunnels to other hosts, in the daemon's namespace. Same threads as `HostNetwork`.
public protocol HostOverlay: AnyObject, Sendable {
  /// Makes the TAP `name`, marked as a carrier (`InterfaceMark.carrier`), and has the kernel take encapsulated frames between it
  /// and the interface that has `local`. Where it fails, nothing is left. Everything goes with `lowerCarrier` or with the daemon.
  /// - Parameter port: UDP, of this host. `conflict` where a program has it.
  func raiseCarrier(
    _ name: String, local: IPAddress, port: UInt16, queues: Int
  ) throws(ControlError) -> FileDescriptorGroup
  func lowerCarrier(_ name: String) throws(ControlError)
  /// The interface that has the address, in the daemon's namespace; nil: none has.
  func underlay(of local: IPAddress) throws(ControlError) -> HostLink?
}
