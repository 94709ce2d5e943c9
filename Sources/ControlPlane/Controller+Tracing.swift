import ControlModel
import Datapath
import Policies
import Wire

extension Controller {
  func trace(network name: String, _ request: TraceRequest) throws(ControlError) -> Trace {
    let network = try settled(try store.network(name))
    let port = try policyPort(request.port, of: network)
    guard let frame = Self.bytes(hexadecimal: request.frame) else {
      throw ControlError(.invalid, "the frame is no row of pairs of hexadecimal digits")
    }
    guard !frame.isEmpty, frame.count <= Limits.tracedFrameBytes else {
      throw ControlError(
        .invalid, "the frame has \(frame.count) bytes: 1 to \(Limits.tracedFrameBytes) can be traced")
    }
    let names = try portNames(of: network)
    let traced = try dataPlane.trace(
      frame, from: port.port, policy: raisedPolicies[network.id]?.installed, sends: request.send ?? false)
    func shown(_ index: UInt16) -> String { names[index] ?? "\(index)" }
    let outcome: String
    var drop: String?
    switch traced.explanation.outcome {
    case .sent: outcome = "sent"
    case .answered: outcome = "answered"
    case .routed: outcome = "routed"
    case .dropped(let reason): (outcome, drop) = ("dropped", reason.name)
    }
    return Trace(
      network: network.name, port: port.names.first ?? request.port,
      steps: traced.steps.map { Self.named($0, shown) }, outcome: outcome, drop: drop,
      copies: traced.explanation.copies.map {
        TracedCopy(port: shown($0.port), tag: $0.tagging.words, mirror: $0.isMirror)
      },
      rewritten: traced.bytes == frame ? nil : Self.hexadecimal(traced.bytes))
  }

  /// The last ones, the oldest first. Of frames that came by a port of the network.
  func drops(network name: String) throws(ControlError) -> [DroppedFrame] {
    let network = try settled(try store.network(name))
    let ports = try policyPorts(of: network)
    return try dataPlane.lastDrops().compactMap { drop in
      guard let port = ports.first(where: { $0.port == drop.port }) else { return nil }
      return DroppedFrame(
        port: Self.shownName(port), reason: drop.reason.name, length: drop.length,
        frame: Self.hexadecimal(drop.bytes), ageSeconds: drop.ageSeconds)
    }
  }

  /// A port by what people call it: a name, or a prefix of an endpoint's id.
  func policyPort(_ asked: String, of network: NetworkRecord) throws(ControlError) -> DataPlanePolicyPort {
    let ports = try policyPorts(of: network)
    if let port = ports.first(where: { $0.names.contains(asked) }) { return port }
    let byPrefix = ports.filter { $0.kind == .endpoint && asked.count >= 4 && $0.names[0].hasPrefix(asked) }
    guard byPrefix.count == 1 else {
      let names = ports.map(Self.shownName).joined(separator: ", ")
      throw ControlError(
        .notFound, "network \(network.name) has no port \(asked)" + (names.isEmpty ? "" : ": there are \(names)"))
    }
    return byPrefix[0]
  }

  /// What people call a port: of an endpoint, its sandbox.
  static func shownName(_ port: DataPlanePolicyPort) -> String {
    port.kind == .endpoint && port.names.count > 2 ? port.names[2] : port.names.first ?? ""
  }

  private func portNames(of network: NetworkRecord) throws(ControlError) -> [UInt16: String] {
    var names: [UInt16: String] = [:]
    for port in try policyPorts(of: network) {
      if let index = dataPlane.engineIndex(of: port.port) { names[index] = Self.shownName(port) }
    }
    return names
  }

  /// A step with the names of ports in place of `{index}`.
  private static func named(_ step: String, _ name: (UInt16) -> String) -> String {
    var words = ""
    var rest = step[...]
    while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
      words += rest[..<open]
      let inside = rest[rest.index(after: open)..<close]
      words += UInt16(inside).map(name) ?? "{\(inside)}"
      rest = rest[rest.index(after: close)...]
    }
    return words + rest
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  private static func bytes(hexadecimal text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16),
        digits[index] != UInt8(ascii: "+")
      else { return nil }
      bytes.append(byte)
    }
    return bytes
  }
}

extension Tagging {
  fileprivate var words: String? {
    switch self {
    case .unchanged: nil
    case .removed: "removed"
    case .set(let tag): "set to \(tag.identifier)"
    case .added(let tag): "\(tag.identifier) added"
    }
  }
}
