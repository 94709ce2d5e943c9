import ControlModel
import Dispatch
import Logging
import Policies
import Synchronization

/// Networks, sandboxes and endpoints: made, kept through restarts, unmade. Calls come from any thread and are taken one by
/// one, each on its caller's thread, which leaves in the network namespace it came in.
public final class ControlPlane: ControlService {
  /// As Docker's: an announcement may be lost, or come before a neighbour's interface is up.
  static let announcementCount = 3
  static let announcementIntervalMilliseconds = 1000
  /// How long a namespace that lost its path, or an interface that came, may go unnoticed.
  static let sweepIntervalMilliseconds = 2000

  /// How often, and how far apart, an interface is looked for that an engine is about to move.
  static let arrivalLooks = 5
  static let arrivalIntervalMilliseconds = 100

  private let controller: Mutex<Controller>
  private let background: Background
  private let shutdownHandler = Mutex<(@Sendable () -> Void)?>(nil)
  private let events: HostEvents
  /// How often interfaces on their way are still looked for.
  private let looksForArriving = Atomic(0)

  /// What the control plane does on its own: on one queue, and not after the control plane has gone.
  private final class Background: Sendable {
    let queue = DispatchQueue(label: "martlet.control")
    let owner = Mutex<WeakOwner>(WeakOwner())

    struct WeakOwner { weak var value: ControlPlane? }

    func run(after delay: DispatchTimeInterval, _ body: @escaping @Sendable (ControlPlane) -> Void) {
      queue.asyncAfter(deadline: .now() + delay) { [self] in
        if let value = owner.withLock({ $0.value }) { body(value) }
      }
    }
  }

  /// Takes the state directory, and takes up again what an earlier daemon left there.
  public init(
    dataPlane: any DataPlane, host: any HostNetwork, names: (any NameService)? = nil,
    policyWatch: PolicyWatch? = nil, stateDirectory: String, logger: Logger
  ) throws(ControlError) {
    let background = Background()
    self.background = background
    let made = try Controller(
      dataPlane: dataPlane, host: host, names: names, policyWatch: policyWatch, stateDirectory: stateDirectory,
      logger: logger
    ) { id in
      for number in 1..<Self.announcementCount {
        background.run(after: .milliseconds(number * Self.announcementIntervalMilliseconds)) {
          $0.unlessStopped { $0.announce(id) }
        }
      }
    }
    let events = HostEvents { delay, event in
      background.run(after: .milliseconds(delay)) { $0.take(event) }
    }
    self.events = events
    controller = Mutex(made)
    background.owner.withLock { $0.value = self }
    dataPlane.onPortLost { port in
      background.run(after: .seconds(0)) { $0.unlessStopped { $0.portLost(port) } }
    }
    policyWatch?.onOverload { network, reason in
      background.run(after: .seconds(0)) { $0.unlessStopped { $0.takeOutPolicy(network: network, because: reason) } }
    }
    host.onChange { events.changed($0) }
    // What was told before there was anybody to hear it.
    events.changed(.configuration)
    dataPlane.onNeighbourNeeded { events.needed($0) }
    background.run(after: .milliseconds(Self.sweepIntervalMilliseconds)) { $0.sweep() }
  }

  private func take(_ event: HostEvents.Event) {
    events.taken(event)
    unlessStopped { controller in
      switch event {
      case .configuration:
        controller.watchUplink()
        controller.watchOverlays()
      case .neighbour(let address, let link): controller.neighbourChanged(address, link: link)
      case .needed(let address): controller.neighbourNeeded(address)
      }
    }
  }

  func unlessStopped(_ body: (Controller) -> Void) {
    controller.withLock { controller in
      guard !controller.isStopped else { return }
      body(controller)
      controller.refreshPolicies()
      controller.refreshMirrors()
    }
  }

  private func sweep() {
    unlessStopped { $0.sweep() }
    background.run(after: .milliseconds(Self.sweepIntervalMilliseconds)) { $0.sweep() }
  }

  /// Until all are there: an engine does not say when it has moved an interface. One that takes longer is seen by the sweep.
  func lookForArriving() {
    guard looksForArriving.exchange(Self.arrivalLooks, ordering: .relaxed) == 0 else { return }
    lookForArrivingSoon()
  }

  /// However many are on their way, there is one look at a time.
  private func lookForArrivingSoon() {
    background.run(after: .milliseconds(Self.arrivalIntervalMilliseconds)) {
      $0.unlessStopped { $0.receiveArriving() }
      if $0.looksForArriving.subtract(1, ordering: .relaxed).newValue > 0 { $0.lookForArrivingSoon() }
    }
  }

