import Tables

/// Frames of one port are copied to another of the same network, for who looks at them there (SPAN).
@frozen
public struct FrameMirror: BitwiseCopyable, Equatable, Sendable {
  public var from: UInt16
  public var to: UInt16
  /// Those that come in by the port, and copies that leave by it.
  public var copiesReceived: Bool
  public var copiesSent: Bool

  public init(from: UInt16, to: UInt16, copiesReceived: Bool = true, copiesSent: Bool = true) {
    (self.from, self.to, self.copiesReceived, self.copiesSent) = (from, to, copiesReceived, copiesSent)
  }
}

/// The mirrors of an engine, and who has got the frame that is looked at. Fixed memory. Thread: the engine's.
@usableFromInline
struct MirrorTable: BitwiseCopyable {
  @usableFromInline static let capacity = 64
  /// Copies made in one burst: as many as a burst has frames.
  @usableFromInline static let perBurstMax = 64

  @usableFromInline
  struct State: BitwiseCopyable {
    @usableFromInline var count = 0
    /// Copies that this burst may still make.
    @usableFromInline var left = 0
    /// Bit for bit the entries whose destination has the frame already.
    @usableFromInline var served: UInt64 = 0
    @usableFromInline init() {}
  }

  @usableFromInline let entries: UnsafeMutablePointer<FrameMirror>
  @usableFromInline let state: UnsafeMutablePointer<State>

  init() {
    entries = .allocate(capacity: Self.capacity)
    state = .allocate(capacity: 1)
    state.initialize(to: State())
  }

  func deallocate() {
    entries.deallocate()
    state.deallocate()
  }

  @inlinable var isEmpty: Bool { state.pointee.count == 0 }

  @inlinable
  func beginBurst() { state.pointee.left = Self.perBurstMax }

  @inlinable
  func beginFrame() { state.pointee.served = 0 }

  /// false: the burst has made as many copies as it may.
  @inlinable
  func takeBudget() -> Bool {
    guard state.pointee.left > 0 else { return false }
    state.pointee.left &-= 1
    return true
  }

  /// A destination that is to have the frame and has not got it; it counts as served from here on.
  /// - Parameter source: the port that the frame came in by, which does not get it back.
  @inlinable
  func next(of port: UInt16, isReceived: Bool, except source: UInt16) -> UInt16? {
    let count = state.pointee.count
    for index in 0..<count where state.pointee.served & (1 << UInt64(index)) == 0 {
      let entry = entries[index]
      guard entry.from == port, entry.to != source, isReceived ? entry.copiesReceived : entry.copiesSent else {
        continue
      }
      for other in 0..<count where entries[other].to == entry.to { state.pointee.served |= 1 << UInt64(other) }
      return entry.to
    }
    return nil
  }

  /// - Returns: false where there is no room.
  func set(_ mirror: FrameMirror) -> Bool {
    let count = state.pointee.count
    if let index = (0..<count).first(where: { entries[$0].from == mirror.from && entries[$0].to == mirror.to }) {
      entries[index] = mirror
      return true
    }
    guard count < Self.capacity else { return false }
    (entries + count).initialize(to: mirror)
    state.pointee.count = count + 1
    return true
  }

  func removeAll(where isMeant: (FrameMirror) -> Bool) {
    var kept = 0
    for index in 0..<state.pointee.count where !isMeant(entries[index]) {
      entries[kept] = entries[index]
      kept += 1
    }
    state.pointee.count = kept
  }
}

extension Engine {
  /// Mirrors that an engine has room for.
  public static var mirrorsMax: Int { MirrorTable.capacity }

  /// From here on frames of the one port are copied to the other, whatever else becomes of them, and once for each frame and
  /// destination: what one port sends and another gets is copied once to a port that mirrors both. The copies themselves are not
  /// mirrored. Takes the place of a mirror between the same ports; goes with either of them.
  /// - Returns: false where there is no room for it, or the ports are not two of one network.
  public mutating func setMirror(_ mirror: FrameMirror) -> Bool {
    let network = ports[Int(mirror.from)].network
    guard network != Self.none, ports[Int(mirror.to)].network == network, mirror.from != mirror.to,
      mirrors.set(mirror)
    else { return false }
    setObserved()
    return true
  }

  public mutating func removeMirror(from: UInt16, to: UInt16) {
    mirrors.removeAll { $0.from == from && $0.to == to }
    setObserved()
  }

  mutating func removeMirrors(of port: UInt16) {
    mirrors.removeAll { $0.from == port || $0.to == port }
    setObserved()
  }
}
