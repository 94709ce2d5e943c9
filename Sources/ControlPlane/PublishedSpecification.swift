import ControlModel
import Wire

/// `[HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp]`, parsed as `docker run -p` parses it. An IPv6 HOSTIP may stand in brackets.
struct PublishedSpecification: Equatable {
  let text: String
  private(set) var transport = PublicationRecord.Transport.tcp
  private(set) var hostAddress: IPAddress?
  /// nil: to be chosen.
  private(set) var hostPorts: PortRange?
  /// The endpoint's.
  let ports: PortRange

  /// One host port is to be chosen of `hostPorts`, which are more than `ports`.
  var choosesFromRange: Bool { ports.count == 1 && (hostPorts?.count ?? 1) > 1 }

  init(_ text: String) throws(ControlError) {
    self.text = text
    let halves = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    if halves.count > 1 { transport = try Self.transport(halves[1], in: text) }
    let parts = (halves.first ?? "").split(separator: ":", omittingEmptySubsequences: false)
    guard let container = parts.last, !container.isEmpty else {
      throw ControlError(.invalid, "port \(text.quoted): no port specified")
    }
    guard let ports = PortRange(String(container)) else {
      throw ControlError(.invalid, "port \(text.quoted): invalid containerPort: \(String(container).quoted)")
    }
    self.ports = ports
    if parts.count > 1 { hostPorts = try Self.hostPorts(parts[parts.count - 2], in: text) }
    if parts.count > 2 {
      hostAddress = try Self.address(parts.dropLast(2).joined(separator: ":"), in: text)
    }
    if let hostPorts, ports.count > 1, hostPorts.count != ports.count {
      throw ControlError(
        .invalid,
        "port \(text.quoted): invalid ranges specified for container and host Ports: \(ports) and \(hostPorts)"
      )
    }
  }

  private static func transport(
    _ name: Substring, in text: String
  ) throws(ControlError) -> PublicationRecord.Transport {
    let name = name.lowercased()
    if let transport = PublicationRecord.Transport(rawValue: name) { return transport }
    if name == "sctp" {
      throw ControlError(.unsupported, "port \(text.quoted): sctp is not supported, only tcp and udp are")
    }
    throw ControlError(.invalid, "port \(text.quoted): invalid proto: \(name.quoted)")
  }

  private static func hostPorts(_ part: Substring, in text: String) throws(ControlError) -> PortRange? {
    if part.isEmpty || part == "0" { return nil }
    if let range = PortRange(String(part)) { return range }
    throw ControlError(.invalid, "port \(text.quoted): invalid hostPort: \(String(part).quoted)")
  }

  private static func address(_ part: String, in text: String) throws(ControlError) -> IPAddress? {
    if part.isEmpty { return nil }
    var part = part
    if part.hasPrefix("["), part.hasSuffix("]") { part = String(part.dropFirst().dropLast()) }
    if let address = IPAddress(part) { return address }
    throw ControlError(.invalid, "port \(text.quoted): invalid IP address: \(part.quoted)")
  }
}

extension PublicationRecord {
  /// What is asked for, not chosen yet where it is to be.
  init(_ asked: PublishedSpecification, endpoint: String, hostAddress: IPAddress?) {
    self.init(
      id: nil, endpointId: endpoint, transport: asked.transport, hostAddress: hostAddress,
      hostPort: asked.hostPorts.map { Int($0.ports.lowerBound) }, port: Int(asked.ports.ports.lowerBound),
      count: asked.ports.count, state: .creating)
  }

  /// A user who names `asked` means this one.
  func matches(_ asked: PublishedSpecification) -> Bool {
    guard transport == asked.transport, port == Int(asked.ports.ports.lowerBound), count == asked.ports.count else {
      return false
    }
    if let address = asked.hostAddress, address != hostAddress {
      // Where none was given, all are shown by these two.
      guard hostAddress == nil, address.isUnspecified else { return false }
    }
    guard let asked = asked.hostPorts, let hostPort else { return true }
    // One that was chosen from a range is found by the same words again.
    return asked.count == count
      ? hostPort == Int(asked.ports.lowerBound) : asked.ports.contains(UInt16(hostPort))
  }
}