  /// Who is on another host answers in a moment; who takes longer is seen by the sweep.
  func lookForMembers() {
    for look in 1...Self.arrivalLooks {
      background.run(after: .milliseconds(look * Self.arrivalIntervalMilliseconds)) {
        $0.unlessStopped { $0.refreshServices() }
      }
    }
  }

  /// Called, on a thread of its own, when a client asked the daemon to stop.
  public func onShutdown(_ handler: @escaping @Sendable () -> Void) { shutdownHandler.withLock { $0 = handler } }

  func locked<Value>(
    _ body: (Controller) throws(ControlError) -> sending Value
  ) throws(ControlError) -> sending Value {
    try controller.withLock { controller throws(ControlError) in
      defer {
        controller.refreshPolicies()
        controller.refreshMirrors()
      }
      return try body(controller)
    }
  }

  // MARK: Networks

  public func createNetwork(_ request: NetworkRequest) throws(ControlError) -> Created {
    let cluster = try locked { controller throws(ControlError) in
      try controller.isForCluster(request) ? controller.membership?.cluster : nil
    }
    if let cluster { return try createClusterNetwork(request, in: cluster) }
    return try locked { controller throws(ControlError) in try controller.createNetwork(request) }
  }

  public func networks() throws(ControlError) -> [Network] {
    try locked { controller throws(ControlError) in
      var all: [Network] = []
      for network in try controller.store.networks() { all.append(try controller.view(network)) }
      return all
    }
  }

  public func network(_ name: String) throws(ControlError) -> Network {
    try locked { controller throws(ControlError) in try controller.view(try controller.store.network(name)) }
  }

  public func bareNetwork(_ name: String) throws(ControlError) -> Network {
    try locked { controller throws(ControlError) in
      try controller.view(try controller.store.network(name), isBare: true)
    }
  }

  public func changeNetwork(_ name: String, _ change: NetworkChange) throws(ControlError) -> Network {
    try locked { controller throws(ControlError) in try controller.changeNetwork(name, change) }
  }

  public func removeNetwork(_ name: String) throws(ControlError) {
    let shared = try locked { controller throws(ControlError) in
      try controller.sharedNetwork(name).map { ($0, controller.membership!.cluster) }
    }
    if let (id, cluster) = shared { return try removeClusterNetwork(id, from: cluster) }
    try locked { controller throws(ControlError) in try controller.removeNetwork(name) }
  }

  public func pruneNetworks() throws(ControlError) -> [String] {
    var removed: [String] = []
    for name in try locked({ controller throws(ControlError) in try controller.unusedNetworks() }) {
      do throws(ControlError) {
        try removeNetwork(name)
        removed.append(name)
      } catch let error where error.code == .conflict || error.code == .notFound {
        // In use on another host, or since.
        continue
      }
    }
    return removed
  }

  // MARK: Sandboxes

  public func createSandbox(_ request: SandboxRequest) throws(ControlError) -> Created {
    try locked { controller throws(ControlError) in try controller.createSandbox(request) }
  }

  public func sandboxes() throws(ControlError) -> [Sandbox] {
    try locked { controller throws(ControlError) in
      var all: [Sandbox] = []
      for sandbox in try controller.store.sandboxes() { all.append(try controller.view(sandbox)) }
      return all
    }
  }

  public func sandbox(_ name: String) throws(ControlError) -> Sandbox {
    try locked { controller throws(ControlError) in
      guard let sandbox = try controller.findSandbox(name) else {
        throw ControlError(.notFound, "no sandbox has the namespace \(name.quoted)")
      }
      return try controller.view(sandbox)
    }
  }

