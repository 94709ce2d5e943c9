import Glibc
import Tables

/// An address inside, and where it is.
struct RouterHost: BitwiseCopyable {
  var address: UInt128 = 0
  var mac: UInt64 = 0
  var port: UInt16 = 0
  var network: UInt16 = 0
  /// Told by the control plane; others were seen as a source.
  var isConfigured = false
  /// Its own gateway is another host's: its answers come here only where they are sent to an address of ours.
  var isElsewhere = false
  /// Of the same chain; of the same port; 0: no more.
  var next: UInt32 = 0
  var nextOfPort: UInt32 = 0
}

/// The addresses inside, in fixed memory: they go with their port.
struct HostTable: ~Copyable {
  static let capacity = 65_536
  /// Addresses that were only seen as a source, at one port: a sender of many must not fill the table.
  static let seenMax: UInt16 = 64

  private let hosts: UnsafeMutablePointer<RouterHost>
  private let buckets: UnsafeMutablePointer<UInt32>
  private let ports: UnsafeMutablePointer<UInt32>
  /// By port, those that are not configured.
  private let seenCounts: UnsafeMutablePointer<UInt16>
  private let hash: KeyedHash
  private static let bucketMask: UInt64 = 131_071
  private var unused: UInt32 = 1
  private var free: UInt32 = 0

  init(portCapacity: Int, seed: UInt64) {
    hosts = zeroed(Self.capacity + 1)
    buckets = zeroed(Int(Self.bucketMask) + 1)
    ports = zeroed(portCapacity)
    seenCounts = zeroed(portCapacity)
    hash = KeyedHash(seed: seed)
  }

  deinit {
    Glibc.free(hosts)
    Glibc.free(buckets)
    Glibc.free(ports)
    Glibc.free(seenCounts)
  }

  subscript(index: UInt32) -> UnsafeMutablePointer<RouterHost> { hosts + Int(index) }

  private func bucket(_ address: UInt128) -> UnsafeMutablePointer<UInt32> {
    buckets + Int(truncatingIfNeeded: hash(address, 0) & Self.bucketMask)
  }

  /// 0: unknown.
  func find(_ address: UInt128) -> UInt32 {
    var index = bucket(address).pointee
    while index != 0 && hosts[Int(index)].address != address { index = hosts[Int(index)].next }
    return index
  }

  /// Adds an address that is not there; 0 where there is no room.
  mutating func insert(_ host: RouterHost) -> UInt32 {
    if !host.isConfigured {
      guard seenCounts[Int(host.port)] < Self.seenMax else { return 0 }
      seenCounts[Int(host.port)] += 1
    }
    var index = free
    if index != 0 {
      free = hosts[Int(index)].next
    } else if unused <= Self.capacity {
      index = unused
      unused += 1
    } else {
      if !host.isConfigured { seenCounts[Int(host.port)] -= 1 }
      return 0
    }
    let bucket = bucket(host.address)
    hosts[Int(index)] = host
    hosts[Int(index)].next = bucket.pointee
    bucket.pointee = index
    hosts[Int(index)].nextOfPort = ports[Int(host.port)]
    ports[Int(host.port)] = index
    return index
  }

  mutating func removeAll(port: UInt16) {
    while ports[Int(port)] != 0 {
      let index = ports[Int(port)]
      ports[Int(port)] = hosts[Int(index)].nextOfPort
      release(index)
    }
  }

  mutating func remove(_ index: UInt32) {
    let port = Int(hosts[Int(index)].port)
    if ports[port] == index {
      ports[port] = hosts[Int(index)].nextOfPort
    } else {
      var before = Int(ports[port])
      while hosts[before].nextOfPort != index { before = Int(hosts[before].nextOfPort) }
      hosts[before].nextOfPort = hosts[Int(index)].nextOfPort
    }
    release(index)
  }

  private mutating func release(_ index: UInt32) {
    if !hosts[Int(index)].isConfigured { seenCounts[Int(hosts[Int(index)].port)] -= 1 }
    let bucket = bucket(hosts[Int(index)].address)
    if bucket.pointee == index {
      bucket.pointee = hosts[Int(index)].next
    } else {
      var before = Int(bucket.pointee)
      while hosts[before].next != index { before = Int(hosts[before].next) }
      hosts[before].next = hosts[Int(index)].next
    }
    hosts[Int(index)] = RouterHost()
    hosts[Int(index)].next = free
    free = index
  }
}

/// A next hop on the uplink.
struct RouterNeighbour: BitwiseCopyable {
  var address: UInt128 = 0
  /// 0: not known.
  var mac: UInt64 = 0
  /// Seconds: when a packet went there last, and when it was asked for last.
  var lastUsed: UInt32 = 0
  var lastAsked: UInt32 = 0
  /// Frames that wait for the MAC, the oldest first.
  var waiting: UInt16 = HeldFrames.none
  var waitingCount: UInt16 = 0
  var next: UInt32 = 0
}

/// The next hops on the uplink, in fixed memory. When it is full the next in turn that nobody waits for makes room.
struct NeighbourTable: ~Copyable {
  static let capacity = 4096

