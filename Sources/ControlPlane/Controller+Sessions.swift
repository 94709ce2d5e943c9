import ControlModel
import Wire

extension Controller {
  static let defaultTimeouts = SessionTimeouts(DataPlaneTimeouts())
  /// Mapping as RFC 4787 asks (REQ-1); filtering as people know it from Linux, so that nobody comes in uninvited.
  static let defaultTranslation = Translation(
    mapping: endpointIndependentMapping, filtering: DataPlaneFiltering.addressAndPortDependent.rawValue)
  private static let endpointIndependentMapping = "endpoint-independent"
  private static let mappings = [endpointIndependentMapping, "address-and-port-dependent"]

  func sessions(_ filter: SessionFilter) throws(ControlError) -> [Session] {
    var shown: [Session] = []
    for session in try dataPlane.sessions() {
      let session = Session(session)
      guard session.matches(filter) else { continue }
      shown.append(session)
      if shown.count == Limits.sessionsShown { break }
    }
    return shown
  }

  // MARK: Settings

  func sessionTimeouts() throws(ControlError) -> SessionTimeouts {
    try store.sessionTimeouts() ?? Self.defaultTimeouts
  }

  func changeSessionTimeouts(_ change: SessionTimeoutsChange) throws(ControlError) -> SessionTimeouts {
    let old = try sessionTimeouts()
    let new = try SessionTimeouts(
      udp: Self.check(change.udp, old.udp, "udp", minimum: Limits.udpTimeoutMinimum),
      udpStream: Self.check(change.udpStream, old.udpStream, "udp_stream", minimum: Limits.udpTimeoutMinimum),
      tcpEstablished: Self.check(change.tcpEstablished, old.tcpEstablished, "tcp_established"),
      tcpTransitory: Self.check(change.tcpTransitory, old.tcpTransitory, "tcp_transitory"),
      icmp: Self.check(change.icmp, old.icmp, "icmp"))
    guard new != old else { return old }
    try self.change { rollback throws(ControlError) in
      try dataPlane.setTimeouts(new.dataPlane)
      rollback.add("give sessions their old timeouts") { [dataPlane] () throws(ControlError) in
        try dataPlane.setTimeouts(old.dataPlane)
      }
      try store.set(new)
    }
    return new
  }

  private static func check(
    _ asked: Int?, _ old: Int, _ name: String, minimum: Int = Limits.sessionTimeout.lowerBound
  ) throws(ControlError) -> Int {
    guard let asked else { return old }
    guard asked >= minimum else {
      let why = minimum == Limits.udpTimeoutMinimum ? " for UDP (RFC 4787, 4.3)" : ""
      throw ControlError(.invalid, "timeout \(name)=\(asked): at least \(minimum) seconds are needed\(why)")
    }
    guard asked <= Limits.sessionTimeout.upperBound else {
      throw ControlError(
        .invalid, "timeout \(name)=\(asked): at most \(Limits.sessionTimeout.upperBound) seconds are allowed")
    }
    return asked
  }

  func translation() throws(ControlError) -> Translation { try store.translation() ?? Self.defaultTranslation }

  func changeTranslation(_ change: TranslationChange) throws(ControlError) -> Translation {
    let old = try translation()
    let new = Translation(mapping: change.mapping ?? old.mapping, filtering: change.filtering ?? old.filtering)
    guard Self.mappings.contains(new.mapping) else {
      throw ControlError(
        .invalid, "no mapping \(new.mapping.quoted): there are \(Self.mappings.joined(separator: ", "))")
    }
    guard DataPlaneFiltering(rawValue: new.filtering) != nil else {
      let known = DataPlaneFiltering.allCases.map(\.rawValue).joined(separator: ", ")
      throw ControlError(.invalid, "no filtering \(new.filtering.quoted): there are \(known)")
    }
    guard new != old else { return old }
    try self.change { rollback throws(ControlError) in
      try tell(new)
      rollback.add("translate as before") { [self] () throws(ControlError) in try tell(old) }
      try store.set(new)
    }
    return new
  }

  private func tell(_ translation: Translation) throws(ControlError) {
    try dataPlane.setTranslation(
      isEndpointIndependent: translation.mapping == Self.endpointIndependentMapping,
      filtering: DataPlaneFiltering(rawValue: translation.filtering) ?? .addressAndPortDependent)
  }

  /// At start, before there is any session.
  func restoreSessionSettings() {
    attempt("restore the settings of sessions") { () throws(ControlError) in
      try dataPlane.setTimeouts(try sessionTimeouts().dataPlane)
      try tell(try translation())
    }
  }
}

extension SessionTimeouts {
  init(_ timeouts: DataPlaneTimeouts) {
    self.init(
      udp: timeouts.udp, udpStream: timeouts.udpStream, tcpEstablished: timeouts.tcpEstablished,
      tcpTransitory: timeouts.tcpTransitory, icmp: timeouts.icmp)
  }

  var dataPlane: DataPlaneTimeouts {
    var timeouts = DataPlaneTimeouts()
    (timeouts.udp, timeouts.udpStream) = (udp, udpStream)
    (timeouts.tcpEstablished, timeouts.tcpTransitory, timeouts.icmp) = (tcpEstablished, tcpTransitory, icmp)
    return timeouts
  }
}

extension Session {
  init(_ session: DataPlaneSession) {
    self.init(
      protocol: session.protocol.name, inside: Self.text(session.inside), outside: Self.text(session.outside),
      remote: Self.text(session.remote), state: session.state, expiresSeconds: session.expiresSeconds)
  }

  private static func text(_ end: (IPAddress, UInt16)) -> String {
    end.0.isIPv6 ? "[\(end.0)]:\(end.1)" : "\(end.0):\(end.1)"
  }

  func matches(_ filter: SessionFilter) -> Bool {
    filter.values.allSatisfy { key, value in
      switch key {
      case "protocol": `protocol` == value
      case "state": state == value
      case "inside": Self.end(inside, isNamed: value)
      case "outside": Self.end(outside, isNamed: value)
      case "remote": Self.end(remote, isNamed: value)
      default: false
      }
    }
  }

  /// By address and port, or by address alone.
  private static func end(_ end: String, isNamed name: String) -> Bool {
    end == name || end.hasPrefix(name + ":") && !name.contains(":") || end.hasPrefix("[\(name)]:")
  }
}

extension IPProtocol {
  /// As people write it; a number where it has no name here.
  var name: String {
    switch self {
    case .tcp: "tcp"
    case .udp: "udp"
    case .icmp: "icmp"
    case .icmpv6: "icmpv6"
    default: String(rawValue)
    }
  }
}
