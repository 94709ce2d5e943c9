import Tables
import Wire

@testable import Datapath

/// An engine with a router between two networks and an uplink, whose ports are lists in memory.
///
/// Network 0, 10.1.0.0/24 and fd01::/64: endpoints at ports 0 (10.1.0.2, fd01::2) and 1 (10.1.0.3), the host's port 3. Network 1,
/// 10.2.0.0/24: an endpoint at port 2 (10.2.0.2). The uplink is port 4, 192.0.2.1 and 2001:db8::1; the way out is by 192.0.2.254
/// and 2001:db8::254.
final class RouterBed {
  static let gatewayMAC: UInt64 = 0x02_00_00_00_01_01
  static let otherGatewayMAC: UInt64 = 0x02_00_00_00_01_02
  static let uplinkMAC: UInt64 = 0x02_00_00_00_02_01
  static let routerMAC: UInt64 = 0x02_00_00_00_02_FE
  static let external = "192.0.2.1"
  static let external6 = "2001:db8::1"
  static let remote = "203.0.113.5"
  static let hostPort: UInt16 = 3
  static let uplinkPort: UInt16 = 4
  static let ports: ClosedRange<UInt16> = 61_000...61_999

  var engine: Engine
  var output = MemorySwitch.Output()
  let router: UnsafeMutablePointer<Router>
  let claims = PortClaims()
  var now: UInt32 = 1000

  init(sessions: Int = 1000, network: GatewayOptions? = nil) {
    engine = Engine(portCapacity: 16, networkCapacity: 4)
    router = .allocate(capacity: 1)
    router.initialize(to: Router(portCapacity: 16, networkCapacity: 4, sessionCapacity: sessions, seed: 7))
    engine.setRouter(router)
    for index in 0..<2 {
      engine.addNetwork(Network(NetworkOptions(), portCapacity: 16, seed: 1), at: UInt16(index))
    }
    for port: UInt16 in [0, 1, Self.hostPort] { engine.addPort(port, to: 0, PortOptions()) }
    engine.addPort(2, to: 1, PortOptions())
    engine.addUplink(Self.uplinkPort)
    let first = network ?? Self.gateway()
    engine.setGateway(first, network: 0)
    engine.setGateway(
      GatewayOptions(mac: MACAddress(bits: Self.otherGatewayMAC), addresses: [IPPrefix("10.2.0.1/24")!]), network: 1)
    for (address, port, network) in [("10.1.0.2", 0, 0), ("fd01::2", 0, 0), ("10.1.0.3", 1, 0), ("10.2.0.2", 2, 1)] {
      precondition(
        router.pointee.addHost(
          IPAddress(address)!.mapped, mac: MACAddress(bits: host(port + 1)), port: UInt16(port),
          network: UInt16(network)))
    }
    setUplink()
    setRoutes()
    resolve()
  }

  deinit {
    router.deinitialize(count: 1)
    router.deallocate()
  }

  static func gateway(
    translatesIPv4: Bool = true, translatesIPv6: Bool = false, isOpen: Bool = false, mtu: Int = 1500
  ) -> GatewayOptions {
    GatewayOptions(
      mac: MACAddress(bits: gatewayMAC), port: hostPort, mtu: mtu,
      addresses: [IPPrefix("10.1.0.1/24")!, IPPrefix("fd01::1/64")!], translatesIPv4: translatesIPv4,
      translatesIPv6: translatesIPv6, isOpen: isOpen)
  }

  func setUplink(addresses: [String] = [RouterBed.external, RouterBed.external6], mtu: Int = 1500) {
    let externals = addresses.enumerated().map { RouterExternal(slot: $0, address: IPAddress($1)!.mapped) }
    router.pointee.setUplink(
      RouterUplink(
        port: Self.uplinkPort, mac: MACAddress(bits: Self.uplinkMAC), mtu: mtu, externals: externals,
        ports: [Self.ports]), claims: claims)
  }

