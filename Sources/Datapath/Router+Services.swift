import Tables
import Wire

// Theory of operation.
//
// A service has several members, any of which may answer. Its published ports lead to it as others lead to their endpoint, and
// so does its virtual address, which is one of its network. The first packet of a flow picks a member by the flow's hash,
// through the service's Maglev table; the session keeps the choice. So a flow stays where it is when members come and go, for as
// long as its member is there, and a new one goes only to those that are members now.
//
// A member of this host answers by this router, to the client itself. One elsewhere has the gateway of its own host, and one
// on the client's own network would answer to the client past the router. So what goes there has a mesh address for its source:
// of the network, and this host's alone. Such a flow has two sessions, and is translated twice each way, as what is
// hairpinned is:
//
//     client -> service   the client's session    mesh -> service    the member's session    mesh -> member
//     member -> mesh      the member's session    service -> mesh    the client's session    service -> client
//
// The client's session has the client for its inside. Where that is outside it has no host (0), and belongs to the uplink.

/// A service of one family. A plain value in the router's array, at its number.
struct RouterService: BitwiseCopyable {
  var isTaken = false
  var network: UInt16 = 0
  /// 0: none.
  var virtualAddress: UInt128 = 0
  var hash = KeyedHash(seed: 0)
  /// The first of its publications, counted from 1; 0: none.
  var publications: UInt32 = 0
}

extension Router {
  /// Members that are tried by the table before all are, in their order.
  private static let tableAttempts = 16
  /// Ports of a mesh address that are tried for a new flow.
  private static let portAttempts = 64
  private static let firstMeshPort: UInt16 = 1024

  /// The number of the service whose virtual address that is; nil: of none.
  func service(at address: UInt128) -> Int? {
    guard let number = serviceAddresses.find(address, 0)?.pointee, number != 0 else { return nil }
    return Int(number)
  }

  func isMesh(_ address: UInt128) -> Bool { serviceAddresses.find(address, 0)?.pointee == 0 }

  /// A virtual or a mesh address.
  func isServing(_ address: UInt128) -> Bool {
    serviceAddresses.count > 0 && serviceAddresses.find(address, 0) != nil
  }

  /// From where the packet comes, the service's virtual address can be reached.
  func isReachable(_ passage: Passage, service number: Int) -> Bool {
    guard passage.hasPorts else { return false }
    return isMesh(passage.packet.source) || gateways[Int(services[number].network)].isOpen
  }

  /// The member's port for a packet to the virtual address: as published, or else the same.
  func memberPort(of number: Int, _ packet: Packet) -> UInt16 {
    var next = services[number].publications
    while next != 0 {
      let publication = publications[Int(next - 1)]
      if publication.protocol == packet.protocol.rawValue,
        (publication.firstHostPort...publication.lastHostPort).contains(packet.destinationPort)
      {
        return publication.insidePort(of: packet.destinationPort)
      }
      next = publication.next
    }
    return packet.destinationPort
  }

  /// The number of the host that a new flow goes to; 0: no member is there.
  private func member(of number: Int, for packet: Packet) -> UInt32 {
    let table = members + number
    guard table.pointee.memberCount > 0 else { return 0 }
    let word = UInt64(packet.sourcePort) << 32 | UInt64(packet.destinationPort) << 16 | UInt64(packet.protocol.rawValue)
    var place = MaglevTable.place(of: services[number].hash(packet.source, packet.destination, word))
    for _ in 0..<Self.tableAttempts {
      let host = hosts.find(table.pointee[place])
      if host != 0 { return host }
      place = place == MaglevTable.size - 1 ? 0 : place + 1
    }
    for index in 0..<table.pointee.memberCount {
      let host = hosts.find(table.pointee.member(at: index))
      if host != 0 { return host }
    }
    return 0
  }

  // MARK: To a service

  /// A packet to a published port, or one that comes back in with a mesh address, of which there is no member's session.
  mutating func enterService(_ passage: inout Passage, _ number: Int, _ port: UInt16) -> RoutingVerdict {
    let packet = passage.packet
    let known = sessions.find(inside: passage.key(fromInside: true))
    if known != 0, sessions[known].pointee.host == 0 {
      if partner(of: known) != 0 { return giveMeshAddress(&passage, known) }
      // Its member has gone.
      sessions.remove(known)
    }
    let host = member(of: number, for: packet)
    guard host != 0 else {
      refuse(passage, nil)
      return .drop(.noMember)
    }
    guard hosts[host].pointee.isElsewhere, !isMesh(packet.source) else {
      let index = openMember(passage, host, from: packet.source, packet.sourcePort, to: port)
      return index == 0 ? .drop(.sessionLimit) : deliver(&passage, index)
    }
    let (index, reason) = openClient(passage, host, to: port, client: 0, owner: uplink.port)
    return index == 0 ? .drop(reason) : giveMeshAddress(&passage, index)
  }

