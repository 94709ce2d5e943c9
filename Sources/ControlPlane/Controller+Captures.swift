import Captures
import ControlModel
import Datapath
import Foundation
import LinuxIO

/// A capture that somebody has asked for.
struct RunningCapture {
  let capture: any DataPlaneCapture
  let network: String
  /// nil: of all ports.
  let port: DataPlanePort?
  /// By the data plane's index; and of which generation of ports.
  var names: [UInt16: String]
  var generation: Int
  var lastAsked: ContinuousClock.Instant
}

/// A port as people name it who capture or mirror its frames.
struct ObservedPort {
  /// As the store keeps it: what it is, whatever it is called.
  var key: String
  /// As it is shown.
  var name: String
  /// Whatever else it may be called.
  var names: [String]
  var port: DataPlanePort
}

extension Controller {
  // MARK: Ports

  func observedPorts(of network: NetworkRecord) throws(ControlError) -> [ObservedPort] {
    var ports = try policyPorts(of: network).map { port in
      switch port.kind {
      case .endpoint:
        // The id, its first digits, the sandbox.
        ObservedPort(
          key: PortKey.endpoint(port.names[0]), name: port.names.count > 2 ? port.names[2] : port.names[1],
          names: port.names, port: port.port)
      case .interface:
        ObservedPort(
          key: PortKey.interface(port.names[0]), name: port.names[0], names: port.names, port: port.port)
      default:
        ObservedPort(key: port.names.last ?? "", name: port.names.last ?? "", names: port.names, port: port.port)
      }
    }
    if let parent = network.parent, let raised = parents[network.id] {
      ports.append(ObservedPort(key: PortKey.interface(parent), name: parent, names: [parent], port: raised.port))
    }
    return ports
  }

  /// By a name, or a unique prefix of an endpoint's id.
  func observedPort(_ name: String, of network: NetworkRecord) throws(ControlError) -> ObservedPort {
    let ports = try observedPorts(of: network)
    if let port = ports.first(where: { $0.name == name }) ?? ports.first(where: { $0.names.contains(name) }) {
      return port
    }
    let begun = ports.filter { port in
      name.utf8.count >= Limits.idPrefixMinimum && port.key.hasPrefix(PortKey.endpoint(name))
    }
    guard begun.count < 2 else {
      throw ControlError(.invalid, "\(name.quoted) begins the ids of \(begun.count) endpoints: give more digits")
    }
    guard let port = begun.first else {
      let shown = 8
      let there = ports.prefix(shown).map(\.name).joined(separator: ", ") + (ports.count > shown ? ", ..." : "")
      throw ControlError(
        .notFound,
        "no port \(name.quoted) on network \(network.name), or it is down: "
          + (there.isEmpty ? "it has no ports" : "there is \(there)"))
    }
    return port
  }

  // MARK: Captures

  func startCapture(network name: String, _ request: CaptureRequest) throws(ControlError) -> Created {
    let network = try settled(try store.network(name))
    guard let handle = dataPlaneNetworks[network.id] else {
      throw ControlError(
        .unsupported, "network \(network.name) of the driver \(network.driver.rawValue) has no switch to capture at")
    }
    let snapLength = request.snaplen ?? CaptureLimits.snapLength.upperBound
    guard CaptureLimits.snapLength.contains(snapLength) else {
      throw ControlError(
        .invalid,
        "snaplen \(snapLength): \(CaptureLimits.snapLength.lowerBound) to \(CaptureLimits.snapLength.upperBound) bytes can be kept of a frame"
      )
    }
    guard captures.count < CaptureLimits.sessions else {
      throw ControlError(.exhausted, "\(captures.count) captures run already, the most allowed: end one")
    }
    let port = try request.port.map { name throws(ControlError) in try observedPort(name, of: network).port }
    let options = DataPlaneCaptureOptions(
      port: port, events: Self.events(request.direction ?? .both, onlyDrops: request.drops ?? false),
      snapLength: snapLength, filter: try Self.filter(request.filter))
    let capture = try dataPlane.startCapture(options, of: handle)
    let id = Identifier.random()
    captures[id] = RunningCapture(
      capture: capture, network: network.id, port: port, names: [:], generation: -1, lastAsked: .now)
    logger.info("network \(network.name): capture \(Identifier.short(id)) begins")
    return Created(id: id)
  }

  private static func events(_ direction: FrameDirection, onlyDrops: Bool) -> Set<FrameEvent> {
    var events: Set<FrameEvent> = []
    if direction != .out { events.formUnion(onlyDrops ? [.dropped] : [.received, .dropped]) }
    if direction != .in { events.formUnion(onlyDrops ? [.undelivered] : [.sent, .undelivered]) }
    return events
  }

  private static func filter(_ expression: String?) throws(ControlError) -> SharedCaptureFilter? {
    guard let expression, !expression.isEmpty else { return nil }
    do throws(CaptureError) {
      return try SharedCaptureFilter(expression)
    } catch {
      throw ControlError(.invalid, error.description)
    }
  }

  /// What is to be read without the control plane's lock, and what ports are called.
  func runningCapture(_ id: String) throws(ControlError) -> RunningCapture {
    guard var running = captures[id] else {
      throw ControlError(
        .notFound,
        "no capture \(id.quoted): it ended with its network or port, or as nobody asked for \(CaptureLimits.patienceSeconds) seconds"
      )
    }
    running.lastAsked = .now
    if running.generation != portsGeneration, let network = try store.network(id: running.network) {
      running.generation = portsGeneration
      for port in try observedPorts(of: network) {
        if let index = dataPlane.frameIndex(of: port.port) { running.names[index] = port.name }
      }
    }
    captures[id] = running
    return running
  }

  /// Once more is no error.
  func endCapture(_ id: String) {
    guard let running = captures.removeValue(forKey: id) else { return }
    dataPlane.endCapture(running.capture)
    logger.info("capture \(Identifier.short(id)) ends: \(running.capture.lost) frames lost")
  }

  /// Those that nobody asks for any more, and those whose port has gone.
  func endForgottenCaptures() {
    let patience = Duration.seconds(CaptureLimits.patienceSeconds)
    for (id, running) in captures {
      let isPortGone = running.port.map { dataPlane.frameIndex(of: $0) == nil } ?? false
      if isPortGone || running.lastAsked.duration(to: .now) > patience { endCapture(id) }
    }
  }

  func endCaptures(ofNetwork id: String) {
    for (capture, running) in captures where running.network == id { endCapture(capture) }
  }
}

/// What the store keeps of a port.
enum PortKey {
  static let endpointPrefix = "endpoint="
  static let interfacePrefix = "interface="
  static let vtepPrefix = "vtep="
  static func endpoint(_ id: String) -> String { endpointPrefix + id }
  static func interface(_ name: String) -> String { interfacePrefix + name }
}