  func setRoutes(mtu: Int = 0) {
    func route(_ prefix: String, _ target: RoutingTable.Target) -> RoutingTable.Route {
      let prefix = IPPrefix(prefix)!
      return RoutingTable.Route(
        prefix: prefix.first.mapped, length: prefix.length + (prefix.isIPv6 ? 0 : 96), target: target, mtu: mtu)
    }
    func address(_ text: String) -> UInt128 { IPAddress(text)!.mapped }
    _ = router.pointee.setRoutes(
      RoutingTable(
        [
          route("0.0.0.0/0", .uplink(gateway: address("192.0.2.254"))), route("192.0.2.0/24", .uplink(gateway: nil)),
          route("192.0.2.1/32", .host), route("198.51.100.0/24", .unreachable), route("10.9.9.9/32", .host),
          route("::/0", .uplink(gateway: address("2001:db8::254"))), route("2001:db8::1/128", .host),
        ], seed: 3))
  }

  /// The gateways outside are known.
  func resolve() {
    for (address, next) in [(Self.remote, "192.0.2.254"), ("2001:db8:9::1", "2001:db8::254")] {
      _ = router.pointee.step(to: IPAddress(address)!.mapped)
      router.pointee.setNeighbour(IPAddress(next)!.mapped, mac: MACAddress(bits: Self.routerMAC))
    }
  }

  func publish(
    _ ports: ClosedRange<UInt16>, _ protocol: UInt8, to address: String, _ port: UInt16, at host: String? = nil
  ) -> Bool {
    router.pointee.publish(
      protocol: `protocol`, hostAddress: host.map { IPAddress($0)!.mapped } ?? 0, hostPorts: ports,
      address: IPAddress(address)!.mapped, firstPort: port)
  }

  /// One frame in by a port; what goes out of it.
  func send(
    _ packet: IPPacket, at port: UInt16, header: VirtioNetHeader = VirtioNetHeader()
  ) -> [MemorySwitch.Sent] {
    output.sent = []
    let count = Engine.headerLength + packet.bytes.count
    // To the byte, so that a sanitizer sees a read beyond the frame.
    let start = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 1)
    defer { start.deallocate() }
    header.store(to: start)
    packet.bytes.withUnsafeBytes {
      (start + Engine.headerLength).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
    }
    var frame = FrameDescriptor(start: start, length: UInt32(count), port: port, buffer: 0)
    withUnsafePointer(to: &frame) {
      engine.process(UnsafeBufferPointer(start: $0, count: 1), now: now, into: &output)
    }
    return output.sent
  }

  /// The one packet that goes out by the uplink for a frame in; nil where it is another port, or more or fewer.
  func out(_ packet: IPPacket, at port: UInt16 = 0) -> IPPacket? {
    let sent = send(packet, at: port)
    return sent.count == 1 && sent[0].port == Self.uplinkPort ? IPPacket(bytes: sent[0].bytes) : nil
  }

  /// The one packet that comes to `port` for a frame in by the uplink.
  func into(_ port: UInt16, _ packet: IPPacket) -> IPPacket? {
    let sent = send(packet, at: Self.uplinkPort)
    return sent.count == 1 && sent[0].port == port ? IPPacket(bytes: sent[0].bytes) : nil
  }

  func drops(_ reason: DropReason, at port: UInt16) -> UInt64 {
    engine.portCounterHandle[Int(port) * PortCounter.count + PortCounter.drops.rawValue + Int(reason.rawValue)]
  }

  func pass(seconds: UInt32) {
    now += seconds
    engine.tickRouter(now: now)
  }
}

let outside = (to: RouterBed.uplinkMAC, from: RouterBed.routerMAC)

extension RouterBed {
  /// Service 1, of network 0.
  func serve(_ members: [String], virtual address: String? = ServiceTests.virtual) -> Bool {
    var table: MaglevTable? = MaglevTable(members.map { IPAddress($0)!.mapped })
    return router.pointee.setService(
      1, network: 0, virtualAddress: address.map { IPAddress($0)!.mapped } ?? 0, seed: 5, &table)
  }
}
