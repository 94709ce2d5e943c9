import ControlModel
import ControlPlane
import Datapath
import Glibc
import Synchronization
import SystemCalls
import Wire

/// A host that exists in memory only: it does what the kernel would, and fails where it is told to.
final class StandInHostNetwork: HostNetwork {
  struct Interface: Equatable {
    var alias = ""
    var settings: LinkSettings?
    var isUp = false
    var ipv6: Bool?
    /// nil: the kernel makes it of the MAC address.
    var isLinkLocalRandom: Bool?
    var addresses: [IPPrefix] = []
    /// But for default ones.
    var routes: [String] = []
    // Of interfaces that somebody else made.
    var index: Int32 = 0
    var mtu = 1500
    var isEthernet = true
    var encrypts = false
    var isHostsOwn = false
    var master: Int32?
    var offloads = SegmentationOffloads.all
    var mac: MACAddress? = MACAddress("02:00:00:00:00:77")

    func link(named name: String) -> HostLink {
      HostLink(
        name: name, alias: alias, index: index, mtu: settings?.mtu ?? mtu, isUp: isUp, isEthernet: isEthernet,
        master: master, segmentedFrameBytesMax: 65536, mac: mac, encrypts: encrypts,
        isHostsOwn: isHostsOwn)
    }
  }

  struct State: Equatable {
    /// Inodes by path.
    var namespaces: [String: UInt64] = ["/own": 1]
    /// By inode, then by name.
    var interfaces: [UInt64: [String: Interface]] = [1: [:]]
    /// Gateways by inode.
    var defaultRoutes: [UInt64: [IPAddress: String]] = [:]
    var barriers: [String: ForwardingBarrier] = [:]
    /// By the namespace's path.
    var nameServers: [String: [String]] = [:]
    /// Programs have port 53 there.
    var nameTakers: Set<IPAddress> = []
    var forgotten: [IPAddress] = []
    var routed: [IPPrefix] = []
    var uplink = UplinkState()
    /// By the network's id.
    var parents: [String: Parent] = [:]
    /// By the interface's name.
    var carriers: [String: Carrier] = [:]
  }

  let own = NamespaceReference(path: "/own", inode: 1)
  let faults: Faults
  private let contents = Mutex(State())
  private let lastInode = Mutex<UInt64>(1)
  let changeHandler = Mutex<(@Sendable (HostChange) -> Void)?>(nil)
  /// For each TAP or packet socket that was opened, the other end of the pipe that stands for its descriptor.
  private let taps = Mutex<[Int32]>([])

  init(faults: Faults) { self.faults = faults }

  deinit { taps.withLock { for descriptor in $0 { close(descriptor) } } }

  var state: State { contents.withLock { $0 } }

  func edit(_ body: (inout State) -> Void) { contents.withLock { body(&$0) } }

  /// Descriptors of TAPs and packet sockets that somebody holds.
  var heldDescriptors: Int {
    taps.withLock { taps in
      taps.count { descriptor in
        var request = pollfd(fd: descriptor, events: 0, revents: 0)
        poll(&request, 1, 0)
        return request.revents & Int16(POLLHUP) == 0
      }
    }
  }

  /// A namespace that somebody else made.
  func addNamespace(_ path: String) -> UInt64 {
    let inode = lastInode.withLock { last in
      last += 1
      return last
    }
    edit { state in
      state.namespaces[path] = inode
      state.interfaces[inode] = ["lo": Interface()]
    }
    return inode
  }

  /// A namespace that somebody else takes away.
  func loseNamespace(_ path: String) {
    edit { state in
      if let inode = state.namespaces.removeValue(forKey: path) { state.interfaces[inode] = nil }
    }
  }

  func interface(_ name: String, in path: String) -> Interface? {
    contents.withLock { state in state.namespaces[path].flatMap { state.interfaces[$0]?[name] } }
  }

  func step<Value: Sendable>(
    _ name: String, _ namespace: NamespaceReference? = nil, _ body: (inout State) throws(ControlError) -> Value
  ) throws(ControlError) -> Value {
    try faults.step(name)
    return try contents.withLock { state throws(ControlError) in
      if let namespace, state.namespaces[namespace.path] != namespace.inode {
        throw ControlError(.notFound, "\(namespace.path) is gone")
      }
      return try body(&state)
    }
  }

  private func change(
    _ step: String, _ name: String, _ namespace: NamespaceReference, _ body: (inout Interface) -> Void
  ) throws(ControlError) {
    try self.step(step, namespace) { state throws(ControlError) in
      guard var interface = state.interfaces[namespace.inode]?[name] else {
        throw ControlError(.system, "no interface \(name)")
      }
      body(&interface)
      state.interfaces[namespace.inode]?[name] = interface
    }
  }

  func claim() throws(ControlError) { try faults.step("claim") }

  // MARK: Namespaces

  func namespacePath(named name: String) -> String { "/named/\(name)" }

