import Glibc

// Theory of operation.
//
// A mapping (RFC 4787, 4.1) binds an address and port inside to a port of an external address, whoever the far end is. It
// lives as long as sessions use it. Who uses an external port stands in an array with a place for each: so a packet from
// outside costs one load, however many ports are taken or published. No port is given out twice (no overloading); a
// published one is never given out.
//
// A port is chosen so: the inside's own where it is free and in range; else one of the same parity and the same class (below
// 1024 or not), looked for from a random place on (RFC 4787, REQ-3 and 4; RFC 6056); else any that is free.

/// An address and port inside, and the external port that stands for them.
@frozen
public struct Mapping: BitwiseCopyable, Sendable {
  public var inside: UInt128 = 0
  public var external: UInt128 = 0
  public var insidePort: UInt16 = 0
  public var externalPort: UInt16 = 0
  public var owner: UInt16 = 0
  public var `protocol`: UInt8 = 0
  public var slot: UInt8 = 0
  var sessions: UInt32 = 0
  @usableFromInline var next: UInt32 = 0
  /// For one far end only: not to be found by its inside.
  var isPrivate = false

  init() {}
}

/// What an external port is.
@frozen
public enum PortUse: Sendable, Equatable {
  case free
  case mapping(UInt32)
  /// Published, by the number that `publish` was given.
  case publication(UInt32)
}

/// The mappings, and the use of each external port. One thread.
public struct MappingTable: ~Copyable {
  public static let capacity = 262_144
  @usableFromInline static let publicationBit: UInt32 = 1 << 31

  @usableFromInline let mappings: UnsafeMutablePointer<Mapping>
  @usableFromInline let chains: HashChains
  @usableFromInline let hash: KeyedHash
  /// By slot, plane and port: 0, a mapping, or a publication.
  @usableFromInline let uses: UnsafeMutablePointer<UInt32>
  /// Bits as `claims`, for those ports that may be given out.
  private let pool: PortClaims
  private let poolMemory: UnsafeMutableRawPointer
  /// By slot and plane: ports of the pool that are free.
  private let available: UnsafeMutablePointer<Int32>
  private var random: UInt64
  private var unused: UInt32 = 1
  private var free: UInt32 = 0
  public private(set) var count = 0
  /// What the uplink's filter is told. Set before anything is mapped.
  public var claims: PortClaims?

  init(seed: UInt64) {
    mappings = zeroed(Self.capacity + 1)
    chains = HashChains(capacity: Self.capacity)
    hash = KeyedHash(seed: seed)
    uses = zeroed(PortClaims.slots * PortClaims.Plane.allCases.count * 65_536)
    poolMemory = UnsafeMutableRawPointer(zeroed(PortClaims.byteCount) as UnsafeMutablePointer<UInt8>)
    pool = PortClaims(memory: poolMemory)
    available = zeroed(PortClaims.slots * 3)
    random = scrambled(seed)
  }

  deinit {
    Glibc.free(mappings)
    chains.deallocate()
    Glibc.free(uses)
    Glibc.free(poolMemory)
    Glibc.free(available)
  }

  @inlinable
  @inline(__always)
  public subscript(index: UInt32) -> UnsafeMutablePointer<Mapping> { mappings + Int(index) }

  @inlinable
  @inline(__always)
  func use(_ slot: Int, _ plane: PortClaims.Plane, _ port: UInt16) -> UnsafeMutablePointer<UInt32> {
    precondition(slot >= 0 && slot < PortClaims.slots)
    return uses + ((slot &* 3 &+ plane.rawValue) &* 65_536 &+ Int(port))
  }

  @inlinable
  @inline(__always)
  public func use(slot: Int, plane: PortClaims.Plane, port: UInt16) -> PortUse {
    let value = use(slot, plane, port).pointee
    if value == 0 { return .free }
    return value & Self.publicationBit == 0 ? .mapping(value) : .publication(value & ~Self.publicationBit)
  }

  /// The mapping of an inside address and port, or 0.
  @inlinable
  public func find(inside: UInt128, port: UInt16, protocol: UInt8) -> UInt32 {
    var index = chains.head(hash(inside, UInt64(port) << 8 | UInt64(`protocol`))).pointee
    while index != 0 {
      let mapping = mappings + Int(index)
      if mapping.pointee.inside == inside && mapping.pointee.insidePort == port
        && mapping.pointee.protocol == `protocol`
      {
        return index
      }
      index = mapping.pointee.next
    }
    return 0
  }

  // MARK: Mappings

  /// Ports that may be given out at a slot: those of `ranges`, for TCP and UDP; identifiers: all.
  public mutating func setPool(slot: Int, _ ranges: [ClosedRange<UInt16>]) {
    for plane in PortClaims.Plane.allCases {
      pool.setAll(slot: slot, plane: plane, to: plane == .query)
      if plane == .query { continue }
      for range in ranges {
        for port in range { pool.set(slot: slot, plane: plane, port: port) }
      }
    }
    for plane in PortClaims.Plane.allCases {
      available[slot * 3 + plane.rawValue] = 0
      for index in 0..<Self.wordCount {
        var ports = pool.word(slot: slot, plane: plane, index: index)
        while ports != 0 {
          let port = UInt16(index * 64 + ports.trailingZeroBitCount)
          if use(slot, plane, port).pointee == 0 { available[slot * 3 + plane.rawValue] += 1 }
          ports &= ports - 1
        }
      }
    }
  }

  /// Sets who uses a port.
  private func setUse(_ slot: Int, _ plane: PortClaims.Plane, _ port: UInt16, to value: UInt32) {
    let place = use(slot, plane, port)
    if (place.pointee == 0) != (value == 0), pool.isSet(slot: slot, plane: plane, port: port) {
      available[slot * 3 + plane.rawValue] += value == 0 ? 1 : -1
    }
    place.pointee = value
    if value == 0 {
      claims?.clear(slot: slot, plane: plane, port: port)
    } else {
      claims?.set(slot: slot, plane: plane, port: port)
    }
  }

