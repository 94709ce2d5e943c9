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

  private mutating func send(_ trouble: RoutingTrouble, about passage: Passage, from source: UInt128, mac: UInt64) {
    let packet = passage.packet
    guard packet.mayBeAnswered, answerBudget.take(now: passage.now) else { return }
    let place = held.take()
    guard place != HeldFrames.none else { return }
    let start = held.start(place)
    VirtioNetHeader().store(to: start)
    let (headers, quoted) = (packet.errorHeadersLength, packet.quotedLength)
    let ethernet = start + Engine.headerLength
    let sender = (passage.frame.start + Engine.headerLength).loadUnaligned(fromByteOffset: 4, as: UInt64.self).bigEndian
    let frame = FrameDescriptor(
      start: start, length: UInt32(Engine.headerLength + Engine.ethernetHeaderLength + headers + quoted),
      port: passage.frame.port, buffer: 0)
    frame.setAddresses(to: sender & 0xFFFF_FFFF_FFFF, from: mac)
    let type = packet.isIPv6 ? EtherType.ipv6.rawValue : EtherType.ipv4.rawValue
    ethernet.storeBytes(of: type.bigEndian, toByteOffset: 12, as: UInt16.self)
    (frame.packetStart + headers).copyMemory(from: packet.header, byteCount: quoted)
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
