import Tables
import Wire

// From the uplink, and what went out to an external address of our own.
extension Router {
  /// A frame that came in by the uplink. Its bytes are the router's to change.
  mutating func fromUplink(_ frame: FrameDescriptor, now: UInt32) -> RoutingVerdict {
    guard var passage = Passage(frame, now: now) else { return .drop(.malformedPacket) }
    return enter(&passage)
  }

  mutating func enter(_ passage: inout Passage) -> RoutingVerdict {
    if passage.hasPorts {
      let index = sessions.find(outside: passage.key(fromInside: false))
      if index != 0 { return deliver(&passage, index) }
    }
    let packet = passage.packet
    if packet.fragment != nil, let verdict = fragmentFromOutside(&passage) { return verdict }
    if passage.isFirst, packet.protocol == .icmp || packet.protocol == .icmpv6, packet.icmp.isError {
      return errorFromOutside(&passage)
    }
    switch openInward(passage) {
    case .session(let index): return deliver(&passage, index)
    case .service(let number, let port): return enterService(&passage, number, port)
    case .refused(let reason): return .drop(reason)
    }
  }

  // MARK: Without a session

  /// What the first packet from outside comes to.
  private enum Opening {
    case session(UInt32)
    /// By its number; and the member's port.
    case service(Int, port: UInt16)
    case refused(DropReason)
  }

  /// Makes the session of a packet from outside.
  private mutating func openInward(_ passage: Passage) -> Opening {
    let packet = passage.packet
    // What comes by the uplink with a source of ours is not what it says (RFC 1812, 5.3.8).
    if passage.frame.port == uplink.port, isOurs(packet.source, isIPv6: packet.isIPv6) {
      return .refused(.spoofedSource)
    }
    var session = Session()
    session.protocol = packet.protocol.rawValue
    session.remote = packet.source
    session.remotePort = passage.farPort(fromInside: false)
    (session.external, session.externalPort) = (packet.destination, packet.destinationPort)
    var mapping: UInt32 = 0
    if let slot = slot(of: packet.destination) {
      guard passage.hasPorts else { return .refused(.unsupportedProtocol) }
      let plane = PortClaims.Plane(protocol: session.protocol)
      switch sessions.mappings.use(slot: slot, plane: plane, port: packet.destinationPort) {
      case .free: return .refused(.noSession)
      case .publication(let number):
        let publication = publications[Int(number)]
        if publication.service != 0 {
          return .service(Int(publication.service), port: publication.insidePort(of: packet.destinationPort))
        }
        session.inside = publication.address
        session.insidePort = publication.insidePort(of: packet.destinationPort)
      case .mapping(let number):
        guard lets(in: packet, by: number) else { return .refused(.filtered) }
        mapping = number
        session.inside = sessions.mappings[number].pointee.inside
        session.insidePort = sessions.mappings[number].pointee.insidePort
      }
    } else {
      let inside = self.inside(of: packet.destination)
      if let number = service(at: inside), isReachable(passage, service: number) {
        return .service(number, port: memberPort(of: number, packet))
      }
      guard isReachable(passage, inside) else { return .refused(.prohibited) }
      (session.inside, session.insidePort) = (inside, packet.destinationPort)
    }
    let host = hosts.find(session.inside)
    guard host != 0 else { return .refused(.noRoute) }
    session.host = host
    session.owner = hosts[host].pointee.port
    let clash = sessions.find(inside: session.insideKey)
    if clash != 0 { sessions.remove(clash) }
    let index = sessions.insert(session, mapping: mapping, timer: Self.firstTimer(packet), now: passage.now)
    return index == 0 ? .refused(.sessionLimit) : .session(index)
  }

  /// The address inside for which another stands outside by its prefix; else the same.
  func inside(of address: UInt128) -> UInt128 {
    guard address >> 32 != 0xFFFF else { return address }
    for network in 0..<gatewaysInUse where gateways[network].isRouted {
      if let translation = gateways[network].prefixTranslation, translation.holds(outside: address) {
        return translation.toInside(address) ?? address
      }
    }
    return address
  }

  private func isOurs(_ address: UInt128, isIPv6: Bool) -> Bool {
    if Self.isGroupOrNone(address) || slot(of: address) != nil { return true }
    return (0..<gatewaysInUse).contains { gateways[$0].isRouted && gateways[$0].holds(address, isIPv6: isIPv6) }
  }

  /// The mapping's filter, for a sender of whom there is no session.
  private func lets(in packet: Packet, by number: UInt32) -> Bool {
    guard packet.protocol == .tcp || packet.protocol == .udp else { return false }
    switch filter {
    case .endpointIndependent: return true
    case .addressAndPortDependent: return false
    case .addressDependent:
      return sessions.hasSession(ofMapping: number, remote: packet.source)
    }
  }

  /// An address inside that can be reached as it is: its network is open, or the port is published there (routed).
  private func isReachable(_ passage: Passage, _ address: UInt128) -> Bool {
    let packet = passage.packet
    let host = hosts.find(address)
    guard host != 0 else { return false }
    let gateway = gateways[Int(hosts[host].pointee.network)]
    guard gateway.isRouted else { return false }
    if gateway.isOpen { return true }
    // Whether somebody is there may be asked (RFC 4890, 4.3.1).
    if passage.isFirst, packet.protocol == .icmp || packet.protocol == .icmpv6 {
      return !gateway.translates(isIPv6: packet.isIPv6) && packet.icmp.isRequest
    }
    guard passage.hasPorts, !gateway.translates(isIPv6: packet.isIPv6) else { return false }
    return publication(
      of: address, port: packet.destinationPort, protocol: packet.protocol.rawValue,
      owner: hosts[host].pointee.port) != nil
  }

  // MARK: With a session

  /// Hands a packet of a session to the endpoint inside.
  mutating func deliver(_ passage: inout Passage, _ index: UInt32) -> RoutingVerdict {
    let session = sessions[index]
    let packet = passage.packet
    let host = hosts[session.pointee.host]
    let network = Int(host.pointee.network)
    guard packet.timeToLive > 1 else {
      answerOutside(passage, .timeExceeded)
      return .drop(.timeToLiveExceeded)
    }
    if passage.packetLength > Int(gateways[network].mtu) {
      // Asked here, where only few come: whose inside is no host has a network through which nothing fits.
      if session.pointee.host == 0 { return leave(&passage, index) }
      answerOutside(passage, .tooBig(Int(gateways[network].mtu)))
      return .drop(.fragmentationNeeded)
    }
    if packet.fragment != nil, passage.isFirst,
      !noteFirstFragment(passage, index, isOutward: false, network: network)
    {
      return .drop(.fragmentRefused)
    }
    follow(&passage, index, fromInside: false)
    if let segment = passage.segment, segment.flags.contains(.syn) {
      packet.clampSegmentSize(segment, pathMTU: uplink.mtu, passage.checksum)
    }
    if session.pointee.external != session.pointee.inside || session.pointee.insidePort != packet.destinationPort {
      packet.rewrite(
        .destination, to: session.pointee.inside, port: packet.hasPorts ? session.pointee.insidePort : nil,
        passage.checksum)
    }
    packet.decrementTimeToLive()
    passage.frame.setAddresses(to: host.pointee.mac, from: gateways[network].mac)
    return .forward(host.pointee.port)
  }
}
