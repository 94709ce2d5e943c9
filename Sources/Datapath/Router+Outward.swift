import Tables
import Wire

// From a network: what its endpoints send to the gateway's MAC address.

/// A packet on its way through the router: where its headers are, and how its checksum stands.
struct Passage {
  var frame: FrameDescriptor
  var packet: Packet
  var checksum: ChecksumState
  /// Payload of each segment, where it is yet to be cut; else 0.
  var segmentSize: UInt16
  /// Of TCP, and of no later fragment.
  var segment: TCPSegment?
  let now: UInt32

  /// nil where the frame is no IP packet, or malformed.
  @inline(__always)
  init?(_ frame: FrameDescriptor, now: UInt32) {
    let header = VirtioNetHeader(loadingFrom: UnsafeRawPointer(frame.start))
    let network = Engine.ethernetHeaderLength
    let available = Int(frame.length) &- Engine.headerLength &- network
    guard available > 0 else { return nil }
    let type = UInt16(bigEndian: (frame.packetStart - 2).loadUnaligned(as: UInt16.self))
    guard type == EtherType.ipv4.rawValue || type == EtherType.ipv6.rawValue,
      let packet = Packet(frame.packetStart, available: available, isIPv6: type == EtherType.ipv6.rawValue),
      let checksum = packet.checksumState(header, networkOffset: network)
    else { return nil }
    (self.frame, self.packet, self.checksum, self.now) = (frame, packet, checksum, now)
    segmentSize = header.segmentation == .none ? 0 : header.segmentSize
    segment = packet.protocol == .tcp && checksum != .absent ? packet.tcp : nil
  }

  /// The longest packet that the frame puts on the wire, in bytes.
  var packetLength: Int {
    guard segmentSize > 0 else { return packet.length }
    let transportHeader = segment?.headerLength ?? UDPView.headerLength
    return min(packet.length, packet.transport + transportHeader + Int(segmentSize))
  }

  var isFirst: Bool { checksum != .absent }

  /// Whether sessions are known by the packet's ports.
  var hasPorts: Bool { isFirst && packet.hasPorts }

  /// The far end's port; 0 for a query of ICMP, whose identifier is the near end's.
  func farPort(fromInside: Bool) -> UInt16 {
    if packet.protocol == .icmp || packet.protocol == .icmpv6 { return 0 }
    return fromInside ? packet.destinationPort : packet.sourcePort
  }

  func key(fromInside: Bool) -> SessionKey {
    SessionKey(
      near: fromInside ? packet.source : packet.destination, far: fromInside ? packet.destination : packet.source,
      nearPort: fromInside ? packet.sourcePort : packet.destinationPort, farPort: farPort(fromInside: fromInside),
      protocol: packet.protocol.rawValue)
  }
}

extension Router {
  /// A frame to the MAC address of its network's gateway. Its bytes are the router's to change.
  mutating func fromNetwork(_ frame: FrameDescriptor, network: Int, now: UInt32) -> RoutingVerdict {
    guard var passage = Passage(frame, now: now) else { return .drop(.malformedPacket) }
    if passage.hasPorts {
      let index = sessions.find(inside: passage.key(fromInside: true))
      if index != 0, sessions[index].pointee.owner == frame.port { return sendOut(&passage, index, network) }
    }
    return begin(&passage, network)
  }

  // MARK: Without a session

