import Datapath
import Tables
import Wire

/// A learning switch that lets endpoints speak in their own name only: with their MAC address, from their IP addresses, and of
/// themselves in ARP (RFC 826) and neighbour discovery (RFC 4861). What gives others their addresses and routes (DHCP's answers,
/// router advertisements) comes from trusted ports alone (RFC 6105, RFC 7610, RFC 7513).
public struct PortGuardPolicy: LoadablePolicy {
  public static let name = "port-guard"
  public static let summary =
    "stop MAC, IP, ARP, ND and DHCP spoofing by endpoints; trusted=NAME,NAME may answer for all"

  /// What a frame is dropped for: the place of its counter.
  enum Offence: Int, CaseIterable {
    case mac, ip, arp, nd, dhcp, router, malformed
  }

  public let counterNames = Offence.allCases.map { "\($0)_stopped" }

  private let trusted: [String]
  /// Addresses beside those that the control plane knows, by port name.
  private var extra: [String: [IPAddress]] = [:]
  private let takesAnyLinkLocal: Bool
  private var stations = PortMap(Station())
  /// Of all stations, one after the other; as `IPAddress.mapped`.
  private var addresses: [UInt128] = []

  public init?(_ parameters: inout PolicyParameters) {
    trusted = parameters.list("trusted", default: ["gateway"])
    takesAnyLinkLocal = parameters.choice("link-local", of: ["eui64", "any"]) == "any"
    for (name, text) in parameters.all(prefix: "allow.") {
      for word in text.split(separator: ",") {
        guard let address = IPAddress(String(word)) else {
          parameters.refuse("allow.\(name)=\(word): give IP addresses, separated by commas")
          return nil
        }
        extra[name, default: []].append(address)
      }
    }
  }

  public mutating func portsChanged(_ ports: [PolicyPort]) {
    stations.removeAll()
    addresses.removeAll(keepingCapacity: true)
    for port in ports {
      let own = port.addresses + (port.value(in: extra) ?? [])
      let first = addresses.count
      addresses += own.map(\.mapped)
      // Other hosts' switches guard their own endpoints; what an interface leads to is not known by addresses.
      let trust: Station.Trust =
        if port.isCalled(oneOf: trusted) || port.kind == .vtep {
          .all
        } else if port.kind == .endpoint {
          .own
        } else {
          .anyAddress
        }
      stations[port.index] = Station(trust: trust, mac: port.mac, addresses: first..<addresses.count)
    }
  }

  @inline(__always)
  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    let station = stations[frame.port]
    if station.trust != .all, let offence = offence(of: frame, by: station) {
      view.explain("{\(frame.port)} may not send this: \(offence.reason)")
      view.count(offence.rawValue)
      return .drop(.portGuard)
    }
    return LearningSwitch().decide(frame, &view)
  }

  private func offence(of frame: borrowing Frame, by station: Station) -> Offence? {
    if station.trust == .own && frame.source != station.mac { return .mac }
    guard let ethernet = EthernetView(frame.bytes), let payload = EthernetPayload(ethernet) else { return .malformed }
    switch payload.etherType {
    case .arp:
      guard let packet = ARPView(payload.bytes) else { return .malformed }
      return station.trust == .own ? offence(of: packet, by: station) : nil
    case .ipv4:
      guard let packet = IPv4View(payload.bytes) else { return .malformed }
      return offence(of: packet, by: station)
    case .ipv6:
      guard let packet = IPv6View(payload.bytes) else { return .malformed }
      return offence(of: packet, by: station)
    // A third tag: what is behind it cannot be read.
    default: return payload.etherType.isVLAN ? .malformed : nil
    }
  }

  /// A probe (RFC 5227, 2.1.1) comes from 0.0.0.0.
  private func offence(of packet: borrowing ARPView, by station: Station) -> Offence? {
    let sender = packet.senderAddress.mapped
    let isProbe = packet.operation == .request && packet.senderAddress.bits == 0
    return packet.senderMAC == station.mac && (isProbe || has(station, sender)) ? nil : .arp
  }

  private func offence(of packet: borrowing IPv4View, by station: Station) -> Offence? {
    let source = packet.source
    var mayBeUnspecified = packet.protocol == .igmp
    if packet.protocol == .udp && packet.payloadPosition == 0 {
      // Too short for its ports: the rest is to come in another fragment, unseen (RFC 1858).
      guard let ports = DatagramPorts(packet.payload) else { return .malformed }
      if let offence = ports.dhcpOffence(station, packet.payload) { return offence }
      mayBeUnspecified = ports.destination == DatagramPorts.dhcpServer
    }
    guard station.trust == .own, !has(station, source.mapped) else { return nil }
    return source.bits == 0 && mayBeUnspecified ? nil : .ip
  }

  private func offence(of packet: borrowing IPv6View, by station: Station) -> Offence? {
    // All headers are in the first fragment (RFC 7112), and those of neighbour discovery in no fragment (RFC 6980).
    guard let upper = IPv6UpperLayer(packet) else { return .malformed }
    if upper.fragmentPosition == 0 && upper.protocol == .udp {
      guard let ports = DatagramPorts(upper.bytes) else { return .malformed }
      if ports.isDHCPv6Answer { return .dhcp }
    }
    let source = packet.source.bits
    var mayBeUnspecified = false
    if upper.fragmentPosition == 0 && upper.protocol == .icmpv6 {
      guard let message = ICMPv6View(upper.bytes) else { return .malformed }
      if message.type.isOfRouter { return .router }
      if message.type.isDiscovery {
        let discovery = DiscoveryMessage(message.type, upper.bytes, from: station.mac)
        if upper.isFragment || !discovery.isWhole { return .malformed }
        if station.trust == .own && isSpoofed(discovery, isProbe: source == 0, by: station) { return .nd }
      }
      mayBeUnspecified = message.type.isDiscovery || message.type.isListenerReport
    }
    guard station.trust == .own, !has(station, source) else { return nil }
    return source == 0 && mayBeUnspecified ? nil : .ip
  }

  private func isSpoofed(_ message: DiscoveryMessage, isProbe: Bool, by station: Station) -> Bool {
    if message.namesAnother { return true }
    guard message.claimsTarget(isProbe: isProbe), let target = message.target else { return false }
    return !has(station, target)
  }

  /// The address is the station's: one that it was given, or a link-local one (RFC 4291, 2.5.6).
  private func has(_ station: Station, _ address: UInt128) -> Bool {
    for index in station.addresses where addresses[index] == address { return true }
    if takesAnyLinkLocal { return address >> 118 == 0xFE80 >> 6 }
    return address == station.linkLocal
  }
}

extension PortGuardPolicy.Offence {
  var reason: String {
    switch self {
    case .mac: "its source is not the endpoint's MAC address"
    case .ip: "its source is none of the endpoint's IP addresses"
    case .arp: "its sender in ARP is not the endpoint"
    case .nd: "it claims an address in neighbour discovery that is not the endpoint's"
    case .dhcp: "it answers for a DHCP server, or asks in another's name"
    case .router: "it speaks for a router"
    case .malformed: "its headers are not whole, so nothing can be said of what it carries"
    }
  }
}
