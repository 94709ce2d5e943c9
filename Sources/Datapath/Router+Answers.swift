import Tables
import Wire

// ICMP errors of the router's own (RFC 792, RFC 1812, 4.3; RFC 4443).

/// What is wrong with a packet that cannot go on.
enum RoutingTrouble {
  case timeExceeded
  case unreachable
  case prohibited
  /// Longer than the path's MTU, in bytes.
  case tooBig(Int)

  func typeAndCode(isIPv6: Bool) -> (UInt8, UInt8) {
    switch self {
    case .timeExceeded: isIPv6 ? (3, 0) : (11, 0)
    case .unreachable: isIPv6 ? (1, 0) : (3, 0)
    case .prohibited: isIPv6 ? (1, 1) : (3, 13)
    case .tooBig: isIPv6 ? (2, 0) : (3, 4)
    }
  }
}

extension Router {
  /// Errors sent in one second, to all together (RFC 1812, 4.3.2.8).
  static let answersPerSecond = 1000
  /// Bytes of a packet that carries an error, at most (RFC 1812, 4.3.2.3; RFC 4443, 2.4 (c)).
  private static let answerLength4 = 576
  private static let answerLength6 = 1280

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

  private mutating func send(_ trouble: RoutingTrouble, about passage: Passage, from source: UInt128, mac: UInt64) {
    let packet = passage.packet
    guard passage.isFirst, mayAnswer(passage) else { return }
    let place = held.take()
    guard place != HeldFrames.none else { return }
    let start = held.start(place)
    VirtioNetHeader().store(to: start)
    let ipLength = packet.isIPv6 ? IPv6View.headerLength : IPv4View.headerLengthMin
    let limit = packet.isIPv6 ? Self.answerLength6 : Self.answerLength4
    let quoted = min(packet.length, limit - ipLength - ICMPMessage.headerLength)
    let ethernet = start + Engine.headerLength
    let sender = (passage.frame.start + Engine.headerLength).loadUnaligned(fromByteOffset: 4, as: UInt64.self).bigEndian
    let frame = FrameDescriptor(
      start: start,
      length: UInt32(
        Engine.headerLength + Engine.ethernetHeaderLength + ipLength + ICMPMessage.headerLength + quoted),
      port: passage.frame.port, buffer: 0)
    frame.setAddresses(to: sender & 0xFFFF_FFFF_FFFF, from: mac)
    let type = packet.isIPv6 ? EtherType.ipv6.rawValue : EtherType.ipv4.rawValue
    ethernet.storeBytes(of: type.bigEndian, toByteOffset: 12, as: UInt16.self)
    let message = frame.packetStart + ipLength
    let (kind, code) = trouble.typeAndCode(isIPv6: packet.isIPv6)
    message.storeBytes(of: kind, as: UInt8.self)
    message.storeBytes(of: code, toByteOffset: 1, as: UInt8.self)
    message.storeBytes(of: 0, toByteOffset: 2, as: UInt16.self)
    var word: UInt32 = 0
    if case .tooBig(let mtu) = trouble { word = UInt32(mtu) }
    message.storeBytes(of: word.bigEndian, toByteOffset: 4, as: UInt32.self)
    (message + ICMPMessage.headerLength).copyMemory(from: passage.frame.packetStart, byteCount: quoted)
    let length = ICMPMessage.headerLength + quoted
    packet.writeHeader(at: frame.packetStart, from: source, to: packet.source, payload: length)
    ICMPMessage(message, length: length, isIPv6: packet.isIPv6).complete(from: source, to: packet.source)
    held.places[Int(place)] = HeldFrames.Place(length: frame.length, port: frame.port, next: 0, since: passage.now)
    held.leave(place, by: frame.port)
  }

  /// No error is sent about an error, to or about a group, or beyond the rate (RFC 1812, 4.3.2.7).
  private mutating func mayAnswer(_ passage: Passage) -> Bool {
    let packet = passage.packet
    if packet.protocol == .icmp || packet.protocol == .icmpv6 {
      guard packet.icmp.isQuery else { return false }
    }
    guard !Self.isGroupOrNone(packet.source), !Self.isGroupOrNone(packet.destination) else { return false }
    if answersRefilled != passage.now {
      answersRefilled = passage.now
      answerTokens = Self.answersPerSecond
    }
    guard answerTokens > 0 else { return false }
    answerTokens -= 1
    return true
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

extension Packet {
  /// Writes an IP header of this packet's family for an ICMP message of the router's own.
  fileprivate func writeHeader(
    at memory: UnsafeMutableRawPointer, from source: UInt128, to destination: UInt128, payload: Int
  ) {
    if isIPv6 {
      memory.storeBytes(of: UInt32(0x6000_0000).bigEndian, as: UInt32.self)
      memory.storeBytes(of: UInt16(payload).bigEndian, toByteOffset: 4, as: UInt16.self)
      memory.storeBytes(of: IPProtocol.icmpv6.rawValue, toByteOffset: 6, as: UInt8.self)
      memory.storeBytes(of: 64, toByteOffset: 7, as: UInt8.self)
      memory.storeBytes(of: source.bigEndian, toByteOffset: IPv6View.sourceOffset, as: UInt128.self)
      memory.storeBytes(of: destination.bigEndian, toByteOffset: IPv6View.destinationOffset, as: UInt128.self)
      return
    }
    // Precedence internetwork control, as Linux (RFC 1812, 4.3.2.5).
    memory.storeBytes(of: UInt32(0x45C0_0000 + UInt32(IPv4View.headerLengthMin + payload)).bigEndian, as: UInt32.self)
    memory.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
    let word = UInt32(64) << 24 | UInt32(IPProtocol.icmp.rawValue) << 16
    memory.storeBytes(of: word.bigEndian, toByteOffset: 8, as: UInt32.self)
    memory.storeBytes(
      of: UInt32(truncatingIfNeeded: source).bigEndian, toByteOffset: IPv4View.sourceOffset, as: UInt32.self)
    memory.storeBytes(
      of: UInt32(truncatingIfNeeded: destination).bigEndian, toByteOffset: IPv4View.destinationOffset, as: UInt32.self)
    var sum = InternetChecksum()
    sum.add(RawSpan(_unsafeStart: UnsafeRawPointer(memory), byteCount: IPv4View.headerLengthMin))
    memory.storeBytes(of: sum.value.bigEndian, toByteOffset: IPv4View.checksumOffset, as: UInt16.self)
  }
}

extension ICMPMessage {
  private func sum(from source: UInt128, to destination: UInt128) -> UInt16 {
    var sum =
      isIPv6
      ? InternetChecksum(
        source: IPv6Address(bits: source), destination: IPv6Address(bits: destination), protocol: .icmpv6,
        length: length) : InternetChecksum()
    sum.add(RawSpan(_unsafeStart: UnsafeRawPointer(memory), byteCount: length))
    return sum.value
  }

  /// Sets the checksum.
  func complete(from source: UInt128, to destination: UInt128) {
    memory.storeBytes(of: 0, toByteOffset: 2, as: UInt16.self)
    memory.storeBytes(of: sum(from: source, to: destination).bigEndian, toByteOffset: 2, as: UInt16.self)
  }

  func isChecksumValid(from source: UInt128, to destination: UInt128) -> Bool {
    sum(from: source, to: destination) == 0
  }
}
