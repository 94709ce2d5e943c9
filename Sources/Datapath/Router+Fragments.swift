import Tables
import Wire

// Fragments. Only the first has ports: when it has passed, its session is noted for those that follow; those that came
// before it are held until then, few and not for long. Fragments that overlap are refused, with all that follow of their
// packet (RFC 5722; RFC 3128 tells what they are sent for).
extension Router {
  private static func key(_ packet: Packet, isOutward: Bool) -> FragmentKey {
    FragmentKey(
      source: packet.source, destination: packet.destination, identification: packet.fragment!.identification,
      protocol: packet.protocol.rawValue, isOutward: isOutward)
  }

  /// The entry of a fragment's packet, after the fragment was noted; 0 where it is refused.
  private mutating func entry(_ passage: Passage, isOutward: Bool) -> UInt32 {
    let packet = passage.packet
    let key = Self.key(packet, isOutward: isOutward)
    var index = fragments.find(key)
    if index == 0 { index = fragments.insert(key, now: passage.now, &held, lost: &lostFragments) }
    guard fragments.note(index, packet.fragment!, length: packet.length - packet.transport) else {
      fragments[index].pointee.isRefused = true
      return 0
    }
    return index
  }

  /// A fragment from a network. nil: it is the first, or none of the router's, and goes on as a packet does.
  mutating func fragmentFromInside(_ passage: inout Passage, _ network: Int) -> RoutingVerdict? {
    if passage.isFirst { return nil }
    if fragments.find(Self.key(passage.packet, isOutward: true)) == 0 {
      // For the host or for another network: no session will come.
      guard case .neighbour = step(to: passage.packet.destination) else { return nil }
    }
    let index = entry(passage, isOutward: true)
    guard index != 0 else { return .drop(.fragmentRefused) }
    guard fragments[index].pointee.isKnown else { return hold(passage, index) }
    let session = sessions.find(inside: fragments[index].pointee.session)
    forgetIfComplete(index)
    return session == 0 ? .drop(.fragmentRefused) : sendOut(&passage, session, network)
  }

  /// A fragment from outside; nil as above.
  mutating func fragmentFromOutside(_ passage: inout Passage) -> RoutingVerdict? {
    if passage.isFirst { return nil }
    // Of what has gone on with a mesh address: it is the client's session that the first one has noted.
    let isToMesh = serviceAddresses.count > 0 && fragments.find(Self.key(passage.packet, isOutward: true)) != 0
    let index = entry(passage, isOutward: isToMesh)
    guard index != 0 else { return .drop(.fragmentRefused) }
    guard fragments[index].pointee.isKnown else { return hold(passage, index) }
    let key = fragments[index].pointee.session
    forgetIfComplete(index)
    if isToMesh {
      let session = sessions.find(inside: key)
      return session == 0 ? .drop(.fragmentRefused) : giveMeshAddress(&passage, session)
    }
    let session = sessions.find(outside: key)
    return session == 0 ? .drop(.fragmentRefused) : deliver(&passage, session)
  }

  private mutating func forgetIfComplete(_ index: UInt32) {
    if fragments.isComplete(index) { fragments.remove(index, &held, lost: &lostFragments) }
  }

  private mutating func hold(_ passage: Passage, _ index: UInt32) -> RoutingVerdict {
    let entry = fragments[index]
    guard entry.pointee.waitingCount < FragmentTable.waitingMax else { return .drop(.fragmentRefused) }
    let place = held.keep(passage.frame, now: passage.now)
    guard place != HeldFrames.none else { return .drop(.fragmentRefused) }
    held.places[Int(place)].next = entry.pointee.waiting
    entry.pointee.waiting = place
    entry.pointee.waitingCount += 1
    return .held
  }

  /// A first fragment is about to pass: notes its session for the others, and sends after it those that came before.
  /// - Returns: false where it overlaps.
  mutating func noteFirstFragment(_ passage: Passage, _ session: UInt32, isOutward: Bool, network: Int) -> Bool {
    let index = entry(passage, isOutward: isOutward)
    guard index != 0 else { return false }
    let entry = fragments[index]
    entry.pointee.isKnown = true
    entry.pointee.session = passage.key(fromInside: isOutward)
    var place = entry.pointee.waiting
    entry.pointee.waiting = HeldFrames.none
    entry.pointee.waitingCount = 0
    while place != HeldFrames.none {
      let next = held.places[Int(place)].next
      release(place, session, isOutward: isOutward, network: network, now: passage.now)
      place = next
    }
    forgetIfComplete(index)
    return true
  }