  /// The first packet of a flow from inside to a virtual or mesh address of the network `other`.
  /// - Parameter number: the service's; nil: it is a mesh address.
  mutating func toServing(
    _ passage: inout Passage, _ number: Int?, _ network: Int, _ other: Int
  ) -> RoutingVerdict {
    let packet = passage.packet
    let isError = passage.isFirst && (packet.protocol == .icmp || packet.protocol == .icmpv6) && packet.icmp.isError
    if other == network, isError { return errorFromInside(&passage, network) }
    // A mesh address has nothing but the flows of members.
    guard let number, other == network else {
      answer(passage, .prohibited, network)
      return .drop(.prohibited)
    }
    guard let client = self.host(of: passage, network) else { return .drop(.spoofedSource) }
    guard passage.hasPorts else { return .drop(passage.isFirst ? .unsupportedProtocol : .fragmentRefused) }
    let host = member(of: number, for: packet)
    guard host != 0 else {
      refuse(passage, network)
      return .drop(.noMember)
    }
    let (index, reason) = openClient(
      passage, host, to: memberPort(of: number, packet), client: client, owner: passage.frame.port)
    guard index != 0 else { return .drop(reason) }
    remember(.hairpin, of: index)
    return sendOut(&passage, index, network)
  }

  // MARK: Sessions

  /// Makes the session of a member with whoever the packet is from, or comes to be from.
  private mutating func openMember(
    _ passage: Passage, _ host: UInt32, from remote: UInt128, _ remotePort: UInt16, to port: UInt16
  ) -> UInt32 {
    let packet = passage.packet
    let session = memberSession(passage, host, from: remote, remotePort, to: port)
    let sameInside = sessions.find(inside: session.insideKey)
    if sameInside != 0 { sessions.remove(sameInside) }
    let sameOutside = sessions.find(outside: session.outsideKey)
    if sameOutside != 0 { sessions.remove(sameOutside) }
    return sessions.insert(session, mapping: 0, timer: Self.firstTimer(packet), now: passage.now)
  }

  /// An echo's identifier stands for both ports, and is the near end's (see `Session`).
  private func memberSession(
    _ passage: Passage, _ host: UInt32, from remote: UInt128, _ remotePort: UInt16, to port: UInt16
  ) -> Session {
    let packet = passage.packet
    let isEcho = packet.protocol == .icmp || packet.protocol == .icmpv6
    var session = Session()
    session.protocol = packet.protocol.rawValue
    (session.inside, session.insidePort) = (hosts[host].pointee.address, isEcho ? remotePort : port)
    (session.external, session.externalPort) = (packet.destination, isEcho ? remotePort : packet.destinationPort)
    (session.remote, session.remotePort) = (remote, isEcho ? 0 : remotePort)
    (session.host, session.owner) = (host, hosts[host].pointee.port)
    return session
  }

  /// Makes both sessions of a flow that gets a mesh address: the client's number, or 0 and why not.
  private mutating func openClient(
    _ passage: Passage, _ host: UInt32, to port: UInt16, client: UInt32, owner: UInt16
  ) -> (UInt32, DropReason) {
    let packet = passage.packet
    let mesh = gateways[Int(hosts[host].pointee.network)].mesh(isIPv6: packet.isIPv6)
    guard mesh != 0 else { return (0, .noRoute) }
    var session = Session()
    session.protocol = packet.protocol.rawValue
    (session.inside, session.insidePort) = (packet.source, packet.sourcePort)
    (session.remote, session.remotePort) = (packet.destination, passage.farPort(fromInside: true))
    session.external = mesh
    (session.host, session.owner) = (client, owner)
    guard let meshPort = freeMeshPort(for: session, passage, host, to: port) else { return (0, .portsExhausted) }
    session.externalPort = meshPort
    guard openMember(passage, host, from: mesh, meshPort, to: port) != 0 else { return (0, .sessionLimit) }
    return (sessions.insert(session, mapping: 0, timer: Self.firstTimer(packet), now: passage.now), .sessionLimit)
  }

