/// Which time of idleness ends a session (RFC 4787, 5382, 5508), and in which order its owner's sessions go when there is no room.
@frozen
public enum SessionTimer: UInt8, CaseIterable, Sendable {
  /// UDP that has not been answered.
  case udp
  case udpStream
  case tcpTransitory
  case tcpEstablished
  case icmp
  /// A connection of a mapping that is over: the first to give up its port.
  case tcpClosed

  public static let count = 6

  /// The first to go: nothing is lost that had been set up.
  @inlinable public var isExpendable: Bool { self != .udpStream && self != .tcpEstablished }
}

/// A flow through the router: an address and port inside, those by which the outside knows them, and those of the far end.
///
/// 128 bytes, the first 64 of which every packet reads. Addresses are numbers as `IPAddress.mapped`. Where nothing is
/// translated, `external` and `inside` are the same.
@frozen
public struct Session: BitwiseCopyable, Sendable {
  public var inside: UInt128 = 0
  public var remote: UInt128 = 0
  public var external: UInt128 = 0
  /// Ports; for ICMP queries the identifier stands in `insidePort` and `externalPort`, and `remotePort` is 0.
  public var insidePort: UInt16 = 0
  public var externalPort: UInt16 = 0
  public var remotePort: UInt16 = 0
  public var `protocol`: UInt8 = 0
  public internal(set) var timer: SessionTimer = .udp
  /// Where the frames of the way out and of the way in go: for whoever owns the table.
  public var nextHop: UInt32 = 0
  public var host: UInt32 = 0

  /// Which routes `nextHop` was found by.
  public var routeGeneration: UInt32 = 0
  public internal(set) var lastSeen: UInt32 = 0
  /// 0: of no mapping (a published port, or nothing is translated).
  public internal(set) var mapping: UInt32 = 0
  /// The port of the switch behind which the inside is: whose share of the table this is.
  public var owner: UInt16 = 0
  /// For whoever follows connections.
  public var state: UInt8 = 0
  public var flags: UInt8 = 0
  /// Bytes that the way out takes at once.
  public var pathMTU: UInt16 = 0
  /// TCP: the end of what was sent, and of what the other side lets be sent, of each side.
  public var insideEnd: UInt32 = 0
  public var remoteEnd: UInt32 = 0
  public var insideLimit: UInt32 = 0
  public var remoteLimit: UInt32 = 0

  @usableFromInline var nextInside: UInt32 = 0
  @usableFromInline var nextOutside: UInt32 = 0
  /// Of the sessions of a mapping with one far address.
  @usableFromInline var nextPeer: UInt32 = 0
  var timerOlder: UInt32 = 0
  var timerNewer: UInt32 = 0
  var ownerOlder: UInt32 = 0
  var ownerNewer: UInt32 = 0

  @inlinable
  public init() {}

  /// The bytes at `memory`, of another process, are a session that is in use.
  public static func isWellFormed(_ memory: UnsafeRawPointer) -> Bool {
    let number = memory.load(fromByteOffset: MemoryLayout<Session>.offset(of: \.protocol)!, as: UInt8.self)
    let timer = memory.load(fromByteOffset: MemoryLayout<Session>.offset(of: \.timer)!, as: UInt8.self)
    return number != 0 && SessionTimer(rawValue: timer) != nil
  }

  @inlinable
  @inline(__always)
  public var insideKey: SessionKey {
    SessionKey(near: inside, far: remote, nearPort: insidePort, farPort: remotePort, protocol: `protocol`)
  }

  @inlinable
  @inline(__always)
  public var outsideKey: SessionKey {
    SessionKey(near: external, far: remote, nearPort: externalPort, farPort: remotePort, protocol: `protocol`)
  }
}

/// By what a session is found: `near` is our side of it, inside or as the outside knows it.
@frozen
public struct SessionKey: BitwiseCopyable, Hashable, Sendable {
  @usableFromInline let near: UInt128
  @usableFromInline let far: UInt128
  @usableFromInline let word: UInt64

  @inlinable
  @inline(__always)
  public init(near: UInt128, far: UInt128, nearPort: UInt16, farPort: UInt16, protocol: UInt8) {
    (self.near, self.far) = (near, far)
    word = UInt64(nearPort) << 32 | UInt64(farPort) << 16 | UInt64(`protocol`)
  }
}
