import ControlModel
import FoundationEssentials

/// Speaks to a running daemon over its Unix socket. Blocking, one connection a call, no state: usable from any thread.
///
/// Refusals of the daemon come back as the `ControlError` it threw; whatever keeps a call from reaching it, or its answer from
/// making sense, is `.unreachable`.
public struct ControlClient: ControlService {
  /// Where martletd listens unless told otherwise.
  public static let defaultSocketPath = "/run/martlet/martlet.sock"
  /// The daemon serves one change at a time, and the kernel may take its time to unmake a namespace.
  public static let defaultPatienceSeconds = 60

  public let socketPath: String
  /// How long the daemon may be silent before a call gives up. The change may still be made after that.
  public let patienceSeconds: Int

  public init(
    socketPath: String = ControlClient.defaultSocketPath, patienceSeconds: Int = ControlClient.defaultPatienceSeconds
  ) {
    (self.socketPath, self.patienceSeconds) = (socketPath, patienceSeconds)
  }

  /// What routes without a body, or without an answer, send and get.
  private struct Nothing: Codable {}

  private func get<Answer: Decodable>(_ path: String) throws(ControlError) -> Answer {
    try decode(try send("GET", path, body: nil), path: path)
  }

  private func call<Answer: Decodable>(_ method: String, _ path: String, _ body: some Encodable) throws(ControlError)
    -> Answer
  {
    try decode(try send(method, path, body: try encode(body)), path: path)
  }

  private func encode(_ value: some Encodable) throws(ControlError) -> [UInt8] {
    do {
      return Array(try JSONEncoder().encode(value))
    } catch {
      throw ControlError(.invalid, "the request cannot be written as JSON: \(error)")
    }
  }

  private func decode<Answer: Decodable>(_ body: [UInt8], path: String) throws(ControlError) -> Answer {
    do {
      return try JSONDecoder().decode(Answer.self, from: Data(body))
    } catch {
      throw ControlError(
        .unreachable, "what answers at \(socketPath) does not speak this version's API (\(path)): \(error)")
    }
  }

  @discardableResult
  private func send(_ method: String, _ path: String, body: [UInt8]?) throws(ControlError) -> [UInt8] {
    let connection = try UnixConnection.open(path: socketPath, patienceSeconds: patienceSeconds)
    var request = "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    if let body { request += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n" }
    try connection.send(Array((request + "\r\n").utf8) + (body ?? []))
    var reader = ResponseReader(socketPath: socketPath)
    let response = try reader.read(from: connection)
    if 200..<300 ~= response.status { return response.body }
    if let answer = try? JSONDecoder().decode(ErrorBody.self, from: Data(response.body)) { throw answer.error }
    throw ControlError(
      .unreachable, "what answers at \(socketPath) is not martletd: status \(response.status) for \(path)")
  }

  /// A path's segment: all but the unreserved characters escaped (RFC 3986, section 2.3), so that any name stays one segment.
  static func segment(_ name: String) -> String {
    let digits = Array("0123456789ABCDEF")
    var escaped = ""
    for byte in name.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
        escaped.unicodeScalars.append(UnicodeScalar(byte))
      default:
        escaped += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
      }
    }
    return escaped
  }
}

extension ControlClient {
  public func version() throws(ControlError) -> Version { try get("/v1/version") }

  public func createNetwork(_ request: NetworkRequest) throws(ControlError) -> Created {
    try call("POST", "/v1/networks", request)
  }
  public func networks() throws(ControlError) -> [Network] { try get("/v1/networks") }
  public func network(_ name: String) throws(ControlError) -> Network { try get("/v1/networks/\(Self.segment(name))") }
  public func bareNetwork(_ name: String) throws(ControlError) -> Network {
    try get("/v1/networks/\(Self.segment(name))?endpoints=false")
  }
  public func changeNetwork(_ name: String, _ change: NetworkChange) throws(ControlError) -> Network {
    try call("PATCH", "/v1/networks/\(Self.segment(name))", change)
  }
  public func removeNetwork(_ name: String) throws(ControlError) {
    try send("DELETE", "/v1/networks/\(Self.segment(name))", body: nil)
  }
  public func pruneNetworks() throws(ControlError) -> [String] {
    let pruned: Pruned = try call("POST", "/v1/networks/prune", Nothing())
    return pruned.removed
  }

  public func createSandbox(_ request: SandboxRequest) throws(ControlError) -> Created {
    try call("POST", "/v1/sandboxes", request)
  }
  public func sandboxes() throws(ControlError) -> [Sandbox] { try get("/v1/sandboxes") }
  public func sandbox(_ name: String) throws(ControlError) -> Sandbox { try get("/v1/sandboxes/\(Self.segment(name))") }
  public func removeSandbox(_ name: String) throws(ControlError) {
    try send("DELETE", "/v1/sandboxes/\(Self.segment(name))", body: nil)
  }