  func makeNamespace(named name: String) throws(ControlError) -> NamespaceReference {
    try faults.step("makeNamespace")
    let path = namespacePath(named: name)
    return NamespaceReference(path: path, inode: addNamespace(path))
  }

  func removeNamespace(named name: String) throws(ControlError) {
    try step("removeNamespace") { state throws(ControlError) in
      if let inode = state.namespaces.removeValue(forKey: namespacePath(named: name)) { state.interfaces[inode] = nil }
    }
  }

  func namespace(at path: String) throws(ControlError) -> NamespaceReference {
    try step("namespace") { state throws(ControlError) in
      guard let inode = state.namespaces[path] else { throw ControlError(.notFound, "nothing at \(path)") }
      guard inode != 0 else { throw ControlError(.invalid, "\(path) is no namespace") }
      return NamespaceReference(path: path, inode: inode)
    }
  }

  // MARK: Interfaces

  func links(in namespace: NamespaceReference) throws(ControlError) -> [HostLink] {
    try step("links", namespace) { state throws(ControlError) in
      (state.interfaces[namespace.inode] ?? [:]).map { $0.value.link(named: $0.key) }
    }
  }

  func makeTAP(
    _ name: String, alias: String, _ settings: LinkSettings, queues: Int, in namespace: NamespaceReference
  ) throws(ControlError) -> FileDescriptorGroup {
    try step("makeTAP", namespace) { state throws(ControlError) in
      guard state.interfaces[namespace.inode]?[name] == nil else {
        throw ControlError(.conflict, "\(namespace.path) has an interface \(name) already")
      }
      state.interfaces[namespace.inode]?[name] = Interface(alias: alias, settings: settings)
    }
    return try descriptor()
  }

  func attachTAP(
    _ name: String, alias: String, queues: Int, in namespace: NamespaceReference
  ) throws(ControlError) -> FileDescriptorGroup {
    try step("attachTAP", namespace) { state throws(ControlError) in
      if state.interfaces[namespace.inode]?[name] == nil { state.interfaces[namespace.inode]?[name] = Interface() }
      state.interfaces[namespace.inode]?[name]?.alias = alias
    }
    return try descriptor()
  }

  /// One that `heldDescriptors` counts.
  func descriptor() throws(ControlError) -> FileDescriptorGroup {
    var ends: [Int32] = [0, 0]
    guard pipe2(&ends, O_CLOEXEC) == 0 else { throw ControlError(.system, "pipe") }
    let reader = ends[0]
    taps.withLock { $0.append(reader) }
    return FileDescriptorGroup(FileDescriptor(owning: ends[1]))
  }

  func configure(_ name: String, _ settings: LinkSettings, in namespace: NamespaceReference) throws(ControlError) {
    try change("configure", name, namespace) {
      let segmented = settings.segmentedFrameBytesMax ?? $0.settings?.segmentedFrameBytesMax
      $0.settings = LinkSettings(
        mac: settings.mac ?? $0.settings?.mac, mtu: settings.mtu,
        segmentedFrameBytesMax: segmented == LinkSettings.segmentedFrameBytesDefault ? nil : segmented)
    }
  }

  /// As an engine does.
  func move(_ name: String, to namespace: NamespaceReference, as newName: String) throws(ControlError) {
    try step("move", namespace) { state throws(ControlError) in
      guard let interface = state.interfaces[own.inode]?.removeValue(forKey: name) else {
        throw ControlError(.system, "no interface \(name)")
      }
      state.interfaces[namespace.inode]?[newName] = interface
    }
  }

  func removeLink(_ name: String, in namespace: NamespaceReference) throws(ControlError) {
    try step("removeLink", namespace) { state throws(ControlError) in
      state.interfaces[namespace.inode]?[name] = nil
      state.defaultRoutes[namespace.inode] = state.defaultRoutes[namespace.inode]?.filter { $0.value != name }
      if state.defaultRoutes[namespace.inode]?.isEmpty == true { state.defaultRoutes[namespace.inode] = nil }
    }
  }

  func setUp(_ name: String, ipv6: Bool?, in namespace: NamespaceReference) throws(ControlError) {
    try change("setUp", name, namespace) { ($0.isUp, $0.ipv6) = (true, ipv6) }
  }

  // MARK: Interfaces of others

  /// Somebody makes an interface in the daemon's namespace.
  func addInterface(_ name: String, index: Int32, _ edit: (inout Interface) -> Void = { _ in }) {
    var interface = Interface()
    interface.index = index
    edit(&interface)
    self.edit { $0.interfaces[own.inode]?[name] = interface }
  }

  /// Somebody takes it away.
  func deleteInterface(_ name: String) { edit { $0.interfaces[own.inode]?[name] = nil } }

  func openPacketSocket(on name: String, queues: Int) throws(ControlError) -> FileDescriptorGroup {
    try step("openPacketSocket") { state throws(ControlError) in
      guard state.interfaces[own.inode]?[name] != nil else { throw ControlError(.system, "no interface \(name)") }
    }
    return try descriptor()
  }

