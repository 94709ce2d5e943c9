import ControlModel

/// An entry of `com.docker.network.portmap`.
struct PortBinding: Decodable {
  /// RFC 5237: 6 is TCP, 17 UDP, 132 SCTP.
  let transport: Int
  /// The endpoint's.
  let port: Int
  /// Empty: every address of the host.
  let hostIP: String?
  /// 0: to be chosen.
  let hostPort: Int?
  /// One of `hostPort` to this one is to be chosen. 0: as `hostPort`.
  let hostPortEnd: Int?

  enum CodingKeys: String, CodingKey {
    case transport = "Proto"
    case port = "Port"
    case hostIP = "HostIP"
    case hostPort = "HostPort"
    case hostPortEnd = "HostPortEnd"
  }

  private static let transports = [6: "tcp", 17: "udp", 132: "sctp"]
  private static let ports = 0...Int(UInt16.max)

  /// As `docker run -p` writes it.
  func specification(isIPv4Alone: Bool) throws(ControlError) -> String {
    guard let transport = Self.transports[transport] else {
      throw ControlError(.unsupported, "port \(port): protocol \(transport) cannot be published, only tcp and udp can")
    }
    let first = hostPort ?? 0
    let last = hostPortEnd.flatMap { $0 == 0 ? nil : $0 } ?? first
    guard port > 0, Self.ports.contains(port), Self.ports.contains(first), Self.ports.contains(last), first <= last
    else { throw ControlError(.invalid, "port \(port), on the host \(first) to \(last): 1 to 65535 are allowed") }

    var host = hostIP.present ?? (isIPv4Alone ? "0.0.0.0" : "")
    if host.contains(":"), !host.hasPrefix("[") { host = "[\(host)]" }
    let range = first == 0 ? "" : first == last ? "\(first)" : "\(first)-\(last)"
    let hostPart = host.isEmpty ? (range.isEmpty ? "" : range + ":") : "\(host):\(range):"
    return "\(hostPart)\(port)/\(transport)"
  }
}
