import Tables
import Wire

// ICMP errors that pass through: the packet that they quote is translated as they are, or whoever gets them would not know
// what they are about (RFC 5508, REQ-3 to REQ-6). They keep no session alive and end none.

/// The packet that an ICMP error quotes: at least its IP header and eight bytes more (RFC 792); the rest may be missing.
private struct Quotation {
  let header: UnsafeMutableRawPointer
  let isIPv6: Bool
  let transport: Int
  let available: Int
  let `protocol`: IPProtocol
  let source: UInt128
  let destination: UInt128
  let sourcePort: UInt16
  let destinationPort: UInt16
  /// A later fragment has no ports.
  let isLaterFragment: Bool

  init?(_ message: ICMPMessage) {
    header = message.memory + ICMPMessage.headerLength
    available = message.length - ICMPMessage.headerLength
    isIPv6 = message.isIPv6
    let bytes = RawSpan(_unsafeStart: UnsafeRawPointer(header), byteCount: max(0, available))
    if isIPv6 {
      guard available >= IPv6View.headerLength + 8, header.load(as: UInt8.self) >> 4 == 6 else { return nil }
      // Extension headers of a quoted packet are rare: those with any are not translated.
      transport = IPv6View.headerLength
      `protocol` = IPProtocol(rawValue: header.load(fromByteOffset: 6, as: UInt8.self))
      source = (header + IPv6View.sourceOffset).loadUnaligned(as: UInt128.self).bigEndian
      destination = (header + IPv6View.destinationOffset).loadUnaligned(as: UInt128.self).bigEndian
      isLaterFragment = false
    } else {
      guard available >= IPv4View.headerLengthMin, header.load(as: UInt8.self) >> 4 == 4 else { return nil }
      transport = Int(header.load(as: UInt8.self) & 0x0F) * 4
      guard transport >= IPv4View.headerLengthMin, available >= transport + 8,
        InternetChecksum.isValid(bytes.extracting(first: transport))
      else { return nil }
      `protocol` = IPProtocol(rawValue: header.load(fromByteOffset: 9, as: UInt8.self))
      source = IPv4Address(bits: header.loadUnaligned(fromByteOffset: 12, as: UInt32.self).bigEndian).mapped
      destination = IPv4Address(bits: header.loadUnaligned(fromByteOffset: 16, as: UInt32.self).bigEndian).mapped
      isLaterFragment = header.loadUnaligned(fromByteOffset: 6, as: UInt16.self).bigEndian & 0x1FFF != 0
    }
    let ports = header + transport
    switch `protocol` {
    case .tcp, .udp:
      sourcePort = ports.loadUnaligned(as: UInt16.self).bigEndian
      destinationPort = ports.loadUnaligned(fromByteOffset: 2, as: UInt16.self).bigEndian
    case .icmp, .icmpv6:
      let quoted = ICMPMessage(ports, length: available - transport, isIPv6: isIPv6)
      guard quoted.isQuery else { return nil }
      (sourcePort, destinationPort) = (quoted.identifier, quoted.identifier)
    default: (sourcePort, destinationPort) = (0, 0)
    }
  }

  private var isEcho: Bool { `protocol` == .icmp || `protocol` == .icmpv6 }

  /// The session that the quoted packet went by: out of it, or into it.
  func key(isOutward: Bool) -> SessionKey {
    isOutward
      ? SessionKey(
        near: source, far: destination, nearPort: sourcePort, farPort: isEcho ? 0 : destinationPort,
        protocol: `protocol`.rawValue)
      : SessionKey(
        near: destination, far: source, nearPort: destinationPort, farPort: isEcho ? 0 : sourcePort,
        protocol: `protocol`.rawValue)
  }

  /// Gives one end of the quoted packet another address and port.
  func rewrite(_ end: PacketEnd, to address: UInt128, port: UInt16) {
    let old = end == .source ? source : destination
    let oldPort = end == .source ? sourcePort : destinationPort
    if isIPv6 {
      let offset = end == .source ? IPv6View.sourceOffset : IPv6View.destinationOffset
      header.storeBytes(of: address.bigEndian, toByteOffset: offset, as: UInt128.self)
    } else {
      let offset = end == .source ? IPv4View.sourceOffset : IPv4View.destinationOffset
      header.storeBytes(of: UInt32(truncatingIfNeeded: address).bigEndian, toByteOffset: offset, as: UInt32.self)
      update(at: IPv4View.checksumOffset, in: header, from: old, to: address)
    }
    let checksum: Int
    switch `protocol` {
    case .tcp: checksum = TCPView.checksumOffset
    case .udp: checksum = UDPView.checksumOffset
    case .icmp, .icmpv6: checksum = 2
    default: return
    }
    let memory = header + transport
    let offset = isEcho ? 4 : end == .source ? 0 : 2
    memory.storeBytes(of: port.bigEndian, toByteOffset: offset, as: UInt16.self)
    guard transport + checksum + 2 <= available else { return }
    let field = memory.loadUnaligned(fromByteOffset: checksum, as: UInt16.self).bigEndian
    if `protocol` == .udp && field == 0 { return }
    memory.storeBytes(
      of: InternetChecksum.updated(field, from: oldPort, to: port).bigEndian, toByteOffset: checksum, as: UInt16.self)
    if `protocol` != .icmp { update(at: checksum, in: memory, from: old, to: address) }
  }

