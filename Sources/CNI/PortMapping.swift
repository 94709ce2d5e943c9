import ControlModel

/// A port of the host that leads to one of a container.
public struct PortMapping: Equatable, Sendable {
  /// Empty: every address of the host.
  public var hostAddress: String
  public var hostPort: Int
  public var port: Int
  /// How many of both, one after the other.
  public var count: Int
  public var `protocol`: String

  public init(hostAddress: String, hostPort: Int, port: Int, count: Int = 1, protocol: String) {
    (self.hostAddress, self.hostPort, self.port) = (hostAddress, hostPort, port)
    (self.count, self.protocol) = (count, `protocol`)
  }

  /// - Parameter name: how messages call it.
  public init(
    name: String, hostAddress: String?, hostPort: Int?, port: Int?, count: Int = 1, protocol: String?
  ) throws(ControlError) {
    guard let hostPort, let port, count >= 1, hostPort >= 1, port >= 1, hostPort <= 0x10000 - count,
      port <= 0x10000 - count
    else {
      throw ControlError(.invalid, "\(name): ports are needed on both sides, from 1 to 65535")
    }
    let family = (`protocol`?.nonEmpty ?? "tcp").lowercased()
    guard family.utf8.allSatisfy({ (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }) else {
      throw ControlError(.invalid, "\(name): \(quoted(family)) is no protocol")
    }
    self.init(hostAddress: hostAddress ?? "", hostPort: hostPort, port: port, count: count, protocol: family)
  }

  /// As `docker run -p` has it.
  public var specification: String {
    func range(_ first: Int) -> String { count == 1 ? "\(first)" : "\(first)-\(first + count - 1)" }
    let isIPv6 = hostAddress.contains(":") && !hostAddress.hasPrefix("[")
    let address = hostAddress.isEmpty ? "" : (isIPv6 ? "[\(hostAddress)]" : hostAddress) + ":"
    return "\(address)\(range(hostPort)):\(range(port))/\(`protocol`)"
  }

  /// The same ports in as few mappings as can be: engines write a range as one mapping for each port.
  public static func joined(_ mappings: [PortMapping]) -> [PortMapping] {
    let order = mappings.sorted {
      ($0.hostAddress, $0.protocol, $0.hostPort, $0.port) < ($1.hostAddress, $1.protocol, $1.hostPort, $1.port)
    }
    var joined: [PortMapping] = []
    for mapping in order {
      if let last = joined.last, last.hostAddress == mapping.hostAddress, last.protocol == mapping.protocol,
        last.hostPort + last.count == mapping.hostPort, last.port + last.count == mapping.port
      {
        joined[joined.count - 1].count += mapping.count
      } else {
        joined.append(mapping)
      }
    }
    return joined
  }
}
