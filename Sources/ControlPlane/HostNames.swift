import ControlModel
import SystemCalls
import Wire

/// Sockets at which names are asked for.
public struct NameSockets: ~Copyable {
  /// UDP, bound.
  public let datagrams: FileDescriptor
  /// TCP, listening.
  public let streams: FileDescriptor

  public init(datagrams: consuming FileDescriptor, streams: consuming FileDescriptor) {
    self.datagrams = datagrams
    self.streams = streams
  }
}

/// What names need of the kernel. Same threads as `HostNetwork`.
public protocol HostNames: AnyObject, Sendable {
  /// Sockets at port 53 of an address that the namespace has. `conflict` where a program has the port, with its name.
  func openNameSockets(
    at address: IPAddress, in namespace: NamespaceReference
  ) throws(ControlError) -> NameSockets
  /// The resolvers that the host asks, as its resolv.conf has them now; nil: unchanged since the last call.
  func changedResolvers() -> NameServers?

  /// Writes the resolv.conf that `ip netns exec` shows in the namespace at `path`, where the namespace has a name: with
  /// `servers`, or those of the host that can be reached from there. A file that is somebody else's stays.
  func writeNameServers(_ servers: [IPAddress]?, forNamespaceAt path: String) throws(ControlError)
  func removeNameServers(forNamespaceAt path: String) throws(ControlError)
  func nameServers(forNamespaceAt path: String) -> NameServers
}
