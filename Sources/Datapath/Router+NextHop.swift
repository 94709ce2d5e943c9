import Tables
import Wire

// To whom a packet that leaves by the uplink is addressed. The kernel resolves neighbours, the control plane tells what it
// says; meanwhile a few frames are held for each, as the kernel does.
extension Router {
  static let wantedCapacity = 64
  /// Frames that wait for one neighbour, and for how long, in seconds.
  static let waitingMax: UInt16 = 32
  static let waitingSeconds: UInt32 = 3
  /// A neighbour in use is asked for again after so many seconds, so that the kernel sees to it that it is still there.
  static let refreshSeconds: UInt32 = 15

  /// The least that IPv4 asks of a link (RFC 791), whatever a route says: a packet can always be cut to it.
  static let pathMTUMin = 68

  /// `nextHop` of a session whose far end is an external address of our own, or a service's.
  static let hairpin = UInt32.max

  /// Where a destination is reached: a neighbour's number, `hairpin`, or a reason why not.
  enum Step {
    case neighbour(UInt32, mtu: Int)
    case hairpin
    case host
    case drop(DropReason)
  }

  mutating func step(to destination: UInt128) -> Step {
    if slot(of: destination) != nil || isServing(destination) { return .hairpin }
    guard uplink.port != Engine.none, let route = routes.lookup(destination) else { return .drop(.noRoute) }
    switch route.kind {
    case .host: return .host
    case .unreachable: return .drop(.noRoute)
    case .uplink:
      let address = route.gateway == 0 ? destination : route.gateway
      var neighbour = neighbours.find(address)
      if neighbour == 0 {
        let (index, replaced) = neighbours.insert(address)
        guard index != 0 else { return .drop(.neighbourUnresolved) }
        if replaced { generation &+= 1 }
        neighbour = index
      }
      return .neighbour(neighbour, mtu: max(Self.pathMTUMin, route.mtu == 0 ? uplink.mtu : Int(route.mtu)))
    }
  }

  /// Addresses a frame that is otherwise ready to leave by the uplink to a neighbour, or holds it until its MAC is known.
  mutating func send(_ frame: FrameDescriptor, to index: UInt32, now: UInt32) -> RoutingVerdict {
    let neighbour = neighbours[index]
    neighbour.pointee.lastUsed = now
    if neighbour.pointee.mac != 0 {
      frame.setAddresses(to: neighbour.pointee.mac, from: uplink.mac)
      return .forward(uplink.port)
    }
    want(index, now: now)
    guard neighbour.pointee.waitingCount < Self.waitingMax else { return .drop(.neighbourUnresolved) }
    frame.setAddresses(to: 0, from: uplink.mac)
    let place = held.keep(frame, now: now)
    guard place != HeldFrames.none else { return .drop(.neighbourUnresolved) }
    append(place, to: neighbour)
    return .held
  }

  private mutating func append(_ place: UInt16, to neighbour: UnsafeMutablePointer<RouterNeighbour>) {
    neighbour.pointee.waitingCount += 1
    guard neighbour.pointee.waiting != HeldFrames.none else {
      neighbour.pointee.waiting = place
      return
    }
    var last = neighbour.pointee.waiting
    while held.places[Int(last)].next != HeldFrames.none { last = held.places[Int(last)].next }
    held.places[Int(last)].next = place
  }

  private mutating func want(_ index: UInt32, now: UInt32) {
    let neighbour = neighbours[index]
    guard neighbour.pointee.lastAsked != now, wantedCount < Self.wantedCapacity else { return }
    neighbour.pointee.lastAsked = now
    wanted[wantedCount] = neighbour.pointee.address
    wantedCount += 1
  }

  /// Next hops whose MAC addresses are wanted since the last call, or are to be seen after.
  public mutating func takeWanted(_ body: (UInt128) -> Void) {
    for index in 0..<wantedCount { body(wanted[index]) }
    wantedCount = 0
  }

  /// What is known of a neighbour on the uplink. Frames that waited for it leave, or where nobody answers are lost.
  public mutating func setNeighbour(_ address: UInt128, mac: MACAddress?) {
    let index = neighbours.find(address)
    guard index != 0 else { return }
    let neighbour = neighbours[index]
    neighbour.pointee.mac = mac?.bits ?? 0
    var place = neighbour.pointee.waiting
    neighbour.pointee.waiting = HeldFrames.none
    neighbour.pointee.waitingCount = 0
    while place != HeldFrames.none {
      let next = held.places[Int(place)].next
      if let mac {
        FrameDescriptor(start: held.start(place), length: 0, port: 0, buffer: 0)
          .setAddresses(to: mac.bits, from: uplink.mac)
        held.leave(place, by: uplink.port)
      } else {
        held.giveBack(place)
        lostUnresolved += 1
      }
      place = next
    }
  }

  /// The uplink is gone: another may have other neighbours at the same addresses.
  mutating func forgetNeighbours() {
    guard neighbours.count > 0 else { return }
    for index in 1...neighbours.count { setNeighbour(neighbours[index].pointee.address, mac: nil) }
  }

  mutating func expireHeld(now: UInt32) {
    guard neighbours.count > 0 else { return }
    for index in 1...neighbours.count {
      let neighbour = neighbours[index]
      let first = neighbour.pointee.waiting
      guard first != HeldFrames.none, now &- held.places[Int(first)].since > Self.waitingSeconds else { continue }
      setNeighbour(neighbour.pointee.address, mac: nil)
    }
  }

  mutating func refreshNeighbours(now: UInt32) {
    guard neighbours.count > 0 else { return }
    for index in 1...neighbours.count {
      let neighbour = neighbours[index]
      let isUsed = now &- neighbour.pointee.lastUsed < Self.refreshSeconds
      if isUsed && now &- neighbour.pointee.lastAsked >= Self.refreshSeconds { want(index, now: now) }
    }
  }

  /// The next frame of the router's own, or one that waited, by the port it is to leave by. It goes back with `giveBack`.
  public mutating func nextLeaving() -> (frame: FrameDescriptor, place: UInt16)? {
    guard let place = held.nextLeaving() else { return nil }
    let entry = held.places[Int(place)]
    return (FrameDescriptor(start: held.start(place), length: entry.length, port: entry.port, buffer: 0), place)
  }

  public mutating func giveBack(_ place: UInt16) { held.giveBack(place) }
}

extension FrameDescriptor {
  /// Where the IP header of a frame without tags begins.
  @inline(__always)
  var packetStart: UnsafeMutableRawPointer { start + (Engine.headerLength + Engine.ethernetHeaderLength) }

  /// Sets both addresses of the Ethernet header.
  @inline(__always)
  func setAddresses(to destination: UInt64, from source: UInt64) {
    let ethernet = start + Engine.headerLength
    let high = destination << 16 | source >> 32
    ethernet.storeBytes(of: high.bigEndian, as: UInt64.self)
    ethernet.storeBytes(of: UInt32(truncatingIfNeeded: source).bigEndian, toByteOffset: 8, as: UInt32.self)
  }
}
