import ControlModel
import Glibc
import LinuxIO
import Netlink
import Relay
import Synchronization
import SystemCalls
import Wire

/// The kernel's side of the control plane: rtnetlink, TAPs, namespaces and the files that go with them.
public final class KernelHostNetwork: HostNetwork {
  public let own: NamespaceReference
  /// Keeps the daemon's namespace, and the claim on it.
  private let descriptor: FileDescriptor
  let changeHandler = Mutex<(@Sendable (HostChange) -> Void)?>(nil)
  /// From the first uplink on.
  let monitor = Mutex<NetworkMonitor?>(nil)
  let filter = Mutex<KernelUplink?>(nil)
  /// By the network's id.
  let parents = Mutex<[String: KernelParentHolder]>([:])
  /// By the name of the TAP.
  let carriers = Mutex<[String: KernelCarrier]>([:])
  /// As they were last asked for.
  let resolvers = Mutex<NameServers?>(nil)
  /// From the first published port on.
  let relay = Mutex<Relay?>(nil)

  /// Works in the network namespace at `path`: the calling thread's, unless told otherwise.
  public init(ownNamespace path: String = "/proc/thread-self/ns/net") throws(ControlError) {
    descriptor = try controlled { () throws(Errno) in try FileDescriptor.open(path, O_RDONLY) }
    // From here on the same for every thread.
    let path = "/proc/self/fd/\(descriptor.number)"
    own = try controlled { () throws(Errno) in
      NamespaceReference(path: path, inode: try NetworkNamespace(path: path).inode)
    }
  }

  /// flock(2) on the namespace itself: every open file of it is the same inode.
  public func claim() throws(ControlError) {
    guard flock(descriptor.number, LOCK_EX | LOCK_NB) == 0 else {
      throw ControlError(
        .conflict,
        "another martletd works in this network namespace: stop it, or start this one in a namespace of its own")
    }
  }

  // MARK: Entering

  /// Opens a namespace and makes sure that it is the one meant.
  func open(_ reference: NamespaceReference) throws(ControlError) -> NetworkNamespace {
    let gone = ControlError(.notFound, "network namespace \(reference.path) is gone: something else has its place")
    do throws(ControlError) {
      let namespace = try find(reference.path)
      guard namespace.inode == reference.inode else { throw gone }
      return namespace
    } catch let error where error.code == .invalid {
      throw gone
    }
  }

  private func find(_ path: String) throws(ControlError) -> NetworkNamespace {
    do throws(Errno) {
      return try NetworkNamespace(path: path)
    } catch {
      switch error.code {
      case ENOENT, ENOTDIR, ESRCH: throw ControlError(.notFound, "network namespace \(path): there is nothing")
      case EINVAL, ENOTTY, ENXIO, EISDIR: throw ControlError(.invalid, "\(path) is no network namespace")
      default: throw ControlError(error)
      }
    }
  }

  /// Runs `body` with a socket in the namespace.
  func withSocket<Value>(
    in reference: NamespaceReference, _ body: (inout RouteSocket) throws(Errno) -> Value
  ) throws(ControlError) -> Value {
    let namespace = try open(reference)
    return try controlled { () throws(Errno) in
      var socket = try RouteSocket(in: namespace)
      return try body(&socket)
    }
  }

  /// Runs `body` with a socket and the interface of that name.
  func withLink<Value>(
    _ name: String, in reference: NamespaceReference, _ body: (inout RouteSocket, Link) throws(Errno) -> Value
  ) throws(ControlError) -> Value {
    try withSocket(in: reference) { socket throws(Errno) in
      guard let link = try socket.link(named: name) else { throw Errno(ENODEV, "look up interface \(name)") }
      return try body(&socket, link)
    }
  }

  // MARK: Namespaces

  public func namespacePath(named name: String) -> String { NetworkNamespace.directory + "/" + name }