  /// Makes a mapping that nobody uses yet: `retain` and `release` it.
  /// - Parameters:
  ///   - isPrivate: for one far end alone: `find` does not find it.
  ///   - externalPort: this one and no other; nil: it is chosen.
  /// - Returns: 0 where no port is free, or the table is full.
  public mutating func add(
    inside: UInt128, port: UInt16, protocol: UInt8, plane: PortClaims.Plane, external: UInt128, slot: Int,
    owner: UInt16, isPrivate: Bool, externalPort asked: UInt16? = nil
  ) -> UInt32 {
    guard count < Self.capacity, let externalPort = asked ?? choose(slot, plane, wanted: port),
      use(slot, plane, externalPort).pointee == 0
    else { return 0 }
    let index = take()
    var mapping = Mapping()
    mapping.inside = inside
    mapping.insidePort = port
    mapping.external = external
    mapping.externalPort = externalPort
    mapping.protocol = `protocol`
    mapping.slot = UInt8(slot)
    mapping.owner = owner
    mapping.isPrivate = isPrivate
    if !isPrivate {
      let head = chains.head(hash(inside, UInt64(port) << 8 | UInt64(`protocol`)))
      mapping.next = head.pointee
      head.pointee = index
    }
    mappings[Int(index)] = mapping
    setUse(slot, plane, externalPort, to: index)
    count += 1
    return index
  }

  /// One more session uses it. 0 is none.
  mutating func retain(_ index: UInt32) { if index != 0 { mappings[Int(index)].sessions += 1 } }

  /// One session less uses it; with the last it goes.
  mutating func release(_ index: UInt32) {
    guard index != 0 else { return }
    mappings[Int(index)].sessions -= 1
    if mappings[Int(index)].sessions == 0 { remove(index) }
  }

  /// The mapping goes where no session uses it.
  public mutating func removeUnused(_ index: UInt32) { if mappings[Int(index)].sessions == 0 { remove(index) } }

  private mutating func remove(_ index: UInt32) {
    let mapping = mappings[Int(index)]
    let plane = PortClaims.Plane(protocol: mapping.protocol)
    if !mapping.isPrivate {
      let head = chains.head(hash(mapping.inside, UInt64(mapping.insidePort) << 8 | UInt64(mapping.protocol)))
      if head.pointee == index {
        head.pointee = mapping.next
      } else {
        var before = Int(head.pointee)
        while mappings[before].next != index { before = Int(mappings[before].next) }
        mappings[before].next = mapping.next
      }
    }
    setUse(Int(mapping.slot), plane, mapping.externalPort, to: 0)
    mappings[Int(index)] = Mapping()
    mappings[Int(index)].next = free
    free = index
    count -= 1
  }

  private mutating func take() -> UInt32 {
    if free != 0 {
      let index = free
      free = mappings[Int(index)].next
      return index
    }
    unused += 1
    return unused - 1
  }

  // MARK: Choosing a port

  private static let evenPorts: UInt64 = 0x5555_5555_5555_5555
  private static let wordCount = 1024
  /// Ports below 1024 (RFC 4787, REQ-3).
  private static let wellKnownWords = 16

  private mutating func choose(_ slot: Int, _ plane: PortClaims.Plane, wanted: UInt16) -> UInt16? {
    if pool.isSet(slot: slot, plane: plane, port: wanted), use(slot, plane, wanted).pointee == 0 { return wanted }
    guard available[slot * 3 + plane.rawValue] > 0 else { return nil }
    let parity = wanted & 1 == 0 ? Self.evenPorts : ~Self.evenPorts
    let isWellKnown = wanted < 1024
    let own = isWellKnown ? 0..<Self.wellKnownWords : Self.wellKnownWords..<Self.wordCount
    let other = isWellKnown ? Self.wellKnownWords..<Self.wordCount : 0..<Self.wellKnownWords
    return search(slot, plane, own, parity) ?? search(slot, plane, own, ~parity)
      ?? search(slot, plane, other, parity) ?? search(slot, plane, other, ~parity)
  }

  private mutating func search(_ slot: Int, _ plane: PortClaims.Plane, _ words: Range<Int>, _ parity: UInt64) -> UInt16?
  {
    random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    let start = Int(random >> 33) % words.count
    for step in 0..<words.count {
      let index = words.lowerBound + (start + step) % words.count
      var candidates = pool.word(slot: slot, plane: plane, index: index) & parity
      while candidates != 0 {
        // From a random bit on, so that the next port cannot be foretold within a word either.
        let turn = UInt64(random >> 58)
        let turned = candidates >> turn | candidates << ((64 - turn) & 63)
        let bit = (UInt64(turned.trailingZeroBitCount) + turn) & 63
        let port = UInt16(index * 64) + UInt16(bit)
        if use(slot, plane, port).pointee == 0 { return port }
        candidates &= ~(1 << bit)
      }
    }
    return nil
  }

  // MARK: Published ports

  /// Marks ports as published, by `number`. They must be free, which is the caller's to see to.
  public mutating func publish(_ ports: ClosedRange<UInt16>, slot: Int, plane: PortClaims.Plane, number: UInt32) {
    for port in ports {
      setUse(slot, plane, port, to: number | Self.publicationBit)
    }
  }

  public mutating func unpublish(_ ports: ClosedRange<UInt16>, slot: Int, plane: PortClaims.Plane) {
    for port in ports where use(slot, plane, port).pointee & Self.publicationBit != 0 {
      setUse(slot, plane, port, to: 0)
    }
  }
}