  public func connect(network: String, _ request: ConnectRequest) throws(ControlError) -> Created {
    try call("POST", "/v1/networks/\(Self.segment(network))/connect", request)
  }
  public func disconnect(network: String, sandbox: String) throws(ControlError) {
    let body = try encode(DisconnectRequest(sandbox: sandbox))
    try send("POST", "/v1/networks/\(Self.segment(network))/disconnect", body: body)
  }
  public func endpoints(_ filter: EndpointFilter) throws(ControlError) -> [Endpoint] {
    let query = [("network", filter.network), ("label", filter.label)].compactMap { key, value in
      value.map { "\(key)=\(Self.segment($0))" }
    }
    return try get("/v1/endpoints" + (query.isEmpty ? "" : "?" + query.joined(separator: "&")))
  }
  public func endpoint(_ id: String) throws(ControlError) -> Endpoint { try get("/v1/endpoints/\(Self.segment(id))") }
  public func changeEndpoint(_ id: String, _ change: EndpointChange) throws(ControlError) -> Endpoint {
    try call("PATCH", "/v1/endpoints/\(Self.segment(id))", change)
  }
  public func removeEndpoint(_ id: String) throws(ControlError) {
    try send("DELETE", "/v1/endpoints/\(Self.segment(id))", body: nil)
  }

  public func attachPort(network: String, _ request: InterfacePortRequest) throws(ControlError) -> InterfacePort {
    try call("POST", "/v1/networks/\(Self.segment(network))/ports", request)
  }
  public func detachPort(network: String, interface: String) throws(ControlError) {
    try send("DELETE", "/v1/networks/\(Self.segment(network))/ports/\(Self.segment(interface))", body: nil)
  }
  public func ports(network: String?) throws(ControlError) -> [InterfacePort] {
    try get("/v1/ports" + (network.map { "?network=\(Self.segment($0))" } ?? ""))
  }

  public func setOverlay(network: String, _ request: OverlayRequest) throws(ControlError) -> Overlay {
    try call("PUT", "/v1/networks/\(Self.segment(network))/overlay", request)
  }
  public func overlay(network: String) throws(ControlError) -> Overlay {
    try get("/v1/networks/\(Self.segment(network))/overlay")
  }
  public func overlays() throws(ControlError) -> [Overlay] { try get("/v1/overlays") }
  public func unsetOverlay(network: String) throws(ControlError) {
    try send("DELETE", "/v1/networks/\(Self.segment(network))/overlay", body: nil)
  }
  public func addOverlayPeer(network: String, _ request: OverlayPeerRequest) throws(ControlError) {
    try send("POST", "/v1/networks/\(Self.segment(network))/overlay/peers", body: try encode(request))
  }
  public func removeOverlayPeer(network: String, address: String) throws(ControlError) {
    try send("DELETE", "/v1/networks/\(Self.segment(network))/overlay/peers/\(Self.segment(address))", body: nil)
  }
  public func overlayPeers(network: String) throws(ControlError) -> [OverlayPeer] {
    try get("/v1/networks/\(Self.segment(network))/overlay/peers")
  }

  public func loadPolicy(network: String, _ request: PolicyRequest) throws(ControlError) -> Policy {
    try call("PUT", "/v1/networks/\(Self.segment(network))/policy", request)
  }
  public func policy(network: String) throws(ControlError) -> Policy {
    try get("/v1/networks/\(Self.segment(network))/policy")
  }
  public func policies() throws(ControlError) -> PolicyList { try get("/v1/policies") }
  public func unloadPolicy(network: String) throws(ControlError) {
    try send("DELETE", "/v1/networks/\(Self.segment(network))/policy", body: nil)
  }

  public func trace(network: String, _ request: TraceRequest) throws(ControlError) -> Trace {
    try call("POST", "/v1/networks/\(Self.segment(network))/trace", request)
  }
  public func drops(network: String) throws(ControlError) -> [DroppedFrame] {
    try get("/v1/networks/\(Self.segment(network))/drops")
  }
  public func startCapture(network: String, _ request: CaptureRequest) throws(ControlError) -> Created {
    try call("POST", "/v1/networks/\(Self.segment(network))/captures", request)
  }
  public func capturedFrames(_ id: String, waits: Bool) throws(ControlError) -> CapturedFrames {
    try get("/v1/captures/\(Self.segment(id))/frames" + (waits ? "" : "?wait=false"))
  }
  public func endCapture(_ id: String) throws(ControlError) {
    try send("DELETE", "/v1/captures/\(Self.segment(id))", body: nil)
  }
  public func addMirror(network: String, _ request: MirrorRequest) throws(ControlError) -> PortMirror {
    try call("POST", "/v1/networks/\(Self.segment(network))/mirrors", request)
  }
  public func mirrors(network: String?) throws(ControlError) -> [PortMirror] {
    try get("/v1/mirrors" + (network.map { "?network=\(Self.segment($0))" } ?? ""))
  }
  public func removeMirror(network: String, from: String, to: String) throws(ControlError) {
    let query = "?from=\(Self.segment(from))&to=\(Self.segment(to))"
    try send("DELETE", "/v1/networks/\(Self.segment(network))/mirrors" + query, body: nil)
  }

