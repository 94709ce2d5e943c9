import Tables
import Wire

// ICMP errors of the router's own (`ICMPErrors.swift`).
extension Router {
  /// Tells the sender in a network.
  mutating func answer(_ passage: Passage, _ trouble: RoutingTrouble, _ network: Int) {
    let source = gateways[network].address(isIPv6: passage.packet.isIPv6)
    guard source != 0 else { return }
    send(trouble, about: passage, from: source, mac: gateways[network].mac)
  }

  /// Tells the sender outside, by the way the packet came.
  mutating func answerOutside(_ passage: Passage, _ trouble: RoutingTrouble) {
    guard passage.frame.port == uplink.port else { return }
    send(trouble, about: passage, from: passage.packet.destination, mac: uplink.mac)
  }

  /// Tells the sender that nobody answers at the port it asked for: as the host's own stack would, whoever is asked.
  /// - Parameter network: that it is in; nil: it is outside.
  mutating func refuse(_ passage: Passage, _ network: Int?) {
    guard network != nil || passage.frame.port == uplink.port else { return }
    if let segment = passage.segment {
      reset(passage, segment, mac: network.map { gateways[$0].mac } ?? uplink.mac)
    } else if let network {
      answer(passage, .portUnreachable, network)
    } else {
      answerOutside(passage, .portUnreachable)
    }
  }

  /// What is sent for a connection that there is not (RFC 9293, 3.10.7.1).
  private mutating func reset(_ passage: Passage, _ segment: TCPSegment, mac: UInt64) {
    let packet = passage.packet
    guard !segment.flags.contains(.rst), packet.mayBeAnswered, answerBudget.take(now: passage.now),
      let (frame, place) = takeAnswer(passage, payload: TCPView.headerLengthMin, mac: mac)
    else { return }
    let header = frame.packetStart + (packet.isIPv6 ? IPv6View.headerLength : IPv4View.headerLengthMin)
    let isAnswered = segment.flags.contains(.ack)
    header.storeBytes(of: packet.destinationPort.bigEndian, as: UInt16.self)
    header.storeBytes(of: packet.sourcePort.bigEndian, toByteOffset: 2, as: UInt16.self)
    header.storeBytes(of: (isAnswered ? segment.acknowledgment : 0).bigEndian, toByteOffset: 4, as: UInt32.self)
    let acknowledged = isAnswered ? 0 : segment.sequence &+ segment.advance
    header.storeBytes(of: acknowledged.bigEndian, toByteOffset: 8, as: UInt32.self)
    let flags: TCPFlags = isAnswered ? .rst : [.rst, .ack]
    header.storeBytes(of: UInt16(5 << 12 | UInt16(flags.rawValue)).bigEndian, toByteOffset: 12, as: UInt16.self)
    // No window, no checksum yet, nothing urgent.
    header.storeBytes(of: 0, toByteOffset: 14, as: UInt32.self)
    header.storeBytes(of: 0, toByteOffset: 18, as: UInt16.self)
    packet.writeAnswerHeader(
      at: frame.packetStart, from: packet.destination, .tcp, payload: TCPView.headerLengthMin)
    var sum = InternetChecksum(
      source: IPv6Address(bits: packet.destination), destination: IPv6Address(bits: packet.source), protocol: .tcp,
      length: TCPView.headerLengthMin)
    sum.add(RawSpan(_unsafeStart: UnsafeRawPointer(header), byteCount: TCPView.headerLengthMin))
    header.storeBytes(of: sum.value.bigEndian, toByteOffset: TCPView.checksumOffset, as: UInt16.self)
    held.places[Int(place)] = HeldFrames.Place(length: frame.length, port: frame.port, next: 0, since: passage.now)
    held.leave(place, by: frame.port)
  }

  /// A place for an answer of the router's own to the sender of a frame, its virtio-net and Ethernet headers written.
  private mutating func takeAnswer(
    _ passage: Passage, payload: Int, mac: UInt64
  ) -> (frame: FrameDescriptor, place: UInt16)? {
    let place = held.take()
    guard place != HeldFrames.none else { return nil }
    let start = held.start(place)
    VirtioNetHeader().store(to: start)
    let isIPv6 = passage.packet.isIPv6
    let length = Engine.ethernetHeaderLength + (isIPv6 ? IPv6View.headerLength : IPv4View.headerLengthMin) + payload
    let frame = FrameDescriptor(
      start: start, length: UInt32(Engine.headerLength + length), port: passage.frame.port, buffer: 0)
    let sender = (passage.frame.start + Engine.headerLength).loadUnaligned(fromByteOffset: 4, as: UInt64.self).bigEndian
    frame.setAddresses(to: sender & 0xFFFF_FFFF_FFFF, from: mac)
    let type = isIPv6 ? EtherType.ipv6.rawValue : EtherType.ipv4.rawValue
    (start + Engine.headerLength).storeBytes(of: type.bigEndian, toByteOffset: 12, as: UInt16.self)
    return (frame, place)
  }

  private mutating func send(_ trouble: RoutingTrouble, about passage: Passage, from source: UInt128, mac: UInt64) {
    let packet = passage.packet
    guard packet.mayBeAnswered, answerBudget.take(now: passage.now),
      let (frame, place) = takeAnswer(passage, payload: ICMPMessage.headerLength + packet.quotedLength, mac: mac)
    else { return }
    (frame.packetStart + packet.errorHeadersLength).copyMemory(from: packet.header, byteCount: packet.quotedLength)
    packet.writeError(trouble, at: frame.packetStart, from: source)
    held.places[Int(place)] = HeldFrames.Place(length: frame.length, port: frame.port, next: 0, since: passage.now)
    held.leave(place, by: frame.port)
  }

  static func isGroupOrNone(_ address: UInt128) -> Bool {
    if address >> 32 == 0xFFFF {
      let bits = UInt32(truncatingIfNeeded: address)
      return bits >> 28 >= 0xE || bits >> 24 == 0 || bits >> 24 == 127
    }
    let ipv6 = IPv6Address(bits: address)
    return ipv6.isMulticast || ipv6.bits <= 1
  }
}