  func setUp(_ isUp: Bool, _ name: String) throws(ControlError) { try change("setUp", name, own) { $0.isUp = isUp } }

  func offloads(of link: HostLink) throws(ControlError) -> SegmentationOffloads {
    try step("offloads") { state throws(ControlError) in
      guard let interface = state.interfaces[own.inode]?[link.name] else {
        throw ControlError(.system, "no interface \(link.name)")
      }
      return interface.offloads
    }
  }

  // MARK: Addresses, routes, neighbours

  func addAddress(_ address: IPPrefix, to name: String, in namespace: NamespaceReference) throws(ControlError) {
    try change("addAddress", name, namespace) { if !$0.addresses.contains(address) { $0.addresses.append(address) } }
  }

  func removeAddress(_ address: IPPrefix, from name: String, in namespace: NamespaceReference) throws(ControlError) {
    try change("removeAddress", name, namespace) { $0.addresses.removeAll { $0 == address } }
  }

  func hasDefaultRoute(ipv6: Bool, in namespace: NamespaceReference) throws(ControlError) -> Bool {
    try step("hasDefaultRoute", namespace) { state throws(ControlError) in
      state.defaultRoutes[namespace.inode]?.keys.contains { $0.isIPv6 == ipv6 } ?? false
    }
  }

  func addDefaultRoute(
    via gateway: IPAddress, on name: String, in namespace: NamespaceReference
  ) throws(ControlError) {
    try step("addDefaultRoute", namespace) { state throws(ControlError) in
      state.defaultRoutes[namespace.inode, default: [:]][gateway] = name
    }
  }

  func removeDefaultRoute(
    via gateway: IPAddress, on name: String, in namespace: NamespaceReference
  ) throws(ControlError) {
    try step("removeDefaultRoute", namespace) { state throws(ControlError) in
      state.defaultRoutes[namespace.inode]?[gateway] = nil
    }
  }

  func addRoute(
    to destination: IPPrefix, via gateway: IPAddress, on name: String, in namespace: NamespaceReference
  ) throws(ControlError) {
    try change("addRoute", name, namespace) { $0.routes.append("\(destination) via \(gateway)") }
  }

  func routes(in namespace: NamespaceReference) throws(ControlError) -> [Route] {
    try step("routes", namespace) { state throws(ControlError) in
      (state.defaultRoutes[namespace.inode] ?? [:]).map {
        Route(destination: "default", gateway: $0.key.description, interface: $0.value)
      }
    }
  }

  func routedPrefixes(except interfaces: Set<String>) throws(ControlError) -> [IPPrefix] {
    try step("routedPrefixes") { state throws(ControlError) in state.routed }
  }

  func forgetNeighbours(_ addresses: [IPAddress], on interface: String) throws(ControlError) {
    try step("forgetNeighbours") { state throws(ControlError) in state.forgotten += addresses }
  }

  // MARK: Forwarding between networks

  func raiseBarrier(_ barrier: ForwardingBarrier) throws(ControlError) {
    try step("raiseBarrier") { state throws(ControlError) in state.barriers[barrier.gatewayInterface] = barrier }
  }

  func lowerBarrier(_ barrier: ForwardingBarrier) throws(ControlError) {
    try step("lowerBarrier") { state throws(ControlError) in state.barriers[barrier.gatewayInterface] = nil }
  }

  func removeBarriers(except barriers: [ForwardingBarrier]) throws(ControlError) {
    let names = Set(barriers.map(\.gatewayInterface))
    try step("removeBarriers") { state throws(ControlError) in
      state.barriers = state.barriers.filter { names.contains($0.key) }
    }
  }

  // MARK: Name servers

  func writeNameServers(_ servers: [IPAddress]?, forNamespaceAt path: String) throws(ControlError) {
    try step("writeNameServers") { state throws(ControlError) in
      if path.hasPrefix("/named/") { state.nameServers[path] = servers?.map(\.description) ?? ["192.0.2.53"] }
    }
  }

  func openNameSockets(at address: IPAddress, in namespace: NamespaceReference) throws(ControlError) -> NameSockets {
    try step("openNameSockets", namespace) { state throws(ControlError) in
      if state.nameTakers.contains(address) { throw ControlError(.conflict, "port 53 is taken") }
    }
    return NameSockets(
      datagrams: FileDescriptor(owning: try descriptor().release()[0]),
      streams: FileDescriptor(owning: try descriptor().release()[0]))
  }

  func changedResolvers() -> NameServers? { nil }

  func removeNameServers(forNamespaceAt path: String) throws(ControlError) {
    _ = try step("removeNameServers") { state throws(ControlError) in state.nameServers.removeValue(forKey: path) }
  }

  func nameServers(forNamespaceAt path: String) -> NameServers {
    NameServers(servers: state.nameServers[path] ?? [])
  }
}
