import Wire

// ICMP errors of Martlet's own, the router's and a switch's (RFC 792; RFC 1812, 4.3.2; RFC 4443): what they look like, which packets are
// answered, and how often.

/// What is wrong with a packet that cannot go on.
enum RoutingTrouble {
  case timeExceeded
  case unreachable
  case prohibited
  /// Nobody has the port (RFC 1122, 3.2.2.1; RFC 4443, 3.1).
  case portUnreachable
  /// Longer than the path's MTU, in bytes.
  case tooBig(Int)

  func typeAndCode(isIPv6: Bool) -> (UInt8, UInt8) {
    switch self {
    case .timeExceeded: isIPv6 ? (3, 0) : (11, 0)
    case .unreachable: isIPv6 ? (1, 0) : (3, 0)
    case .prohibited: isIPv6 ? (1, 1) : (3, 13)
    case .portUnreachable: isIPv6 ? (1, 4) : (3, 3)
    case .tooBig: isIPv6 ? (2, 0) : (3, 4)
    }
  }
}

/// How many errors may be sent, to all together (RFC 1812, 4.3.2.8; RFC 4443, 2.4 (f)). One thread.
@usableFromInline
struct ICMPErrorBudget: BitwiseCopyable {
  /// In one second.
  static let perSecond = 1000

  private var left = Self.perSecond
  private var refilled: UInt32 = 0

  /// - Parameter now: seconds of a monotonic clock.
  /// - Returns: false where there have been enough.
  mutating func take(now: UInt32) -> Bool {
    if refilled != now { (refilled, left) = (now, Self.perSecond) }
    guard left > 0 else { return false }
    left -= 1
    return true
  }
}

extension Packet {
  /// Bytes that every link takes in one packet of IPv6 (RFC 8200, 5).
  static let mtuMin6 = 1280
  /// Bytes of a packet that carries an error, at most (RFC 1812, 4.3.2.3; RFC 4443, 2.4 (c)).
  private static let errorLength4 = 576
  private static let errorLength6 = mtuMin6

  /// No error is sent about an error, a fragment but the first, or what goes to a group or comes from one (RFC 1812, 4.3.2.7;
  /// RFC 4443, 2.4 (e)).
  var mayBeAnswered: Bool {
    guard (fragment?.position ?? 0) == 0 else { return false }
    if `protocol` == .icmp || `protocol` == .icmpv6 {
      guard icmp.isQuery else { return false }
    }
    return !Router.isGroupOrNone(source) && !Router.isGroupOrNone(destination)
  }

  /// Of the headers of an error about the packet, IP's and ICMP's.
  var errorHeadersLength: Int {
    (isIPv6 ? IPv6View.headerLength : IPv4View.headerLengthMin) + ICMPMessage.headerLength
  }

  /// Bytes of the packet that an error about it quotes.
  var quotedLength: Int {
    min(length, (isIPv6 ? Self.errorLength6 : Self.errorLength4) - errorHeadersLength)
  }

  /// Writes the headers of an error about the packet.
  /// - Parameter memory: where its IP header begins; `quotedLength` bytes of the packet stand `errorHeadersLength` behind.
  func writeError(_ trouble: RoutingTrouble, at memory: UnsafeMutableRawPointer, from source: UInt128) {
    let message = memory + (errorHeadersLength - ICMPMessage.headerLength)
    let (kind, code) = trouble.typeAndCode(isIPv6: isIPv6)
    message.storeBytes(of: kind, as: UInt8.self)
    message.storeBytes(of: code, toByteOffset: 1, as: UInt8.self)
    message.storeBytes(of: 0, toByteOffset: 2, as: UInt16.self)
    var word: UInt32 = 0
    if case .tooBig(let mtu) = trouble { word = UInt32(mtu) }
    message.storeBytes(of: word.bigEndian, toByteOffset: 4, as: UInt32.self)
    let length = ICMPMessage.headerLength + quotedLength
    writeAnswerHeader(at: memory, from: source, isIPv6 ? .icmpv6 : .icmp, payload: length)
    ICMPMessage(message, length: length, isIPv6: isIPv6).complete(from: source, to: self.source)
  }

  /// Writes the IP header of an answer to the packet's sender.
  func writeAnswerHeader(
    at memory: UnsafeMutableRawPointer, from source: UInt128, _ protocol: IPProtocol, payload: Int
  ) {
    let destination = self.source
    if isIPv6 {
      memory.storeBytes(of: UInt32(0x6000_0000).bigEndian, as: UInt32.self)
      memory.storeBytes(of: UInt16(payload).bigEndian, toByteOffset: 4, as: UInt16.self)
      memory.storeBytes(of: `protocol`.rawValue, toByteOffset: 6, as: UInt8.self)
      memory.storeBytes(of: 64, toByteOffset: 7, as: UInt8.self)
      memory.storeBytes(of: source.bigEndian, toByteOffset: IPv6View.sourceOffset, as: UInt128.self)
      memory.storeBytes(of: destination.bigEndian, toByteOffset: IPv6View.destinationOffset, as: UInt128.self)
      return
    }
    // Precedence internetwork control, as Linux (RFC 1812, 4.3.2.5).
    memory.storeBytes(of: UInt32(0x45C0_0000 + UInt32(IPv4View.headerLengthMin + payload)).bigEndian, as: UInt32.self)
    memory.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
    let word = UInt32(64) << 24 | UInt32(`protocol`.rawValue) << 16
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
