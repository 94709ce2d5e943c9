import ControlModel
import Wire

/// What a request for a service asks for, checked as far as the text alone tells.
struct ServicePlan: Equatable {
  var mode: ServiceMode
  var publications: [PublishedSpecification]
  /// By family: an address, or `.some(nil)` where any will do.
  private var ipv4: IPAddress??
  private var ipv6: IPAddress??

  private static let automatic = "auto"
  private static let none = "none"

  init(_ request: ServiceRequest) throws(ControlError) {
    try Name.check(request.name, of: "service")
    mode = try Self.mode(request.mode)
    publications = []
    for text in request.published ?? [] {
      let asked = try PublishedSpecification(text)
      guard !asked.choosesFromRange else {
        throw ControlError(.invalid, "port \(text.quoted): a service's ports are the same on all hosts: give one")
      }
      publications.append(asked)
    }
    guard publications.count <= Limits.servicePublications else {
      throw ControlError(.invalid, "\(publications.count) published ports: at most \(Limits.servicePublications)")
    }
    let addresses = request.virtualAddresses ?? [Self.automatic]
    if addresses == [Self.none] { return }
    if addresses == [Self.automatic] {
      (ipv4, ipv6) = (.some(nil), .some(nil))
      return
    }
    for text in addresses {
      guard let address = IPAddress(text) else {
        throw ControlError(.invalid, "virtual address \(text.quoted) is neither an IP address nor auto or none")
      }
      guard (address.isIPv6 ? ipv6 : ipv4) == nil else {
        throw ControlError(.invalid, "virtual address \(text.quoted): at most one a family")
      }
      if address.isIPv6 { ipv6 = .some(address) } else { ipv4 = .some(address) }
    }
  }

  static func mode(_ text: String?) throws(ControlError) -> ServiceMode {
    guard let text else { return .ingress }
    if let mode = ServiceMode(rawValue: text) { return mode }
    let known = ServiceMode.allCases.map(\.rawValue).joined(separator: " and ")
    throw ControlError(.invalid, "service mode \(text.quoted) is not known: there are \(known)")
  }

  /// nil: no virtual address in that subnet; `.some(nil)`: any.
  func wish(in subnet: SubnetRecord) -> IPAddress?? { subnet.isIpv6 ? ipv6 : ipv4 }

  /// Addresses that were asked for.
  var wished: [IPAddress] { [ipv4 ?? nil, ipv6 ?? nil].compactMap { $0 } }
}

extension ServicePublicationRecord {
  /// - Parameter binding: where nothing is said of the host's address.
  init(_ asked: PublishedSpecification, service: String, binding: IPAddress?) {
    let ports = asked.ports.ports
    self.init(
      serviceId: service, transport: asked.transport, hostAddress: asked.hostAddress ?? binding,
      hostPort: Int((asked.hostPorts?.ports ?? ports).lowerBound), port: Int(ports.lowerBound), count: asked.ports.count
    )
  }
}

/// Which members: all, or those of this host.
struct MemberSet: Hashable, Comparable {
  var isIPv6: Bool
  var isLocal: Bool

  static func < (first: MemberSet, second: MemberSet) -> Bool { first.place < second.place }
  private var place: Int { (isIPv6 ? 2 : 0) + (isLocal ? 1 : 0) }
}

/// A member, as a service is to know it now.
struct PresentMember: Equatable {
  var addresses: [IPAddress]
  var isLocal: Bool
}

/// What a service comes to on the host and in the data plane. Nothing is changed by it.
struct ServiceShape: Equatable {
  struct Entry: Hashable {
    var set: MemberSet
    var publication: DataPlanePublication
  }

  struct Members: Hashable {
    var virtualAddress: IPAddress?
    var addresses: Set<IPAddress>
  }

  private(set) var sets: [MemberSet: Members] = [:]
  private(set) var holds: [HeldPorts] = []
  private(set) var entries: [Entry] = []

  static let nothing = ServiceShape()

  private init() {}

