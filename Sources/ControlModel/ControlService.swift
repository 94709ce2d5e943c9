/// What the control plane does for a client. `ControlPlane` conforms; the HTTP API serves it, route by route; tests give it a
/// stand-in. Calls may come from any thread, and block theirs until the change is made or refused. Wherever a network, sandbox
/// or endpoint is named, its name, its id or a unique prefix of its id (4 digits or more) will do; a sandbox's namespace path too.
public protocol ControlService: Sendable {
  /// Of who does the work: this process, unless the service is a client of another.
  func version() throws(ControlError) -> Version

  func createNetwork(_ request: NetworkRequest) throws(ControlError) -> Created
  func networks() throws(ControlError) -> [Network]
  func network(_ name: String) throws(ControlError) -> Network
  /// Without its endpoints and attached interfaces: takes no longer where there are many.
  func bareNetwork(_ name: String) throws(ControlError) -> Network
  func changeNetwork(_ name: String, _ change: NetworkChange) throws(ControlError) -> Network
  func removeNetwork(_ name: String) throws(ControlError)
  /// Removes every network without endpoints and attached interfaces; their names.
  func pruneNetworks() throws(ControlError) -> [String]

  func createSandbox(_ request: SandboxRequest) throws(ControlError) -> Created
  func sandboxes() throws(ControlError) -> [Sandbox]
  func sandbox(_ name: String) throws(ControlError) -> Sandbox
  func removeSandbox(_ name: String) throws(ControlError)

  func connect(network: String, _ request: ConnectRequest) throws(ControlError) -> Created
  /// Once more is no error.
  func disconnect(network: String, sandbox: String) throws(ControlError)
  func endpoints(_ filter: EndpointFilter) throws(ControlError) -> [Endpoint]
  func endpoint(_ id: String) throws(ControlError) -> Endpoint
  func changeEndpoint(_ id: String, _ change: EndpointChange) throws(ControlError) -> Endpoint
  /// As `disconnect`, by the endpoint's id. `notFound` where there is none.
  func removeEndpoint(_ id: String) throws(ControlError)

  /// Puts an interface of the daemon's namespace on a network. `conflict` where it is on one already.
  func attachPort(network: String, _ request: InterfacePortRequest) throws(ControlError) -> InterfacePort
  /// `notFound` where it is not on that network.
  func detachPort(network: String, interface: String) throws(ControlError)
  /// Of one network, or of all.
  func ports(network: String?) throws(ControlError) -> [InterfacePort]

  /// Joins a network to those of other hosts by VXLAN, or changes how.
  func setOverlay(network: String, _ request: OverlayRequest) throws(ControlError) -> Overlay
  /// `notFound` where none is set.
  func overlay(network: String) throws(ControlError) -> Overlay
  func overlays() throws(ControlError) -> [Overlay]
  /// Once more is no error.
  func unsetOverlay(network: String) throws(ControlError)
  /// Once more is no error.
  func addOverlayPeer(network: String, _ request: OverlayPeerRequest) throws(ControlError)
  /// `notFound` where it is no peer. Static entries of the MAC table that lead there go with it.
  func removeOverlayPeer(network: String, address: String) throws(ControlError)
  func overlayPeers(network: String) throws(ControlError) -> [OverlayPeer]

  /// Gives a network another policy, or its first.
  func loadPolicy(network: String, _ request: PolicyRequest) throws(ControlError) -> Policy
  /// `notFound` where it has none.
  func policy(network: String) throws(ControlError) -> Policy
  func policies() throws(ControlError) -> PolicyList
  /// The network is a learning switch again. Once more is no error.
  func unloadPolicy(network: String) throws(ControlError)

  /// What would become of a frame. Changes nothing unless it is to be sent.
  func trace(network: String, _ request: TraceRequest) throws(ControlError) -> Trace
  /// Frames that went nowhere: the last few dozen, the oldest first.
  func drops(network: String) throws(ControlError) -> [DroppedFrame]
  /// Begins to capture frames of a network. `exhausted` where as many captures run as may.
  func startCapture(network: String, _ request: CaptureRequest) throws(ControlError) -> Created
  /// Frames since the last call; waits for some, a moment, where it `waits`. `notFound` where the capture has ended.
  func capturedFrames(_ id: String, waits: Bool) throws(ControlError) -> CapturedFrames
  /// Once more is no error.
  func endCapture(_ id: String) throws(ControlError)
  /// From here on a port gets copies of another's frames; or another direction of them.
  func addMirror(network: String, _ request: MirrorRequest) throws(ControlError) -> PortMirror
  /// Of one network, or of all.
  func mirrors(network: String?) throws(ControlError) -> [PortMirror]
  /// `notFound` where there is none.
  func removeMirror(network: String, from: String, to: String) throws(ControlError)

  /// Publishes ports of an endpoint: all of them, or none. What was published, with the host's ports that were chosen.
  func publish(endpoint: String, _ request: PublishRequest) throws(ControlError) -> [Publication]
  /// Withdraws what matches each of the ports: all of it, or nothing. `notFound` where a port is not published.
  func unpublish(endpoint: String, _ request: PublishRequest) throws(ControlError)
  /// Of all endpoints. A range is one.
  func publications() throws(ControlError) -> [Publication]

  /// One name and address for several endpoints.
  func createService(_ request: ServiceRequest) throws(ControlError) -> Created
  func services() throws(ControlError) -> [Service]
  func service(_ name: String) throws(ControlError) -> Service
  func changeService(_ name: String, _ change: ServiceChange) throws(ControlError) -> Service
  /// Its flows end.
  func removeService(_ name: String) throws(ControlError)

  /// Sets the way outside, or moves it.
  func setUplink(_ request: UplinkRequest) throws(ControlError) -> Uplink
  /// `notFound` where none is set.
  func uplink() throws(ControlError) -> Uplink
  /// Once more is no error.
  func unsetUplink() throws(ControlError)

  /// At most as many as the daemon shows at once; a filter finds the others.
  func sessions(_ filter: SessionFilter) throws(ControlError) -> [Session]
  func flushSessions() throws(ControlError)
  func sessionTimeouts() throws(ControlError) -> SessionTimeouts
  func changeSessionTimeouts(_ change: SessionTimeoutsChange) throws(ControlError) -> SessionTimeouts
  func translation() throws(ControlError) -> Translation
  func changeTranslation(_ change: TranslationChange) throws(ControlError) -> Translation

  func forwardingEntries(network: String) throws(ControlError) -> [ForwardingEntry]
  func addForwardingEntry(network: String, _ request: ForwardingEntryRequest) throws(ControlError)
  func removeForwardingEntry(network: String, mac: String) throws(ControlError)
  /// Forgets learned entries: all, or those of one port (an endpoint's id, an interface, `gateway` or `vtep=ADDRESS`).
  func flushForwardingEntries(network: String, port: String?) throws(ControlError)

  /// `notFound` where this host is in no cluster.
  func clusterView() throws(ControlError) -> ClusterView
  /// Gives back the addresses of a host that will not return. `conflict` or `system` while it is in the cluster.
  func forgetHost(_ name: String) throws(ControlError)

  func statistics(network: String?) throws(ControlError) -> Statistics
  /// Returns once the daemon has begun to stop.
  func shutdown(_ request: ShutdownRequest) throws(ControlError)
}

extension ControlService {
  public func version() throws(ControlError) -> Version { .current }
  public func endpoints() throws(ControlError) -> [Endpoint] { try endpoints(EndpointFilter()) }
  public func bareNetwork(_ name: String) throws(ControlError) -> Network { try network(name).bare }
}