  public func removeSandbox(_ name: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.removeSandbox(name) }
  }

  // MARK: Endpoints

  public func connect(network: String, _ request: ConnectRequest) throws(ControlError) -> Created {
    let shared = try locked { controller throws(ControlError) in
      try controller.addressWishes(network: network, request).map { ($0, controller.membership!.cluster) }
    }
    if let ((id, wishes), cluster) = shared {
      return try connectInCluster(network: network, id: id, wishes, request, in: cluster)
    }
    return try locked { controller throws(ControlError) in try controller.connect(network, request) }
  }

  public func disconnect(network: String, sandbox: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.disconnect(network: network, sandbox: sandbox) }
  }

  public func endpoints(_ filter: EndpointFilter) throws(ControlError) -> [Endpoint] {
    try locked { controller throws(ControlError) in try controller.endpoints(filter) }
  }

  public func endpoint(_ id: String) throws(ControlError) -> Endpoint {
    try locked { controller throws(ControlError) in try controller.view(try controller.store.endpoint(id)) }
  }

  public func changeEndpoint(_ id: String, _ change: EndpointChange) throws(ControlError) -> Endpoint {
    try locked { controller throws(ControlError) in try controller.changeEndpoint(id, change) }
  }

  public func removeEndpoint(_ id: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.disconnect(try controller.store.endpoint(id)) }
  }

  // MARK: Ports on interfaces

  public func attachPort(
    network: String, _ request: InterfacePortRequest
  ) throws(ControlError) -> InterfacePort {
    try locked { controller throws(ControlError) in try controller.attachPort(network: network, request) }
  }

  public func detachPort(network: String, interface: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.detachPort(network: network, interface: interface) }
  }

  public func ports(network: String?) throws(ControlError) -> [InterfacePort] {
    try locked { controller throws(ControlError) in try controller.ports(network: network) }
  }

  // MARK: Published ports

  public func publish(endpoint: String, _ request: PublishRequest) throws(ControlError) -> [Publication] {
    try locked { controller throws(ControlError) in try controller.publish(endpoint: endpoint, request) }
  }

  public func unpublish(endpoint: String, _ request: PublishRequest) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.unpublish(endpoint: endpoint, request) }
  }

  public func publications() throws(ControlError) -> [Publication] {
    try locked { controller throws(ControlError) in try controller.publications() }
  }

  // MARK: The way outside

  public func setUplink(_ request: UplinkRequest) throws(ControlError) -> Uplink {
    try locked { controller throws(ControlError) in try controller.setUplink(request) }
  }

  public func uplink() throws(ControlError) -> Uplink {
    try locked { controller throws(ControlError) in try controller.uplinkView() }
  }

  public func unsetUplink() throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.unsetUplink() }
  }

  public func sessions(_ filter: SessionFilter) throws(ControlError) -> [Session] {
    try locked { controller throws(ControlError) in try controller.sessions(filter) }
  }

  public func flushSessions() throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.dataPlane.flushSessions() }
  }

  public func sessionTimeouts() throws(ControlError) -> SessionTimeouts {
    try locked { controller throws(ControlError) in try controller.sessionTimeouts() }
  }

  public func changeSessionTimeouts(_ change: SessionTimeoutsChange) throws(ControlError) -> SessionTimeouts {
    try locked { controller throws(ControlError) in try controller.changeSessionTimeouts(change) }
  }

  public func translation() throws(ControlError) -> Translation {
    try locked { controller throws(ControlError) in try controller.translation() }
  }

  public func changeTranslation(_ change: TranslationChange) throws(ControlError) -> Translation {
    try locked { controller throws(ControlError) in try controller.changeTranslation(change) }
  }

  // MARK: MAC tables and counters

  public func forwardingEntries(network: String) throws(ControlError) -> [ForwardingEntry] {
    try locked { controller throws(ControlError) in try controller.forwardingEntries(network: network) }
  }

  public func addForwardingEntry(network: String, _ request: ForwardingEntryRequest) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.addForwardingEntry(network: network, request) }
  }

  public func removeForwardingEntry(network: String, mac: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.removeForwardingEntry(network: network, mac: mac) }
  }

  public func flushForwardingEntries(network: String, port: String?) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.flushForwardingEntries(network: network, port: port)
    }
  }

  public func statistics(network: String?) throws(ControlError) -> Statistics {
    try locked { controller throws(ControlError) in try controller.statistics(network: network) }
  }

  // MARK: The end

  /// From its return on, nothing is asked of the data plane but what a client asks for.
  public func stop() {
    let membership = controller.withLock { controller in
      controller.isStopped = true
      controller.attempt("keep the host silent until the next start") { () throws(ControlError) in
        try controller.host.lingerUplink()
      }
      // Unlike endpoints, carriers are nobody's but the daemon's: a UDP port that it does not serve is not to be held.
      for vtep in controller.carriers.keys {
        controller.attempt("lower the carrier of \(vtep.address)") { () throws(ControlError) in
          try controller.host.lowerCarrier(vtep.carrier)
        }
      }
      controller.removals.sync {}
      return controller.membership
    }
    if let membership { end(membership) }
  }

  public func shutdown(_ request: ShutdownRequest) throws(ControlError) {
    if request.purge {
      try locked { controller throws(ControlError) in
        // Its networks are not to be made anew.
        controller.membership?.isLeaving = true
        do throws(ControlError) { try controller.purge() } catch {
          controller.membership?.isLeaving = false
          throw error
        }
      }
    }
    guard let handler = shutdownHandler.withLock({ $0 }) else { return }
    background.queue.async { handler() }
  }
}