  private mutating func begin(_ passage: inout Passage, _ network: Int) -> RoutingVerdict {
    let packet = passage.packet
    let gateway = gateways[network]
    if Self.isForHostAlone(packet.destination) { return toHost(gateway) }
    if packet.fragment != nil, let verdict = fragmentFromInside(&passage, network) { return verdict }
    if let slot = slot(of: packet.destination) {
      // What is no port of ours at an external address is the host's own.
      guard isHairpin(passage, slot) else { return toHost(gateway) }
    } else if let verdict = withinNetworks(&passage, network) {
      return verdict
    }
    guard let source = host(of: passage, network) else { return .drop(.spoofedSource) }
    let next = step(to: packet.destination)
    switch next {
    case .host: return toHost(gateway)
    case .drop(let reason):
      answer(passage, .unreachable, network)
      return .drop(reason)
    case .hairpin, .neighbour: break
    }
    if passage.isFirst, packet.protocol == .icmp || packet.protocol == .icmpv6, packet.icmp.isError {
      return errorFromInside(&passage, network)
    }
    guard passage.hasPorts || !gateway.translates(isIPv6: packet.isIPv6) else { return .drop(.unsupportedProtocol) }
    let (index, reason) = openOutward(passage, source, gateway)
    guard index != 0 else {
      if reason == .portsExhausted { answer(passage, .unreachable, network) }
      return .drop(reason)
    }
    remember(next, of: index)
    return sendOut(&passage, index, network)
  }

  /// Group and link-local addresses do not leave their network.
  private static func isForHostAlone(_ address: UInt128) -> Bool {
    if address >> 32 == 0xFFFF {
      let bits = UInt32(truncatingIfNeeded: address)
      return bits >> 28 == 0xE || bits == .max || bits >> 16 == 0xA9FE
    }
    let ipv6 = IPv6Address(bits: address)
    return ipv6.isMulticast || ipv6.isLinkLocal
  }

  func toHost(_ gateway: Gateway) -> RoutingVerdict {
    gateway.port == Engine.none ? .drop(.noRoute) : .forward(gateway.port)
  }

  private func isHairpin(_ passage: Passage, _ slot: Int) -> Bool {
    let packet = passage.packet
    guard packet.protocol == .tcp || packet.protocol == .udp, passage.isFirst else { return false }
    let plane = PortClaims.Plane(protocol: packet.protocol.rawValue)
    return sessions.mappings.use(slot: slot, plane: plane, port: packet.destinationPort) != .free
  }

  /// What is for an address inside. nil: for elsewhere.
  private mutating func withinNetworks(_ passage: inout Passage, _ network: Int) -> RoutingVerdict? {
    let destination = passage.packet.destination
    for other in 0..<gatewaysInUse
    where gateways[other].isRouted && gateways[other].holds(destination, isIPv6: passage.packet.isIPv6) {
      if isServing(destination) { return toServing(&passage, service(at: destination), network, other) }
      // The host has the gateway's addresses of all networks, and answers at them.
      if destination == gateways[other].address(isIPv6: passage.packet.isIPv6) { return toHost(gateways[network]) }
      answer(passage, .prohibited, network)
      return .drop(.prohibited)
    }
    return nil
  }

  /// The sender; learned where it is none that the control plane told, but is in the network's subnet.
  mutating func host(of passage: Passage, _ network: Int) -> UInt32? {
    let (frame, source) = (passage.frame, passage.packet.source)
    let known = hosts.find(source)
    if known != 0 {
      if hosts[known].pointee.port == frame.port { return known }
      guard !hosts[known].pointee.isConfigured else { return nil }
      sessions.removeAll(owner: hosts[known].pointee.port) { $0.inside == source }
      hosts.remove(known)
    }
    guard gateways[network].holds(source, isIPv6: passage.packet.isIPv6),
      source != gateways[network].address(isIPv6: passage.packet.isIPv6), !isServing(source)
    else { return nil }
    let ethernet = frame.start + Engine.headerLength
    let mac = ethernet.loadUnaligned(fromByteOffset: 4, as: UInt64.self).bigEndian & 0xFFFF_FFFF_FFFF
    let index = hosts.insert(
      RouterHost(address: source, mac: mac, port: frame.port, network: UInt16(network), isConfigured: false))
    return index == 0 ? nil : index
  }