  /// One by which neither session is another's: the client's own where it can be. Many flows may have one and the same, to other
  /// services and members: nobody but those knows the mesh address.
  private mutating func freeMeshPort(
    for session: Session, _ passage: Passage, _ host: UInt32, to port: UInt16
  ) -> UInt16? {
    var candidate = session.insidePort
    for attempt in 0..<Self.portAttempts {
      if attempt > 0 || candidate < Self.firstMeshPort {
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let count = UInt64(UInt16.max - Self.firstMeshPort) + 1
        candidate = Self.firstMeshPort + UInt16((random >> 33) % count)
      }
      var tried = session
      tried.externalPort = candidate
      let member = memberSession(passage, host, from: session.external, candidate, to: port)
      if sessions.find(outside: tried.outsideKey) == 0, sessions.find(inside: member.insideKey) == 0 {
        return candidate
      }
    }
    return nil
  }

  /// The other session of a flow that has a mesh address; 0: there is none.
  func partner(of index: UInt32) -> UInt32 {
    let session = sessions[index].pointee
    let isEcho = session.protocol == IPProtocol.icmp.rawValue || session.protocol == IPProtocol.icmpv6.rawValue
    return sessions.find(
      outside: SessionKey(
        near: session.remote, far: session.external, nearPort: isEcho ? session.externalPort : session.remotePort,
        farPort: isEcho ? 0 : session.externalPort, protocol: session.protocol))
  }

  // MARK: With a client's session

  /// What a client outside sends to a member elsewhere comes back in with a mesh address.
  mutating func giveMeshAddress(_ passage: inout Passage, _ index: UInt32) -> RoutingVerdict {
    let session = sessions[index]
    let packet = passage.packet
    guard packet.timeToLive > 1 else {
      answerOutside(passage, .timeExceeded)
      return .drop(.timeToLiveExceeded)
    }
    let member = partner(of: index)
    guard member != 0 else { return .drop(.noSession) }
    let mtu = Int(gateways[Int(hosts[sessions[member].pointee.host].pointee.network)].mtu)
    if passage.packetLength > mtu {
      answerOutside(passage, .tooBig(mtu))
      return .drop(.fragmentationNeeded)
    }
    if packet.fragment != nil, passage.isFirst, !noteFirstFragment(passage, index, isOutward: true, network: 0) {
      return .drop(.fragmentRefused)
    }
    follow(&passage, index, fromInside: true)
    packet.rewrite(
      .source, to: session.pointee.external, port: packet.hasPorts ? session.pointee.externalPort : nil,
      passage.checksum)
    return comeBackIn(passage)
  }

  /// What a member elsewhere answers goes to a client that is no host: out by the uplink, or once more back in.
  mutating func leave(_ passage: inout Passage, _ index: UInt32) -> RoutingVerdict {
    // Nobody outside has a mesh address to send to.
    guard passage.frame.port != uplink.port else { return .drop(.spoofedSource) }
    let session = sessions[index]
    let packet = passage.packet
    if session.pointee.routeGeneration != generation {
      let next = step(to: session.pointee.inside)
      switch next {
      case .hairpin, .neighbour: remember(next, of: index)
      case .host: return .drop(.noRoute)
      case .drop(let reason): return .drop(reason)
      }
    }
    let neighbour = session.pointee.nextHop
    let mtu = Int(session.pointee.pathMTU)
    let isTooBig = neighbour != Self.hairpin && passage.packetLength > mtu
    if isTooBig, packet.dontFragment || passage.segmentSize > 0 {
      tellMember(passage, of: index, mtu)
      return .drop(.fragmentationNeeded)
    }
    if packet.fragment != nil, passage.isFirst, !noteFirstFragment(passage, index, isOutward: false, network: 0) {
      return .drop(.fragmentRefused)
    }
    follow(&passage, index, fromInside: false)
    if let segment = passage.segment, segment.flags.contains(.syn), neighbour != Self.hairpin {
      packet.clampSegmentSize(segment, pathMTU: mtu, passage.checksum)
    }
    packet.rewrite(
      .destination, to: session.pointee.inside, port: packet.hasPorts ? session.pointee.insidePort : nil,
      passage.checksum)
    if neighbour == Self.hairpin { return comeBackIn(passage) }
    packet.decrementTimeToLive()
    if isTooBig { return sendPieces(of: passage, to: neighbour, mtu) }
    return send(passage.frame, to: neighbour, now: passage.now)
  }

  /// Tells a member that what it sent is too long, in its own words: its source has been translated already.
  private mutating func tellMember(_ passage: Passage, of index: UInt32, _ mtu: Int) {
    let member = partner(of: index)
    guard member != 0 else { return }
    let session = sessions[member].pointee
    passage.packet.rewrite(.source, to: session.inside, port: session.insidePort, passage.checksum)
    guard let asSent = Passage(passage.frame, now: passage.now) else { return }
    answer(asSent, .tooBig(mtu), Int(hosts[session.host].pointee.network))
  }
}