  public func publish(endpoint: String, _ request: PublishRequest) throws(ControlError) -> [Publication] {
    try call("POST", "/v1/endpoints/\(Self.segment(endpoint))/publish", request)
  }
  public func unpublish(endpoint: String, _ request: PublishRequest) throws(ControlError) {
    try send("POST", "/v1/endpoints/\(Self.segment(endpoint))/unpublish", body: try encode(request))
  }
  public func publications() throws(ControlError) -> [Publication] { try get("/v1/publications") }

  public func createService(_ request: ServiceRequest) throws(ControlError) -> Created {
    try call("POST", "/v1/services", request)
  }
  public func services() throws(ControlError) -> [Service] { try get("/v1/services") }
  public func service(_ name: String) throws(ControlError) -> Service { try get("/v1/services/\(Self.segment(name))") }
  public func changeService(_ name: String, _ change: ServiceChange) throws(ControlError) -> Service {
    try call("PATCH", "/v1/services/\(Self.segment(name))", change)
  }
  public func removeService(_ name: String) throws(ControlError) {
    try send("DELETE", "/v1/services/\(Self.segment(name))", body: nil)
  }

  public func setUplink(_ request: UplinkRequest) throws(ControlError) -> Uplink {
    try call("PUT", "/v1/uplink", request)
  }
  public func uplink() throws(ControlError) -> Uplink { try get("/v1/uplink") }
  public func unsetUplink() throws(ControlError) { try send("DELETE", "/v1/uplink", body: nil) }

  public func sessions(_ filter: SessionFilter) throws(ControlError) -> [Session] {
    let query = filter.values.sorted { $0.key < $1.key }.map { "\($0.key)=\(Self.segment($0.value))" }
    return try get("/v1/sessions" + (query.isEmpty ? "" : "?" + query.joined(separator: "&")))
  }
  public func flushSessions() throws(ControlError) { try send("POST", "/v1/sessions/flush", body: nil) }
  public func sessionTimeouts() throws(ControlError) -> SessionTimeouts { try get("/v1/sessions/timeouts") }
  public func changeSessionTimeouts(_ change: SessionTimeoutsChange) throws(ControlError) -> SessionTimeouts {
    try call("PATCH", "/v1/sessions/timeouts", change)
  }
  public func translation() throws(ControlError) -> Translation { try get("/v1/sessions/translation") }
  public func changeTranslation(_ change: TranslationChange) throws(ControlError) -> Translation {
    try call("PATCH", "/v1/sessions/translation", change)
  }

  public func forwardingEntries(network: String) throws(ControlError) -> [ForwardingEntry] {
    try get("/v1/networks/\(Self.segment(network))/fdb")
  }
  public func addForwardingEntry(network: String, _ request: ForwardingEntryRequest) throws(ControlError) {
    try send("POST", "/v1/networks/\(Self.segment(network))/fdb", body: try encode(request))
  }
  public func removeForwardingEntry(network: String, mac: String) throws(ControlError) {
    try send("DELETE", "/v1/networks/\(Self.segment(network))/fdb/\(Self.segment(mac))", body: nil)
  }
  public func flushForwardingEntries(network: String, port: String?) throws(ControlError) {
    let body = try encode(ForwardingFlush(port: port))
    try send("POST", "/v1/networks/\(Self.segment(network))/fdb/flush", body: body)
  }

  public func clusterView() throws(ControlError) -> ClusterView { try get("/v1/cluster") }
  public func forgetHost(_ name: String) throws(ControlError) {
    try send("DELETE", "/v1/cluster/hosts/\(Self.segment(name))", body: nil)
  }

  public func statistics(network: String?) throws(ControlError) -> Statistics {
    try get("/v1/statistics" + (network.map { "?network=\(Self.segment($0))" } ?? ""))
  }
  public func shutdown(_ request: ShutdownRequest) throws(ControlError) {
    try send("POST", "/v1/shutdown", body: try encode(request))
  }
}
