import Tables
import Wire

// What a router knows of a TCP connection that it sees pass (RFC 5382, RFC 7857): enough to tell a connection that is being
// set up or taken down, which is soon forgotten, from one that stands, which is kept for hours; and to believe a reset only
// where it could come from the far end.

/// How far a connection is: bits in `Session.state`.
public struct ConnectionState: OptionSet, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static var insideSYN: ConnectionState { ConnectionState(rawValue: 1) }
  public static var remoteSYN: ConnectionState { ConnectionState(rawValue: 2) }
  public static var insideFIN: ConnectionState { ConnectionState(rawValue: 4) }
  public static var remoteFIN: ConnectionState { ConnectionState(rawValue: 8) }
  public static var reset: ConnectionState { ConnectionState(rawValue: 16) }
  /// Both have sent SYN, and one of them has acknowledged since.
  public static var established: ConnectionState { ConnectionState(rawValue: 32) }

  /// As `session ls` calls it; the words of conntrack(8).
  public var name: String {
    if contains(.reset) { return "closed" }
    if isSuperset(of: [.insideFIN, .remoteFIN]) { return "time_wait" }
    if contains(.insideFIN) || contains(.remoteFIN) { return "fin_wait" }
    if contains(.established) { return "established" }
    return isSuperset(of: [.insideSYN, .remoteSYN]) ? "syn_recv" : "syn_sent"
  }
}

extension Session {
  /// The connection that ended may begin anew with a SYN (RFC 7857, 2.4).
  var isOver: Bool {
    let state = ConnectionState(rawValue: state)
    return state.contains(.reset) || state.isSuperset(of: [.insideFIN, .remoteFIN])
  }

  /// The segment has passed, from inside or from the far end.
  /// - Returns: the timer by which the connection now ends.
  @inline(__always)
  mutating func follow(_ segment: TCPSegment, fromInside: Bool) -> SessionTimer {
    var connection = ConnectionState(rawValue: state)
    if segment.flags.contains(.syn) {
      if isOver { connection = [] }
      connection.insert(fromInside ? .insideSYN : .remoteSYN)
      setScale(segment.windowScale, fromInside: fromInside)
    } else if connection.isSuperset(of: [.insideSYN, .remoteSYN]) && segment.flags.contains(.ack) {
      connection.insert(.established)
    } else if connection.isEmpty {
      // Taken up in the middle.
      connection = [.insideSYN, .remoteSYN, .established]
      setScale(14, fromInside: true)
      setScale(14, fromInside: false)
    }
    if segment.flags.contains(.rst) {
      if isBelievable(segment, fromInside: fromInside) { connection.insert(.reset) }
    } else {
      if segment.flags.contains(.fin), isLast(segment, fromInside: fromInside) {
        connection.insert(fromInside ? .insideFIN : .remoteFIN)
      }
      follow(sequence: segment, fromInside: fromInside)
    }
    state = connection.rawValue
    if mapping != 0 && isOver { return .tcpClosed }
    return connection.isDisjoint(with: [.reset, .insideFIN, .remoteFIN]) && connection.contains(.established)
      ? .tcpEstablished : .tcpTransitory
  }

  /// Four bits each; a window is taken as it stands until both have said that they scale.
  private mutating func setScale(_ scale: UInt8?, fromInside: Bool) {
    flags = fromInside ? flags & 0xF0 | (scale ?? 0) : flags & 0x0F | (scale ?? 0) << 4
  }

  private mutating func follow(sequence segment: TCPSegment, fromInside: Bool) {
    let end = segment.sequence &+ segment.advance
    let scale = segment.flags.contains(.syn) ? 0 : fromInside ? flags & 0x0F : flags >> 4
    let limit = segment.acknowledgment &+ UInt32(segment.window) << UInt32(scale)
    let isFirst = segment.flags.contains(.syn)
    if fromInside {
      if isFirst || moves(insideEnd, to: end, of: segment, limit: insideLimit) { insideEnd = end }
      if segment.flags.contains(.ack), isFirst || Self.isLater(limit, than: remoteLimit) { remoteLimit = limit }
    } else {
      if isFirst || moves(remoteEnd, to: end, of: segment, limit: remoteLimit) { remoteEnd = end }
      if segment.flags.contains(.ack), isFirst || Self.isLater(limit, than: insideLimit) { insideLimit = limit }
    }
  }

  /// Of sequence numbers, of which 0 stands for none that is known yet.
  @inline(__always)
  private static func isLater(_ number: UInt32, than last: UInt32) -> Bool {
    Int32(bitPattern: number &- last) > 0 || last == 0
  }

  /// Whether the segment brings a side's sequence forward. What begins beyond the window that the other side has offered is
  /// not that side's: else one forged segment would keep the true end of the connection from being believed.
  @inline(__always)
  private func moves(_ last: UInt32, to end: UInt32, of segment: TCPSegment, limit: UInt32) -> Bool {
    Self.isLater(end, than: last) && (Int32(bitPattern: segment.sequence &- limit) <= 0 || limit == 0)
  }

  /// A FIN ends what its side has sent, and lies within the window, where that is known: one from elsewhere must not shorten
  /// the life of a connection that stands (RFC 7857, 2.1).
  private func isLast(_ segment: TCPSegment, fromInside: Bool) -> Bool {
    let (end, limit) = fromInside ? (insideEnd, insideLimit) : (remoteEnd, remoteLimit)
    if end == 0 || limit == 0 { return true }
    return Int32(bitPattern: segment.sequence &+ segment.advance &- end) >= 0
      && Int32(bitPattern: segment.sequence &- limit) <= 0
  }

  /// A reset within the window that the other side has offered (RFC 5961, 3.2), or one that answers a SYN.
  private func isBelievable(_ segment: TCPSegment, fromInside: Bool) -> Bool {
    let (end, limit) = fromInside ? (insideEnd, insideLimit) : (remoteEnd, remoteLimit)
    let answersSYN = fromInside ? (remoteEnd, insideEnd) : (insideEnd, remoteEnd)
    if answersSYN.1 == 0 { return segment.flags.contains(.ack) && segment.acknowledgment == answersSYN.0 }
    let beyond = Int32(bitPattern: segment.sequence &- end)
    return beyond == 0 || beyond > 0 && Int32(bitPattern: segment.sequence &- limit) <= 0
  }
}
