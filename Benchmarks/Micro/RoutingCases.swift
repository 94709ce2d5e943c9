import Datapath
import Tables
import Wire

private let frameCount = burstCount * burstsPerRun
private let stride = 128

/// Takes what the router decides, and does nothing.
private struct Discard: FrameOutput {
  var copies: UInt64 = 0

  @inline(__always)
  mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool) { copies &+= 1 }
}

/// A router with so many sessions of one mapping, and datagrams of as many of them as fit in a run, out or in, picked evenly.
private final class RoutedBursts {
  private static let gateway = MACAddress(bits: 0x02_00_00_00_01_01)
  private static let uplink = MACAddress(bits: 0x02_00_00_00_02_01)
  private static let inside = IPv4Address(bits: 0x0A01_0002)
  private static let external = IPv4Address(bits: 0xC000_0201)
  private static let nextHop = IPv4Address(bits: 0xC000_02FE)
  private static let remotes: UInt32 = 0x0B00_0000
  private static let port: UInt16 = 61_000

  var engine: Engine
  private let router: UnsafeMutablePointer<Router>
  let frames: UnsafeMutableBufferPointer<FrameDescriptor>
  private let memory: UnsafeMutableRawBufferPointer
  /// As the frames were before they were rewritten.
  private let image: UnsafeMutableRawBufferPointer

  init(sessions: Int, isInward: Bool) {
    engine = Engine(portCapacity: 64, networkCapacity: 1)
    engine.addNetwork(Network(NetworkOptions(), portCapacity: 64, seed: 42), at: 0)
    engine.addPort(0, to: 0, PortOptions())
    engine.addUplink(1)
    router = .allocate(capacity: 1)
    router.initialize(to: Router(portCapacity: 64, networkCapacity: 1, sessionCapacity: sessions + 1, seed: 7))
    engine.setRouter(router)
    engine.setGateway(GatewayOptions(mac: Self.gateway, addresses: [IPPrefix("10.1.0.1/24")!]), network: 0)
    _ = router.pointee.addHost(Self.inside.mapped, mac: MACAddress(bits: 2), port: 0, network: 0)
    let external = RouterExternal(slot: 0, address: Self.external.mapped)
    router.pointee.setUplink(
      RouterUplink(port: 1, mac: Self.uplink, mtu: 1500, externals: [external], ports: [Self.port...Self.port]),
      claims: PortClaims())
    _ = router.pointee.setRoutes(
      RoutingTable(
        [RoutingTable.Route(prefix: IPv4Address.any.mapped, length: 96, target: .uplink(gateway: Self.nextHop.mapped))],
        seed: 1))
    memory = .allocate(byteCount: frameCount * stride, alignment: 64)
    image = .allocate(byteCount: frameCount * stride, alignment: 64)
    frames = .allocate(capacity: frameCount)
    for index in 0..<frameCount {
      let start = memory.baseAddress! + index * stride
      frames.initializeElement(
        at: index, to: FrameDescriptor(start: start, length: 70, port: isInward ? 1 : 0, buffer: UInt16(index)))
    }
    begin(sessions)
    for index in 0..<frameCount { write(index, session: index * max(1, sessions / frameCount) % sessions, isInward) }
    image.copyMemory(from: UnsafeRawBufferPointer(memory))
  }

  deinit {
    router.deinitialize(count: 1)
    router.deallocate()
    memory.deallocate()
    image.deallocate()
    frames.deallocate()
  }

  /// Sends the first datagram of each session.
  private func begin(_ sessions: Int) {
    var output = Discard()
    for session in 0..<sessions {
      write(0, session: session, false)
      var frame = frames[0]
      frame.port = 0
      withUnsafePointer(to: &frame) {
        engine.process(UnsafeBufferPointer(start: $0, count: 1), now: 0, into: &output)
      }
      if session == 0 { router.pointee.setNeighbour(Self.nextHop.mapped, mac: MACAddress(bits: 3)) }
    }
    precondition(router.pointee.sessionCount == sessions)
  }

  private func write(_ index: Int, session: Int, _ isInward: Bool) {
    func octets(_ value: UInt64, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) }
    }
    let remote = UInt64(Self.remotes) + UInt64(session)
    let (source, destination) =
      isInward ? (remote, UInt64(Self.external.bits)) : (UInt64(Self.inside.bits), remote)
    let ports: [UInt8] = isInward ? [0, 53] + octets(UInt64(Self.port), 2) : octets(UInt64(Self.port), 2) + [0, 53]
    var header: [UInt8] =
      [0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0] + octets(source, 4) + octets(destination, 4)
    var sum = InternetChecksum()
    sum.add(header.span.bytes)
    header.replaceSubrange(10..<12, with: octets(UInt64(sum.value), 2))
    let bytes: [UInt8] =
      [1, 0, 0, 0, 0, 0, 34, 0, 6, 0] + octets(isInward ? Self.uplink.bits : Self.gateway.bits, 6)
      + [2, 0, 0, 0, 0, 9, 8, 0] + header + ports + [0, 26, 0, 0] + [UInt8](repeating: 0x5A, count: 18)
    frames[index].start.copyMemory(from: bytes, byteCount: bytes.count)
  }

  func restore() { memory.copyMemory(from: UnsafeRawBufferPointer(image)) }

  @inline(never)
  func process() -> UInt64 {
    var output = Discard()
    for burst in 0..<burstsPerRun {
      let part = UnsafeBufferPointer(
        rebasing: UnsafeBufferPointer(frames)[burst * burstCount..<(burst + 1) * burstCount])
      engine.process(part, now: 0, into: &output)
    }
    return output.copies
  }
}

private func routingCase(_ name: String, sessions: Int, isInward: Bool) -> MicroCase {
  // A million sessions would be begun under callgrind too.
  MicroCase(name, operations: frameCount, isCounted: sessions == 1) {
    RoutedBursts(sessions: sessions, isInward: isInward)
  } restore: {
    $0.restore()
  } body: {
    keep($0.process())
  }
}

var routingCases: [MicroCase] {
  [
    routingCase("route out, UDP, 1 session", sessions: 1, isInward: false),
    routingCase("route in, UDP, 1 session", sessions: 1, isInward: true),
    routingCase("route out, UDP, 1,000,000 sessions", sessions: 1_000_000, isInward: false),
    routingCase("route in, UDP, 1,000,000 sessions", sessions: 1_000_000, isInward: true),
  ]
}