  /// Makes the session of an outbound packet; 0, and why not.
  private mutating func openOutward(
    _ passage: Passage, _ source: UInt32, _ gateway: Gateway
  ) -> (UInt32, DropReason) {
    let packet = passage.packet
    var session = Session()
    session.protocol = packet.protocol.rawValue
    (session.inside, session.insidePort) = (packet.source, packet.sourcePort)
    session.remote = packet.destination
    session.remotePort = passage.farPort(fromInside: true)
    (session.external, session.externalPort) = (session.inside, session.insidePort)
    session.host = source
    session.owner = passage.frame.port
    var mapping: UInt32 = 0
    // What comes back in by an external address has one for its source where its network is routed too: else the answer would
    // go to the sender past the router, by the network that both are on, and not from where it is expected.
    let comesBack = slot(of: packet.destination) != nil
    if !comesBack, packet.isIPv6, let translation = gateway.prefixTranslation {
      guard let external = translation.toOutside(session.inside) else { return (0, .unsupportedProtocol) }
      session.external = external
    } else if comesBack || gateway.translates(isIPv6: packet.isIPv6) {
      // A connection that Martlet does not know cannot be taken up: its external port is not known either.
      if let segment = passage.segment, !segment.flags.contains(.syn), publishedPort(of: session) == nil {
        return (0, .noSession)
      }
      if let (address, port) = publishedPort(of: session) {
        (session.external, session.externalPort) = (address, port)
      } else {
        mapping = self.mapping(for: session, gateway, isIPv6: packet.isIPv6)
        guard mapping != 0 else { return (0, .portsExhausted) }
        session.external = sessions.mappings[mapping].pointee.external
        session.externalPort = sessions.mappings[mapping].pointee.externalPort
      }
    }
    let clash = sessions.find(outside: session.outsideKey)
    if clash != 0 { sessions.remove(clash) }
    let index = sessions.insert(session, mapping: mapping, timer: Self.firstTimer(packet), now: passage.now)
    if index == 0 && mapping != 0 { sessions.mappings.removeUnused(mapping) }
    return (index, .sessionLimit)
  }

  static func firstTimer(_ packet: Packet) -> SessionTimer {
    switch packet.protocol {
    case .tcp: .tcpTransitory
    case .icmp, .icmpv6: .icmp
    default: .udp
    }
  }

  /// The external address and port by which an endpoint's port is published: what it sends from there comes from there.
  private func publishedPort(of session: Session) -> (UInt128, UInt16)? {
    guard session.protocol == IPProtocol.tcp.rawValue || session.protocol == IPProtocol.udp.rawValue else { return nil }
    guard
      let number = publication(
        of: session.inside, port: session.insidePort, protocol: session.protocol, owner: session.owner),
      publications[number].slots != 0, let port = publications[number].hostPort(of: session.insidePort)
    else { return nil }
    return (externals[publications[number].slots.trailingZeroBitCount], port)
  }

  private mutating func mapping(for session: Session, _ gateway: Gateway, isIPv6: Bool) -> UInt32 {
    if mapsEndpointIndependently {
      let known = sessions.mappings.find(
        inside: session.inside, port: session.insidePort, protocol: session.protocol)
      if known != 0 { return known }
    }
    let wanted = isIPv6 ? gateway.outbound6 : gateway.outbound4
    let slot = (0..<PortClaims.slots).first { slot in
      let address = externals[slot]
      return address != 0 && (address >> 32 != 0xFFFF) == isIPv6 && (wanted == 0 || address == wanted)
    }
    guard let slot else { return 0 }
    let made = addMapping(for: session, slot)
    return made != 0 || !freePort(for: session, slot) ? made : addMapping(for: session, slot)
  }

  /// When no port is free. Connections that are over keep their ports for minutes, for what may still be under way: not when
  /// another needs one. And who has the most sessions gives up one that was not set up: nobody takes all ports for himself.
  private mutating func freePort(for session: Session, _ slot: Int) -> Bool {
    let external = externals[slot]
    let `protocol` = session.protocol
    if `protocol` == IPProtocol.tcp.rawValue,
      sessions.removeOldest(
        of: .tcpClosed, budget: Self.recycleBudget, where: { $0.external == external })
    {
      return true
    }
    return sessions.removeOldestOfGreediest(other: session.owner, budget: Self.recycleBudget) {
      $0.protocol == `protocol` && $0.mapping != 0 && $0.external == external
    }
  }

  /// Sessions that are looked at when no port is free.
  private static let recycleBudget = 64