  /// - Parameters:
  ///   - families: of the network; true: IPv6.
  ///   - nobody: addresses of the network at which nobody is.
  ///   - external: the uplink's addresses; nil: there is none now.
  init(
    _ asked: AskedService, _ members: [PresentMember], families: [Bool], nobody: [IPAddress], external: [IPAddress]?,
    hasIPv6: Bool
  ) {
    let isHost = asked.record.mode == .host
    for isIPv6 in families {
      let virtual = asked.addresses.first { $0.isIPv6 == isIPv6 }
      func addresses(_ isMeant: (PresentMember) -> Bool) -> Set<IPAddress> {
        Set(members.filter(isMeant).flatMap(\.addresses).filter { $0.isIPv6 == isIPv6 })
      }
      let all = MemberSet(isIPv6: isIPv6, isLocal: false)
      if virtual != nil || (!isHost && !asked.publications.isEmpty) {
        sets[all] = Members(virtualAddress: virtual, addresses: addresses { _ in true })
      }
      let own = MemberSet(isIPv6: isIPv6, isLocal: true)
      let local = addresses(\.isLocal)
      // Where none runs, the host answers for itself.
      if isHost, !asked.publications.isEmpty, !local.isEmpty { sets[own] = Members(addresses: local) }
      for publication in asked.publications {
        let entry = publication.entry(isIPv6: isIPv6)
        if let virtual {
          var inside = entry
          inside.hostAddress = virtual
          entries.append(Entry(set: all, publication: inside))
        }
        let set = isHost ? own : all
        guard let external, sets[set] != nil, publication.isOpen(isIPv6: isIPv6, external) else { continue }
        entries.append(Entry(set: set, publication: entry))
      }
    }
    let local = members.filter(\.isLocal).flatMap(\.addresses)
    let elsewhere = members.filter { !$0.isLocal }.flatMap(\.addresses)
    hold(asked, isHost ? local : local + elsewhere + nobody, hasIPv6: hasIPv6)
  }

  /// What the host itself, and who comes by other interfaces than the uplink, reach by the relay: one member of this host, or one
  /// elsewhere where there is none here. The ports are held with none, too: else the wire would take them from a program of the host.
  private mutating func hold(_ asked: AskedService, _ targets: [IPAddress], hasIPv6: Bool) {
    for publication in asked.publications {
      for isIPv6 in [false, true] where !isIPv6 || hasIPv6 {
        guard publication.hostAddress == nil || publication.hostAddress!.isIPv6 == isIPv6,
          let target = targets.first(where: { $0.isIPv6 == isIPv6 }) ?? targets.first
        else { continue }
        let any: IPAddress = isIPv6 ? .v6(IPv6Address(bits: 0)) : .v4(IPv4Address(bits: 0))
        holds.append(
          HeldPorts(
            protocol: publication.publication.ipProtocol, address: publication.hostAddress ?? any,
            ports: publication.hostPorts, target: target, firstPort: UInt16(publication.port)))
      }
    }
  }
}

extension ServicePublicationRecord {
  var hostPorts: ClosedRange<UInt16> { UInt16(hostPort)...UInt16(hostPort + count - 1) }

  /// At every external address of the family, unless one is named.
  fileprivate func entry(isIPv6: Bool) -> DataPlanePublication {
    let named = hostAddress.flatMap { $0.isUnspecified || $0.isIPv6 != isIPv6 ? nil : $0 }
    return DataPlanePublication(
      protocol: publication.ipProtocol, hostAddress: named, hostPorts: hostPorts,
      address: isIPv6 ? .v6(IPv6Address(bits: 0)) : .v4(IPv4Address(bits: 0)), firstPort: UInt16(port))
  }

  /// The uplink has part in it, in that family.
  fileprivate func isOpen(isIPv6: Bool, _ external: [IPAddress]) -> Bool {
    guard let hostAddress else { return true }
    return hostAddress.isIPv6 == isIPv6 && (hostAddress.isUnspecified || external.contains(hostAddress))
  }

  /// As `service inspect` shows it.
  func shown(_ detail: String?) -> PublishedPort {
    PublishedPort(
      hostIP: hostAddress?.description ?? "", hostPort: hostPort, hostPortEnd: count > 1 ? hostPort + count - 1 : nil,
      port: port, portEnd: count > 1 ? port + count - 1 : nil, protocol: transport.rawValue, detail: detail)
  }
}
