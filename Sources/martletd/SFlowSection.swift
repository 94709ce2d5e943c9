import ControlModel
import Wire
import Yams

/// The section `sflow` of the configuration: where samples and counters are sent, and how many.
struct SFlowSection: Equatable {
  /// IANA's port of sFlow.
  static let defaultPort = 6343
  static let samplingRange = 0...(1 << 24)
  static let pollingRange = 0...3600
  /// An Ethernet header at least.
  static let headerRange = 14...512

  private(set) var collector: IPAddress
  private(set) var port = defaultPort
  /// nil: the address from which the collector is reached.
  private(set) var agent: IPAddress?
  /// One frame in so many; 0: none.
  private(set) var sampling = 1000
  /// Seconds from one sample of a port's counters to the next; 0: none are sent.
  private(set) var polling = 30
  /// Bytes of a frame that are sent.
  private(set) var header = 128

  static let keys = ["collector", "agent", "sampling", "polling", "header"]

  /// - Parameter name: of the file, for a refusal.
  init(_ mapping: Node.Mapping, name: String) throws(ControlError) {
    var place: (address: IPAddress, port: Int)?
    collector = .v4(IPv4Address(bits: 0))
    for (key, value) in mapping {
      let line = "\(name):\(key.mark?.line ?? 0)"
      guard case .scalar(let keyText) = key, case .scalar(let valueText) = value else {
        throw ControlError(.invalid, "\(line): a plain `key: value` line is needed")
      }
      let (text, origin) = (valueText.string, "\(line): sflow: \(keyText.string)")
      switch keyText.string {
      case "collector": place = try Self.place(text, origin)
      case "agent":
        guard let address = IPAddress(text) else {
          throw ControlError(.invalid, "\(origin): \(text) is no IP address")
        }
        agent = address
      case "sampling": sampling = try Configuration.number(text, in: Self.samplingRange, origin)
      case "polling": polling = try Configuration.number(text, in: Self.pollingRange, origin)
      case "header": header = try Configuration.number(text, in: Self.headerRange, origin)
      default:
        throw ControlError(.invalid, "\(origin): no such key: there are \(Self.keys.joined(separator: ", "))")
      }
    }
    guard let place else {
      throw ControlError(.invalid, "\(name): sflow: collector says where samples are sent: it is missing")
    }
    guard sampling > 0 || polling > 0 else {
      throw ControlError(
        .invalid, "\(name): sflow: with sampling 0 and polling 0 nothing is sent: leave the section out")
    }
    (collector, port) = place
  }

  /// `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
  private static func place(_ text: String, _ origin: String) throws(ControlError) -> (address: IPAddress, port: Int) {
    if let address = IPAddress(text) { return (address, defaultPort) }
    let colon = text.lastIndex(of: ":") ?? text.endIndex
    var host = text[..<colon]
    let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
    if isBracketed { host = host.dropFirst().dropLast() }
    guard colon < text.endIndex, let address = IPAddress(String(host)), address.isIPv6 == isBracketed else {
      throw ControlError(
        .invalid, "\(origin): an address is needed, as in 192.0.2.1, 192.0.2.1:6343 or \"[2001:db8::1]:6343\"")
    }
    return (address, try Configuration.number(String(text[colon...].dropFirst()), in: 1...0xFFFF, origin))
  }
}

/// As the file would say it.
extension SFlowSection: CustomStringConvertible {
  var place: String { collector.isIPv6 ? "[\(collector)]:\(port)" : "\(collector):\(port)" }

  var description: String {
    """
    sflow:
      collector: "\(place)"
      \(agent.map { "agent: \"\($0)\"" } ?? "# agent: the address from which the collector is reached")
      sampling: \(sampling)
      polling: \(polling)
      header: \(header)
    """
  }
}
