import ControlModel
import Wire

/// The gateway modes of a network, which may differ by family.
struct GatewayModes: Equatable {
  var ipv4: GatewayMode
  var ipv6: GatewayMode
  func routes(ipv6 isIPv6: Bool) -> Bool { (isIPv6 ? ipv6 : ipv4) == .routed }
}

/// What a publication comes to on the host and in the data plane. Nothing is changed by it.
///
/// Where nothing is said of the host's address, all of both families stand for it, as Docker has it. A family in which the
/// endpoint has no address leads to its other one: there the data plane has no part, and the relay serves alone. A loopback
/// address is the relay's alone too.
struct PublicationPlan: Equatable {
  private(set) var holds: [HeldPorts] = []
  private(set) var entries: [DataPlanePublication] = []
  private(set) var shown: [PublishedPort] = []

  /// - Parameter addresses: the endpoint's.
  /// - Parameter external: the uplink's; nil: there is none now.
  init(
    _ record: PublicationRecord, addresses: [IPAddress], modes: GatewayModes, external: [IPAddress]?, hasIPv6: Bool
  ) {
    for isIPv6 in [false, true] where record.hostAddress == nil || record.hostAddress!.isIPv6 == isIPv6 {
      let address = addresses.first { $0.isIPv6 == isIPv6 }
      if modes.routes(ipv6: isIPv6) {
        guard let address else { continue }
        if external != nil { entries.append(record.opening(address)) }
        if !shown.contains(where: { $0.hostPort == 0 }) { shown.append(record.shown(hostIP: "", hostPort: 0)) }
      } else if let first = record.hostPort, let target = address ?? addresses.first, !isIPv6 || hasIPv6 {
        let hostAddress = record.hostAddress ?? (isIPv6 ? .v6(IPv6Address(bits: 0)) : .v4(IPv4Address(bits: 0)))
        let held = HeldPorts(
          protocol: record.ipProtocol, address: hostAddress, ports: record.ports(from: first), target: target,
          firstPort: UInt16(record.port))
        holds.append(held)
        shown.append(record.shown(hostIP: hostAddress.description, hostPort: first))
        if address != nil, let external, let entry = Self.entry(held, external) { entries.append(entry) }
      }
    }
  }

  private static func entry(_ held: HeldPorts, _ external: [IPAddress]) -> DataPlanePublication? {
    guard held.address.isUnspecified || external.contains(held.address) else { return nil }
    return DataPlanePublication(
      protocol: held.protocol, hostAddress: held.address.isUnspecified ? nil : held.address, hostPorts: held.ports,
      address: held.target, firstPort: held.firstPort)
  }

  /// With what keeps it from being reached.
  func shown(_ detail: String?) -> [PublishedPort] {
    shown.map { port in
      var port = port
      port.detail = detail
      return port
    }
  }
}

extension PublicationRecord {
  var ipProtocol: IPProtocol { transport == .tcp ? .tcp : .udp }

  fileprivate func ports(from first: Int) -> ClosedRange<UInt16> { UInt16(first)...UInt16(first + count - 1) }

  /// The endpoint's own ports, from outside.
  fileprivate func opening(_ address: IPAddress) -> DataPlanePublication {
    DataPlanePublication(
      protocol: ipProtocol, hostAddress: address, hostPorts: ports(from: port), address: address,
      firstPort: UInt16(port))
  }

  fileprivate func shown(hostIP: String, hostPort: Int) -> PublishedPort {
    let isRange = count > 1
    return PublishedPort(
      hostIP: hostIP, hostPort: hostPort, hostPortEnd: isRange && hostPort > 0 ? hostPort + count - 1 : nil, port: port,
      portEnd: isRange ? port + count - 1 : nil, protocol: transport.rawValue)
  }
}

extension NetworkRecord {
  var gatewayModes: GatewayModes {
    get throws(ControlError) {
      let options = try parsedOptions
      return GatewayModes(ipv4: options.gatewayModeIPv4 ?? gatewayMode, ipv6: options.gatewayModeIPv6 ?? gatewayMode)
    }
  }
}
