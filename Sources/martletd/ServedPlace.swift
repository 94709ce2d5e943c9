import ControlModel
import LivePage
import Logging
import Metrics
import Wire

/// Where metrics, or the page, are served.
enum ServedPlace: Equatable {
  case off
  /// A Unix socket.
  case socket(path: String)
  case tcp(IPAddress, port: Int)

  private static let socketPrefix = "unix:"

  /// `off`, `ADDRESS:PORT` with IPv6 in brackets, an absolute path, or `unix:` and one.
  init(_ text: String, _ origin: String) throws(ControlError) {
    if Configuration.isOff(text) {
      self = .off
    } else if text.hasPrefix("/") || text.hasPrefix(Self.socketPrefix) {
      let path = text.hasPrefix("/") ? text : String(text.dropFirst(Self.socketPrefix.count))
      self = .socket(path: try Configuration.socketPath(path, origin))
    } else {
      self = try Self.tcp(text, origin)
    }
  }

  /// As `init(_:_:)`, and an address only of loopback.
  static func onThisHost(_ text: String, _ origin: String) throws(ControlError) -> ServedPlace {
    let place = try ServedPlace(text, origin)
    if case .tcp(let address, _) = place, !address.isLoopback {
      throw ControlError(
        .invalid,
        "\(origin): the page shows names and addresses to whoever asks: only 127.0.0.1, [::1] or a socket's path can serve it"
      )
    }
    return place
  }

  private static func tcp(_ text: String, _ origin: String) throws(ControlError) -> ServedPlace {
    let colon = text.lastIndex(of: ":") ?? text.endIndex
    var host = text[..<colon]
    let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
    if isBracketed { host = host.dropFirst().dropLast() }
    guard colon < text.endIndex, let address = IPAddress(String(host)), address.isIPv6 == isBracketed else {
      throw ControlError(
        .invalid,
        "\(origin): an address and a port are needed, as in 127.0.0.1:9100 or \"[::1]:9100\", a socket's path, or off")
    }
    let port = try Configuration.number(String(text[colon...].dropFirst()), in: 1...0xFFFF, origin)
    return .tcp(address, port: port)
  }

  /// Serves metrics there; nil where it is off.
  func startMetrics(_ source: any MeasurementSource, _ logger: Logger) throws(ControlError) -> MetricsServer? {
    let server = MetricsServer(source: source, logger: logger)
    switch self {
    case .off: return nil
    case .socket(let path): try server.start(socketPath: path)
    case .tcp(let address, let port): _ = try server.start(address: address.description, port: port)
    }
    logger.info("serving metrics at \(self)")
    return server
  }

  /// Serves the page there; nil where it is off.
  func startPage(
    _ service: any ControlService & MeasurementSource, _ logger: Logger
  ) throws(ControlError) -> LivePageServer? {
    let server = LivePageServer(service: service, source: service, logger: logger)
    switch self {
    case .off: return nil
    case .socket(let path): try server.start(socketPath: path)
    case .tcp(let address, let port): _ = try server.start(address: address.description, port: port)
    }
    logger.info("serving the page at \(self)")
    return server
  }
}

extension IPAddress {
  fileprivate var isLoopback: Bool {
    switch self {
    case .v4(let address): address.isLoopback
    case .v6(let address): address.isLoopback
    }
  }
}

/// As the configuration would say it: to YAML, brackets make a list.
extension ServedPlace: CustomStringConvertible {
  var description: String {
    switch self {
    case .off: "off"
    case .socket(let path): path
    case .tcp(let address, let port): address.isIPv6 ? "\"[\(address)]:\(port)\"" : "\(address):\(port)"
    }
  }
}