  private func update(at offset: Int, in memory: UnsafeMutableRawPointer, from old: UInt128, to new: UInt128) {
    let field = memory.loadUnaligned(fromByteOffset: offset, as: UInt16.self).bigEndian
    let value =
      isIPv6
      ? InternetChecksum.updated(field, from: old, to: new)
      : InternetChecksum.updated(
        field, from: UInt32(truncatingIfNeeded: old), to: UInt32(truncatingIfNeeded: new))
    memory.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
  }
}

extension Router {
  /// An error from outside about a packet that went out.
  mutating func errorFromOutside(_ passage: inout Passage) -> RoutingVerdict {
    let packet = passage.packet
    guard passage.checksum == .complete, packet.fragment == nil,
      packet.icmp.isChecksumValid(from: packet.source, to: packet.destination),
      let quotation = Quotation(packet.icmp), !quotation.isLaterFragment
    else { return .drop(.malformedPacket) }
    let index = sessions.find(outside: quotation.key(isOutward: true))
    guard index != 0 else { return errorToMember(&passage, quotation) }
    let session = sessions[index].pointee
    guard packet.destination == session.external, session.host != 0 else { return .drop(.noSession) }
    let host = hosts[session.host].pointee
    guard packet.timeToLive > 1 else { return .drop(.timeToLiveExceeded) }
    if session.external != session.inside || session.externalPort != session.insidePort {
      quotation.rewrite(.source, to: session.inside, port: session.insidePort)
      packet.rewrite(.destination, to: session.inside, port: nil, .absent)
      packet.icmp.complete(from: packet.source, to: session.inside)
    }
    packet.decrementTimeToLive()
    passage.frame.setAddresses(to: host.mac, from: gateways[Int(host.network)].mac)
    return .forward(host.port)
  }

  /// An error from inside about a packet that came in.
  mutating func errorFromInside(_ passage: inout Passage, _ network: Int) -> RoutingVerdict {
    let packet = passage.packet
    guard passage.checksum == .complete, packet.fragment == nil,
      packet.icmp.isChecksumValid(from: packet.source, to: packet.destination),
      let quotation = Quotation(packet.icmp), !quotation.isLaterFragment
    else { return .drop(.malformedPacket) }
    let index = sessions.find(inside: quotation.key(isOutward: false))
    guard index != 0, sessions[index].pointee.owner == passage.frame.port,
      packet.destination == sessions[index].pointee.remote
    else { return .drop(.noSession) }
    let session = sessions[index].pointee
    guard packet.timeToLive > 1 else { return .drop(.timeToLiveExceeded) }
    let neighbour: UInt32
    switch step(to: session.remote) {
    case .neighbour(let index, _): neighbour = index
    case .hairpin: return errorToClient(&passage, quotation, index)
    case .host, .drop: return .drop(.noRoute)
    }
    if session.external != session.inside || session.externalPort != session.insidePort {
      quotation.rewrite(.destination, to: session.external, port: session.externalPort)
      packet.rewrite(.source, to: session.external, port: nil, .absent)
      packet.icmp.complete(from: session.external, to: packet.destination)
    }
    packet.decrementTimeToLive()
    return send(passage.frame, to: neighbour, now: passage.now)
  }

  /// An error from outside about what a member elsewhere sent to a client there: both translations are undone.
  private mutating func errorToMember(_ passage: inout Passage, _ quotation: Quotation) -> RoutingVerdict {
    let packet = passage.packet
    let index = sessions.find(inside: quotation.key(isOutward: false))
    guard index != 0, sessions[index].pointee.host == 0, packet.destination == sessions[index].pointee.remote else {
      return .drop(.noSession)
    }
    let (client, number) = (sessions[index].pointee, partner(of: index))
    guard number != 0 else { return .drop(.noSession) }
    let member = sessions[number].pointee
    guard packet.timeToLive > 1 else { return .drop(.timeToLiveExceeded) }
    let host = hosts[member.host].pointee
    quotation.rewrite(.destination, to: client.external, port: client.externalPort)
    quotation.rewrite(.source, to: member.inside, port: member.insidePort)
    packet.rewrite(.destination, to: member.inside, port: nil, .absent)
    packet.icmp.complete(from: packet.source, to: member.inside)
    packet.decrementTimeToLive()
    passage.frame.setAddresses(to: host.mac, from: gateways[Int(host.network)].mac)
    return .forward(host.port)
  }

  /// An error from inside about a packet that was translated on its way out and on its way back in: to who sent it, a client or,
  /// of what a client has refused, a member.
  private mutating func errorToClient(
    _ passage: inout Passage, _ quotation: Quotation, _ index: UInt32
  ) -> RoutingVerdict {
    let packet = passage.packet
    let (session, number) = (sessions[index].pointee, partner(of: index))
    guard number != 0 else { return .drop(.noSession) }
    let other = sessions[number].pointee
    quotation.rewrite(.destination, to: session.external, port: session.externalPort)
    quotation.rewrite(.source, to: other.inside, port: other.insidePort)
    packet.rewrite(.source, to: session.external, port: nil, .absent)
    packet.rewrite(.destination, to: other.inside, port: nil, .absent)
    packet.icmp.complete(from: session.external, to: other.inside)
    packet.decrementTimeToLive()
    if other.host != 0 {
      let host = hosts[other.host].pointee
      passage.frame.setAddresses(to: host.mac, from: gateways[Int(host.network)].mac)
      return .forward(host.port)
    }
    guard case .neighbour(let neighbour, _) = step(to: other.inside) else { return .drop(.noRoute) }
    return send(passage.frame, to: neighbour, now: passage.now)
  }
}