  private let neighbours: UnsafeMutablePointer<RouterNeighbour>
  private let buckets: UnsafeMutablePointer<UInt32>
  private static let bucketMask: UInt64 = 8191
  private let hash: KeyedHash
  private(set) var count: UInt32 = 0
  private var turn: UInt32 = 0

  init(seed: UInt64) {
    neighbours = zeroed(Self.capacity + 1)
    buckets = zeroed(Int(Self.bucketMask) + 1)
    hash = KeyedHash(seed: seed)
  }

  deinit {
    free(neighbours)
    free(buckets)
  }

  subscript(index: UInt32) -> UnsafeMutablePointer<RouterNeighbour> { neighbours + Int(index) }

  private func bucket(_ address: UInt128) -> UnsafeMutablePointer<UInt32> {
    buckets + Int(truncatingIfNeeded: hash(address, 0) & Self.bucketMask)
  }

  /// 0: unknown.
  func find(_ address: UInt128) -> UInt32 {
    var index = bucket(address).pointee
    while index != 0 && neighbours[Int(index)].address != address { index = neighbours[Int(index)].next }
    return index
  }

  /// Adds an address that is not there.
  /// - Returns: 0 where frames wait for all; and whether another had to go, so that what remembers it must look anew.
  mutating func insert(_ address: UInt128) -> (index: UInt32, replaced: Bool) {
    var index: UInt32 = 0
    var replaced = false
    if count < Self.capacity {
      count += 1
      index = count
    } else {
      for _ in 0..<Self.capacity where index == 0 {
        turn = turn % UInt32(Self.capacity) + 1
        if neighbours[Int(turn)].waiting == HeldFrames.none { index = turn }
      }
      guard index != 0 else { return (0, false) }
      unchain(index)
      replaced = true
    }
    let bucket = bucket(address)
    neighbours[Int(index)] = RouterNeighbour()
    neighbours[Int(index)].address = address
    neighbours[Int(index)].next = bucket.pointee
    bucket.pointee = index
    return (index, replaced)
  }

  private func unchain(_ index: UInt32) {
    let bucket = bucket(neighbours[Int(index)].address)
    if bucket.pointee == index {
      bucket.pointee = neighbours[Int(index)].next
      return
    }
    var before = Int(bucket.pointee)
    while neighbours[before].next != index { before = Int(neighbours[before].next) }
    neighbours[before].next = neighbours[Int(index)].next
  }
}

/// Frames that a router keeps or makes itself, each in a place of its own, in fixed memory; and those that are to leave.
struct HeldFrames: ~Copyable {
  static let none = UInt16.max
  static let capacity = 256
  /// Of a frame with its virtio-net header: the largest MTU and its headers.
  static let frameBytesMax = 9216

  struct Place: BitwiseCopyable {
    var length: UInt32 = 0
    /// By which it is to leave; while it waits, the one it came in by.
    var port: UInt16 = 0
    var next: UInt16 = 0
    /// Seconds, since when it is held.
    var since: UInt32 = 0
  }

  private let memory: UnsafeMutableRawPointer
  let places: UnsafeMutablePointer<Place>
  private var free: UInt16
  /// Places whose frames are to leave, the oldest first.
  private let leaving: UnsafeMutablePointer<UInt16>
  private var leavingHead = 0
  private(set) var leavingCount = 0

  init() {
    memory = UnsafeMutableRawPointer(zeroed(Self.capacity * Self.frameBytesMax) as UnsafeMutablePointer<UInt8>)
    places = zeroed(Self.capacity)
    leaving = zeroed(Self.capacity)
    for index in 0..<Self.capacity { places[index].next = UInt16(index + 1) }
    places[Self.capacity - 1].next = Self.none
    free = 0
  }

  deinit {
    Glibc.free(memory)
    Glibc.free(places)
    Glibc.free(leaving)
  }

  func start(_ place: UInt16) -> UnsafeMutableRawPointer { memory + Int(place) * Self.frameBytesMax }

  /// A place, or `none`.
  mutating func take() -> UInt16 {
    let place = free
    if place != Self.none { free = places[Int(place)].next }
    return place
  }

  mutating func giveBack(_ place: UInt16) {
    places[Int(place)].next = free
    free = place
  }

  /// A copy of a frame, or `none` where it is too long or no place is left.
  mutating func keep(_ frame: FrameDescriptor, now: UInt32) -> UInt16 {
    guard frame.length <= Self.frameBytesMax else { return Self.none }
    let place = take()
    guard place != Self.none else { return place }
    start(place).copyMemory(from: frame.start, byteCount: Int(frame.length))
    places[Int(place)] = Place(length: frame.length, port: frame.port, next: Self.none, since: now)
    return place
  }

  /// The frame in that place is to leave by `port`; there is always room.
  mutating func leave(_ place: UInt16, by port: UInt16) {
    places[Int(place)].port = port
    leaving[(leavingHead + leavingCount) % Self.capacity] = place
    leavingCount += 1
  }

  /// The next frame that is to leave; the caller gives its place back.
  mutating func nextLeaving() -> UInt16? {
    guard leavingCount > 0 else { return nil }
    let place = leaving[leavingHead]
    leavingHead = (leavingHead + 1) % Self.capacity
    leavingCount -= 1
    return place
  }
}