  private mutating func addMapping(for session: Session, _ slot: Int) -> UInt32 {
    sessions.mappings.add(
      inside: session.inside, port: session.insidePort, protocol: session.protocol,
      plane: PortClaims.Plane(protocol: session.protocol), external: externals[slot], slot: slot, owner: session.owner,
      isPrivate: !mapsEndpointIndependently)
  }

  // MARK: With a session

  /// Sends a packet of a session out, by the uplink or back in.
  mutating func sendOut(_ passage: inout Passage, _ index: UInt32, _ network: Int) -> RoutingVerdict {
    let session = sessions[index]
    let packet = passage.packet
    guard packet.timeToLive > 1 else {
      answer(passage, .timeExceeded, network)
      return .drop(.timeToLiveExceeded)
    }
    if session.pointee.routeGeneration != generation {
      let next = step(to: session.pointee.remote)
      switch next {
      case .hairpin, .neighbour: remember(next, of: index)
      case .host: return toHost(gateways[network])
      case .drop(let reason):
        answer(passage, .unreachable, network)
        return .drop(reason)
      }
    }
    let neighbour = session.pointee.nextHop
    let mtu = Int(session.pointee.pathMTU)
    if neighbour != Self.hairpin, passage.packetLength > mtu {
      guard packet.dontFragment || passage.segmentSize > 0 else { return sendFragments(passage, index, neighbour, mtu) }
      answer(passage, .tooBig(mtu), network)
      return .drop(.fragmentationNeeded)
    }
    if packet.fragment != nil, passage.isFirst,
      !noteFirstFragment(passage, index, isOutward: true, network: network)
    {
      return .drop(.fragmentRefused)
    }
    follow(&passage, index, fromInside: true)
    if let segment = passage.segment, segment.flags.contains(.syn) {
      packet.clampSegmentSize(segment, pathMTU: mtu, passage.checksum)
    }
    if session.pointee.external != session.pointee.inside || session.pointee.externalPort != packet.sourcePort {
      packet.rewrite(
        .source, to: session.pointee.external, port: packet.hasPorts ? session.pointee.externalPort : nil,
        passage.checksum)
    }
    if neighbour == Self.hairpin { return comeBackIn(passage) }
    packet.decrementTimeToLive()
    return send(passage.frame, to: neighbour, now: passage.now)
  }

  /// Where the session's packets go out, until routes or neighbours change.
  mutating func remember(_ next: Step, of index: UInt32) {
    switch next {
    case .hairpin: sessions[index].pointee.nextHop = Self.hairpin
    case .neighbour(let neighbour, let mtu):
      sessions[index].pointee.nextHop = neighbour
      sessions[index].pointee.pathMTU = UInt16(clamping: mtu)
    case .host, .drop: return
    }
    sessions[index].pointee.routeGeneration = generation
  }

  /// Notes that a packet of the session has passed.
  @inline(__always)
  mutating func follow(_ passage: inout Passage, _ index: UInt32, fromInside: Bool) {
    let session = sessions[index]
    let timer: SessionTimer
    if let segment = passage.segment {
      // Checksums are the ends' to verify, but for a reset's: one that the end will not believe must end nothing here.
      if segment.flags.contains(.rst), !passage.packet.isSummedRight(passage.checksum) { return }
      timer = session.pointee.follow(segment, fromInside: fromInside)
    } else {
      // A bit for each side that has sent.
      session.pointee.state |= fromInside ? 1 : 2
      let isEcho = passage.packet.protocol == .icmp || passage.packet.protocol == .icmpv6
      timer = isEcho ? .icmp : session.pointee.state == 3 ? .udpStream : .udp
    }
    sessions.touch(index, timer: timer, now: passage.now)
  }

  /// What was sent to an external address of our own, from one now: as if it had come by the uplink.
  mutating func comeBackIn(_ passage: Passage) -> RoutingVerdict {
    guard let again = Passage(passage.frame, now: passage.now) else { return .drop(.malformedPacket) }
    var inward = again
    return enter(&inward)
  }
}
