import ControlModel
import Synchronization

/// A control plane without a switch: writes down what it was asked, and answers with what it was given.
package final class StandInService: ControlService {
  package enum Call: Equatable, Sendable {
    case createNetwork(NetworkRequest)
    case networks
    case network(String)
    case changeNetwork(String, NetworkChange)
    case removeNetwork(String)
    case pruneNetworks
    case createSandbox(SandboxRequest)
    case sandboxes
    case sandbox(String)
    case removeSandbox(String)
    case connect(String, ConnectRequest)
    case disconnect(String, String)
    case endpoints(EndpointFilter)
    case endpoint(String)
    case changeEndpoint(String, EndpointChange)
    case removeEndpoint(String)
    case attachPort(String, InterfacePortRequest)
    case detachPort(String, String)
    case ports(String?)
    case setOverlay(String, OverlayRequest)
    case overlay(String)
    case overlays
    case unsetOverlay(String)
    case addOverlayPeer(String, OverlayPeerRequest)
    case removeOverlayPeer(String, String)
    case overlayPeers(String)
    case loadPolicy(String, PolicyRequest)
    case policy(String)
    case policies
    case unloadPolicy(String)
    case trace(String, TraceRequest)
    case drops(String)
    case startCapture(String, CaptureRequest)
    case capturedFrames(String, Bool)
    case endCapture(String)
    case addMirror(String, MirrorRequest)
    case mirrors(String?)
    case removeMirror(String, String, String)
    case clusterView
    case forgetHost(String)
    case publish(String, PublishRequest)
    case unpublish(String, PublishRequest)
    case publications
    case createService(ServiceRequest)
    case services
    case service(String)
    case changeService(String, ServiceChange)
    case removeService(String)
    case setUplink(UplinkRequest)
    case uplink
    case unsetUplink
    case sessions(SessionFilter)
    case flushSessions
    case sessionTimeouts
    case changeSessionTimeouts(SessionTimeoutsChange)
    case translation
    case changeTranslation(TranslationChange)
    case forwardingEntries(String)
    case addForwardingEntry(String, ForwardingEntryRequest)
    case removeForwardingEntry(String, String)
    case flushForwardingEntries(String, String?)
    case statistics(String?)
    case shutdown(ShutdownRequest)
  }

  private struct State {
    var calls: [Call] = []
    var refusal: ControlError?
    var refuses: @Sendable (Call) -> ControlError? = { _ in nil }
    var networks = Sample.networks
    var sandboxes = Sample.sandboxes
    var endpoints = [Sample.endpoint]
  }

  private let state = Mutex(State())
  /// Called within every call, on its thread: a test may block here.
  private let onCall: @Sendable (Call) -> Void

  package init(onCall: @escaping @Sendable (Call) -> Void = { _ in }) { self.onCall = onCall }

  package var calls: [Call] { state.withLock { $0.calls } }
  /// What every further call throws.
  package var refusal: ControlError? {
    get { state.withLock { $0.refusal } }
    set { state.withLock { $0.refusal = newValue } }
  }

  /// What a further call throws, if anything.
  package var refuses: @Sendable (Call) -> ControlError? {
    get { state.withLock { $0.refuses } }
    set { state.withLock { $0.refuses = newValue } }
  }

  /// What `networks` and `network` show.
  package var shownNetworks: [Network] {
    get { state.withLock { $0.networks } }
    set { state.withLock { $0.networks = newValue } }
  }

  /// What `endpoints` and `endpoint` show. The last is what `connect` has made; `removeEndpoint` removes.
  package var shownEndpoints: [Endpoint] {
    get { state.withLock { $0.endpoints } }
    set { state.withLock { $0.endpoints = newValue } }
  }

  /// What `sandboxes` and `sandbox` show.
  package var shownSandboxes: [Sandbox] {
    get { state.withLock { $0.sandboxes } }
    set { state.withLock { $0.sandboxes = newValue } }
  }

  func note(_ call: Call) throws(ControlError) {
    onCall(call)
    let refusal = state.withLock { state in
      state.calls.append(call)
      return state.refusal
    }
    if let refusal = refusal ?? refuses(call) { throw refusal }
  }

  /// As the control plane does: a name that is in no sample is not found.
  private func find<Element>(
    _ name: String, in elements: [Element], _ names: (Element) -> [String]
  ) throws(ControlError) -> Element {
    for element in elements where names(element).contains(name) { return element }
    throw ControlError(.notFound, "nothing is called \(name)")
  }

  /// Written down by nobody: a client may ask at any time.
  package func version() throws(ControlError) -> Version {
    if let refusal { throw refusal }
    return .current
  }

  package func createNetwork(_ request: NetworkRequest) throws(ControlError) -> Created {
    try note(.createNetwork(request))
    return Created(id: Sample.networks[0].id)
  }
  package func networks() throws(ControlError) -> [Network] {
    try note(.networks)
    return shownNetworks
  }
  package func network(_ name: String) throws(ControlError) -> Network {
    try note(.network(name))
    return try find(name, in: shownNetworks) { [$0.name, $0.id] }
  }
  package func changeNetwork(_ name: String, _ change: NetworkChange) throws(ControlError) -> Network {
    try note(.changeNetwork(name, change))
    return Sample.networks[0]
  }
  package func removeNetwork(_ name: String) throws(ControlError) {
    try note(.removeNetwork(name))
    _ = try find(name, in: Sample.networks) { [$0.name, $0.id] }
  }
  package func pruneNetworks() throws(ControlError) -> [String] {
    try note(.pruneNetworks)
    return ["plain"]
  }

  package func createSandbox(_ request: SandboxRequest) throws(ControlError) -> Created {
    try note(.createSandbox(request))
    return Created(id: Sample.sandboxes[0].id)
  }
  package func sandboxes() throws(ControlError) -> [Sandbox] {
    try note(.sandboxes)
    return shownSandboxes
  }
  package func sandbox(_ name: String) throws(ControlError) -> Sandbox {
    try note(.sandbox(name))
    return try find(name, in: shownSandboxes) { [$0.name, $0.id, $0.netns] }
  }
  package func removeSandbox(_ name: String) throws(ControlError) { try note(.removeSandbox(name)) }

  package func connect(network: String, _ request: ConnectRequest) throws(ControlError) -> Created {
    try note(.connect(network, request))
    return Created(id: shownEndpoints.last?.id ?? Sample.endpoint.id)
  }
  package func disconnect(network: String, sandbox: String) throws(ControlError) {
    try note(.disconnect(network, sandbox))
  }
  package func endpoints(_ filter: EndpointFilter) throws(ControlError) -> [Endpoint] {
    try note(.endpoints(filter))
    return shownEndpoints.filter { filter.matches(labels: $0.labels) }
  }
  package func endpoint(_ id: String) throws(ControlError) -> Endpoint {
    try note(.endpoint(id))
    return try find(id, in: shownEndpoints) { [$0.id] }
  }
  package func changeEndpoint(_ id: String, _ change: EndpointChange) throws(ControlError) -> Endpoint {
    try note(.changeEndpoint(id, change))
    return Sample.endpoint
  }
  package func removeEndpoint(_ id: String) throws(ControlError) {
    try note(.removeEndpoint(id))
    state.withLock { state in state.endpoints.removeAll { $0.id == id } }
  }

  package func attachPort(
    network: String, _ request: InterfacePortRequest
  ) throws(ControlError) -> InterfacePort {
    try note(.attachPort(network, request))
    return Sample.ports[0]
  }
  package func detachPort(network: String, interface: String) throws(ControlError) {
    try note(.detachPort(network, interface))
  }
  package func ports(network: String?) throws(ControlError) -> [InterfacePort] {
    try note(.ports(network))
    return Sample.ports
  }

  package func forwardingEntries(network: String) throws(ControlError) -> [ForwardingEntry] {
    try note(.forwardingEntries(network))
    return Sample.forwardingEntries
  }
  package func addForwardingEntry(network: String, _ request: ForwardingEntryRequest) throws(ControlError) {
    try note(.addForwardingEntry(network, request))
  }
  package func removeForwardingEntry(network: String, mac: String) throws(ControlError) {
    try note(.removeForwardingEntry(network, mac))
  }
  package func flushForwardingEntries(network: String, port: String?) throws(ControlError) {
    try note(.flushForwardingEntries(network, port))
  }

  package func statistics(network: String?) throws(ControlError) -> Statistics {
    try note(.statistics(network))
    return Sample.statistics
  }
  package func shutdown(_ request: ShutdownRequest) throws(ControlError) { try note(.shutdown(request)) }
}
