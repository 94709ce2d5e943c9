import ControlModel

/// Ports from one to another, as people write them: `8000-8010`, or `80` for a single one. Never empty, without port 0.
struct PortRange: StoredText, Hashable, Sendable {
  let ports: ClosedRange<UInt16>

  init(_ ports: ClosedRange<UInt16>) { self.ports = ports }

  init?(_ description: String) {
    let parts = description.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count <= 2, let first = Self.port(parts[0]), let last = Self.port(parts[parts.count - 1]), first <= last
    else { return nil }
    ports = first...last
  }

  private static func port(_ text: Substring) -> UInt16? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let port = UInt16(text), port > 0
    else { return nil }
    return port
  }

  var count: Int { ports.count }

  var description: String {
    ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound)-\(ports.upperBound)"
  }
}

extension PortRange {
  /// The ports above those that the kernel gives out: those below are where programs listen.
  static func outbound(beside kernel: ClosedRange<UInt16>) throws(ControlError) -> [PortRange] {
    guard kernel.upperBound < .max, UInt16.max - kernel.upperBound >= Limits.outboundPortsMinimum else {
      throw ControlError(
        .conflict,
        "the kernel gives out ports \(PortRange(kernel)) itself, and leaves none above for the uplink: give --ports FIRST-LAST, or narrow it with sysctl -w net.ipv4.ip_local_port_range=\"32768 60999\""
      )
    }
    return [PortRange(kernel.upperBound + 1...UInt16.max)]
  }

  /// What is left of the range.
  func without(_ used: Set<UInt16>) -> [PortRange] {
    var left: [PortRange] = []
    var first = Int(ports.lowerBound)
    for port in used.filter(ports.contains).sorted() {
      if first < Int(port) { left.append(PortRange(UInt16(first)...port - 1)) }
      first = Int(port) + 1
    }
    if first <= Int(ports.upperBound) { left.append(PortRange(UInt16(first)...ports.upperBound)) }
    return left
  }
}