  public func makeNamespace(named name: String) throws(ControlError) -> NamespaceReference {
    do throws(Errno) {
      return NamespaceReference(path: namespacePath(named: name), inode: try NetworkNamespace.create(name: name).inode)
    } catch let error where error.code == EEXIST {
      throw ControlError(.conflict, "\(namespacePath(named: name)) exists already")
    } catch {
      throw ControlError(error)
    }
  }

  public func removeNamespace(named name: String) throws(ControlError) {
    do throws(Errno) {
      try NetworkNamespace.remove(name: name)
    } catch let error where error.code == ENOENT {
      return
    } catch {
      throw ControlError(error)
    }
  }

  public func namespace(at path: String) throws(ControlError) -> NamespaceReference {
    NamespaceReference(path: path, inode: try find(path).inode)
  }

  // MARK: Interfaces

  public func links(in namespace: NamespaceReference) throws(ControlError) -> [HostLink] {
    try withSocket(in: namespace) { socket throws(Errno) in
      try socket.links().map { HostLink($0) }
    }
  }

  public func makeTAP(
    _ name: String, alias: String, _ settings: LinkSettings, queues: Int, in namespace: NamespaceReference
  ) throws(ControlError) -> FileDescriptorGroup {
    let opened = try open(namespace)
    do throws(Errno) {
      return try opened.run { () throws(Errno) in
        let device = try TAPDevice(name: name, queues: queues, isNew: true)
        var socket = try RouteSocket()
        guard let link = try socket.link(named: name) else { throw Errno(ENODEV, "look up interface \(name)") }
        try socket.setLink(
          link.index, mtu: settings.mtu, mac: settings.mac, alias: alias,
          segmentedFrameBytesMax: settings.segmentedFrameBytesMax)
        try device.setPersistent(true)
        return device.release()
      }
    } catch let error where error.code == EBUSY || error.code == EINVAL {
      guard try links(in: namespace).contains(where: { $0.name == name }) else { throw ControlError(error) }
      throw ControlError(.conflict, "\(namespace.path) has an interface \(name) already")
    } catch {
      throw ControlError(error)
    }
  }

  public func attachTAP(
    _ name: String, alias: String, queues: Int, in namespace: NamespaceReference
  ) throws(ControlError) -> FileDescriptorGroup {
    let namespace = try open(namespace)
    return try controlled { () throws(Errno) in
      try namespace.run { () throws(Errno) in
        let device = try TAPDevice(name: name, queues: queues)
        var socket = try RouteSocket()
        guard let link = try socket.link(named: name) else { throw Errno(ENODEV, "look up interface \(name)") }
        // Before it may outlive this process: without its mark nobody would know whose it is.
        try socket.setLink(link.index, alias: alias)
        try device.setPersistent(true)
        return device.release()
      }
    }
  }

  public func configure(
    _ name: String, _ settings: LinkSettings, in namespace: NamespaceReference
  ) throws(ControlError) {
    try withLink(name, in: namespace) { socket, link throws(Errno) in
      try socket.setLink(
        link.index, mtu: settings.mtu, mac: settings.mac, segmentedFrameBytesMax: settings.segmentedFrameBytesMax)
    }
  }

  public func removeLink(_ name: String, in namespace: NamespaceReference) throws(ControlError) {
    try withSocket(in: namespace) { socket throws(Errno) in
      guard let link = try socket.link(named: name) else { return }
      try socket.deleteLink(link.index)
    }
  }

  public func setUp(
    _ name: String, ipv6: Bool?, in namespace: NamespaceReference
  ) throws(ControlError) {
    let opened = try open(namespace)
    try controlled { () throws(Errno) in
      if let ipv6, Self.kernelHasIPv6 {
        try opened.setSysctl("ipv6/conf/\(name)/disable_ipv6", to: ipv6 ? "0" : "1")
      }
    }
    try withLink(name, in: namespace) { socket, link throws(Errno) in
      try socket.replaceRootQueueing(link: link.index, kind: "noqueue")
      try socket.setLink(link.index, up: true)
    }
  }

  static let kernelHasIPv6 = access("/proc/sys/net/ipv6", F_OK) == 0
}
