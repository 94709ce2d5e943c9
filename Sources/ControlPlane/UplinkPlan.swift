import ControlModel
import Datapath
import Wire

/// What a request for an uplink comes to, and what the data plane is told then. Nothing is changed by it.
struct UplinkPlan {
  let record: UplinkRecord

  init(_ request: UplinkRequest, created: String) throws(ControlError) {
    var addresses: [IPAddress] = []
    for text in request.addresses ?? [] {
      guard let address = IPAddress(text) else {
        throw ControlError(.invalid, "address \(text.quoted) is no IP address")
      }
      if !addresses.contains(address) { addresses.append(address) }
    }
    guard addresses.count <= Limits.externalAddresses else {
      throw ControlError(.invalid, "\(addresses.count) addresses: at most \(Limits.externalAddresses) are allowed")
    }
    var ports: [PortRange] = []
    for text in request.ports ?? [] {
      guard let range = PortRange(text), range.ports.lowerBound >= Self.lowestPort else {
        throw ControlError(
          .invalid, "ports \(text.quoted) are no range such as 61000-65535, from \(Self.lowestPort) on")
      }
      if let other = ports.first(where: { $0.ports.overlaps(range.ports) }) {
        throw ControlError(.invalid, "ports \(range) and \(other) overlap")
      }
      ports.append(range)
    }
    guard ports.count <= Limits.outboundPortRanges else {
      throw ControlError(.invalid, "\(ports.count) ranges of ports: at most \(Limits.outboundPortRanges) are allowed")
    }
    record = UplinkRecord(
      interface: request.interface, addresses: addresses, ports: ports, translatesIpv6: request.ipv6NAT ?? false,
      created: created)
  }

  /// Below are services' ports.
  private static let lowestPort: UInt16 = 1024
}

extension UplinkRecord {
  /// From which ports of outbound mappings are taken, beside those that the kernel gives out.
  func outboundPorts(beside kernel: ClosedRange<UInt16>) throws(ControlError) -> [PortRange] {
    if ports.isEmpty { return try PortRange.outbound(beside: kernel) }
    if let range = ports.first(where: { $0.ports.overlaps(kernel) }) {
      throw ControlError(
        .conflict,
        "ports \(range) overlap \(PortRange(kernel)), which the kernel gives out itself: choose others, or narrow the kernel's with sysctl -w net.ipv4.ip_local_port_range"
      )
    }
    return ports
  }

  /// Which addresses of the interface are external, in its order.
  /// - Parameter present: of the interface.
  func external(of present: [HostAddress]) -> [IPAddress] {
    let usable = present.filter(\.isLasting).map(\.address)
    return addresses.isEmpty ? usable : addresses.filter { chosen in present.contains { $0.address == chosen } }
  }

  /// The same way outside is asked for.
  func isEquivalent(to other: UplinkRecord) -> Bool {
    var other = other
    other.created = created
    return self == other
  }
}

extension [ExternalAddress] {
  /// The slots of `addresses`: whoever has one keeps it, and one that becomes free is not given away in the same step, so
  /// that it never stands for two. An address for which none is left waits.
  func assigned(to addresses: [IPAddress]) -> [ExternalAddress] {
    var assigned = filter { addresses.contains($0.address) }
    let free = (0..<Limits.externalAddresses).filter { slot in !contains { $0.slot == slot } }
    let new = addresses.filter { address in !assigned.contains { $0.address == address } }
    assigned += zip(free, new).map { ExternalAddress(slot: $0, address: $1) }
    return assigned.sorted { $0.slot < $1.slot }
  }
}