  private mutating func release(_ place: UInt16, _ session: UInt32, isOutward: Bool, network: Int, now: UInt32) {
    let entry = held.places[Int(place)]
    let frame = FrameDescriptor(start: held.start(place), length: entry.length, port: entry.port, buffer: 0)
    var verdict = RoutingVerdict.drop(.malformedPacket)
    if var passage = Passage(frame, now: now) {
      verdict = isOutward ? sendOut(&passage, session, network) : deliver(&passage, session)
    }
    if case .forward(let port) = verdict {
      held.leave(place, by: port)
    } else {
      if case .drop = verdict { lostFragments += 1 }
      held.giveBack(place)
    }
  }

  // MARK: Making fragments

  /// Cuts an IPv4 packet that may be fragmented to the path's MTU (RFC 791, 3.2), and sends the pieces.
  mutating func sendFragments(_ passage: Passage, _ index: UInt32, _ neighbour: UInt32, _ mtu: Int) -> RoutingVerdict {
    let packet = passage.packet
    let session = sessions[index].pointee
    // The device would sum up a part only.
    guard passage.checksum != .partial, packet.transport == IPv4View.headerLengthMin else {
      return .drop(.fragmentationNeeded)
    }
    var whole = passage
    follow(&whole, index, fromInside: true)
    if session.external != session.inside || session.externalPort != packet.sourcePort {
      packet.rewrite(
        .source, to: session.external, port: packet.hasPorts && passage.isFirst ? session.externalPort : nil,
        passage.checksum)
    }
    packet.decrementTimeToLive()
    return sendPieces(of: passage, to: neighbour, mtu)
  }

  /// Cuts an IPv4 packet that is otherwise ready to leave. Nothing of its transport's checksum is left to the device.
  mutating func sendPieces(of passage: Passage, to neighbour: UInt32, _ mtu: Int) -> RoutingVerdict {
    let packet = passage.packet
    guard passage.checksum != .partial, packet.transport == IPv4View.headerLengthMin else {
      return .drop(.fragmentationNeeded)
    }
    let payload = packet.length - packet.transport
    let step = (mtu - packet.transport) & ~7
    let base = packet.fragment?.position ?? 0
    let hasMore = packet.fragment?.hasMore ?? false
    let headers = Engine.headerLength + Engine.ethernetHeaderLength + packet.transport
    var position = 0
    while position < payload {
      let length = min(step, payload - position)
      let place = held.take()
      guard place != HeldFrames.none else { return .drop(.fragmentationNeeded) }
      let start = held.start(place)
      start.copyMemory(from: passage.frame.start, byteCount: headers)
      (start + headers).copyMemory(from: passage.frame.start + (headers + position), byteCount: length)
      let isLast = position + length == payload && !hasMore
      let ip = start + (Engine.headerLength + Engine.ethernetHeaderLength)
      ip.storeBytes(of: UInt16(packet.transport + length).bigEndian, toByteOffset: 2, as: UInt16.self)
      let field = UInt16((base + position) / 8) | (isLast ? 0 : 0x2000)
      ip.storeBytes(of: field.bigEndian, toByteOffset: 6, as: UInt16.self)
      ip.storeBytes(of: 0, toByteOffset: IPv4View.checksumOffset, as: UInt16.self)
      var sum = InternetChecksum()
      sum.add(RawSpan(_unsafeStart: UnsafeRawPointer(ip), byteCount: packet.transport))
      ip.storeBytes(of: sum.value.bigEndian, toByteOffset: IPv4View.checksumOffset, as: UInt16.self)
      let frame = FrameDescriptor(
        start: start, length: UInt32(headers + length), port: passage.frame.port, buffer: 0)
      held.places[Int(place)] = HeldFrames.Place(
        length: frame.length, port: frame.port, next: HeldFrames.none, since: passage.now)
      let verdict = send(frame, to: neighbour, now: passage.now)
      if case .forward(let port) = verdict {
        held.leave(place, by: port)
      } else {
        if case .drop = verdict { lostUnresolved += 1 }
        held.giveBack(place)
      }
      position += length
    }
    return .held
  }
}
