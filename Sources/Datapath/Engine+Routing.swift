import Tables
import Wire

/// How a network is routed, for `Engine.setGateway`.
public struct GatewayOptions: Sendable, Equatable {
  public var mac: MACAddress
  /// Of the host's interface on the network; `Engine.none`: there is none.
  public var port: UInt16
  /// Bytes of an IP packet.
  public var mtu: Int
  /// With the subnet's length, at most one a family.
  public var addresses: [IPPrefix]
  /// Sources are translated to an external address on the way out.
  public var translatesIPv4: Bool
  public var translatesIPv6: Bool
  /// Its addresses can be reached from outside as they are.
  public var isOpen: Bool
  /// External addresses to be translated to, at most one a family; without, the first of the family.
  public var outbound: [IPAddress]
  /// Of its IPv6 subnet, in place of any other translation (RFC 6296).
  public var prefixTranslation: PrefixTranslation?
  /// Sources of flows to members of services, at most one a family: of the subnet, this host's alone, and answered for with the
  /// gateway's MAC address.
  public var meshAddresses: [IPAddress]

  public init(
    mac: MACAddress, port: UInt16 = Engine.none, mtu: Int = 1500, addresses: [IPPrefix], translatesIPv4: Bool = true,
    translatesIPv6: Bool = false, isOpen: Bool = false, outbound: [IPAddress] = [],
    prefixTranslation: PrefixTranslation? = nil, meshAddresses: [IPAddress] = []
  ) {
    (self.mac, self.port, self.mtu, self.addresses) = (mac, port, mtu, addresses)
    (self.translatesIPv4, self.translatesIPv6) = (translatesIPv4, translatesIPv6)
    (self.isOpen, self.outbound, self.prefixTranslation) = (isOpen, outbound, prefixTranslation)
    self.meshAddresses = meshAddresses
  }
}

// What the router decides, carried out and counted. A frame that the router takes out of a network counts as `routedOut`
// there, one that it puts into a network as `routedIn`; one that comes back into its own network is neither.
extension Engine {
  // MARK: Frames

  @inlinable
  @inline(never)
  mutating func routeOutward<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, network: Int, now: UInt32, into output: inout Output
  ) {
    guard router != nil else {
      if !output.handToRouter(frame) { countDrop(.routerQueueFull, of: frame) }
      return
    }
    carryOut(outwardVerdict(frame, network: network, now: now), frame, from: network, into: &output)
  }

  @inlinable
  @inline(never)
  mutating func routeInward<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, now: UInt32, into output: inout Output
  ) {
    let base = Int(frame.port) &* PortCounter.count
    portCounters.handle.add(base &+ PortCounter.rxFrames.rawValue)
    portCounters.handle.add(
      base &+ PortCounter.rxBytes.rawValue, UInt64(max(0, Int(frame.length) &- Self.headerLength)))
    carryOut(inwardVerdict(frame, now: now), frame, from: Int(Self.none), into: &output)
  }

  /// Frames that other workers have received and handed over, in order.
  @inlinable
  public mutating func processHandedOver<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, now: UInt32, into output: inout Output
  ) {
    let network = ports[Int(frame.port)].network
    guard network != Self.none, router != nil else { return }
    guard isObserved else { return routeHandedOver(frame, network: Int(network), now: now, into: &output) }
    mirrors.beginBurst()
    mirrors.beginFrame()
    lastDrop = nil
    observing(&output) {
      $0.routeHandedOver(frame, network: Int(network), now: now, into: &$1)
      $0.endObserving(frame, into: &$1)
    }
  }

  @inlinable
  mutating func routeHandedOver<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, network: Int, now: UInt32, into output: inout Output
  ) {
    carryOut(outwardVerdict(frame, network: network, now: now), frame, from: network, into: &output)
  }

  // Mutating, what is called and not inlined: of a value that is being changed the compiler hands such a call a copy, all of
  // the engine, for each frame.

  @usableFromInline
  mutating func outwardVerdict(_ frame: FrameDescriptor, network: Int, now: UInt32) -> RoutingVerdict {
    router!.pointee.fromNetwork(frame, network: network, now: now)
  }

  @usableFromInline
  mutating func inwardVerdict(_ frame: FrameDescriptor, now: UInt32) -> RoutingVerdict {
    guard let router, Int(frame.length) >= Self.headerLength + Self.ethernetHeaderLength else { return .drop(.runt) }
    return router.pointee.fromUplink(frame, now: now)
  }

  @inlinable
  mutating func carryOut<Output: FrameOutput & ~Copyable>(
    _ verdict: RoutingVerdict, _ frame: FrameDescriptor, from network: Int, into output: inout Output
  ) {
    switch verdict {
    case .forward(let port):
      countRouted(from: network, to: port)
      output.transmitRouted(frame, to: port)
    case .held: countRouted(from: network, to: Self.none)
    case .drop(let reason): countDrop(reason, of: frame)
    }
    sendAllLeaving(into: &output)
  }

  /// Sends what the router has made, or held until now.
  @inlinable
  public mutating func sendLeaving<Output: FrameOutput & ~Copyable>(into output: inout Output) {
    guard isObserved else { return sendAllLeaving(into: &output) }
    mirrors.beginBurst()
    observing(&output) { $0.sendAllLeaving(into: &$1) }
  }

  @inlinable
  mutating func sendAllLeaving<Output: FrameOutput & ~Copyable>(into output: inout Output) {
    while let (frame, place) = nextLeaving() {
      countRouted(from: Int(Self.none), to: frame.port)
      if !output.transmitCopy(of: frame, to: frame.port) { countDrop(.queueFull, at: frame.port) }
      router!.pointee.giveBack(place)
    }
  }

  @usableFromInline
  mutating func nextLeaving() -> (frame: FrameDescriptor, place: UInt16)? { router?.pointee.nextLeaving() }

  @usableFromInline
  mutating func countRouted(from network: Int, to port: UInt16) {
    let target = port == Self.none ? Int(Self.none) : Int(ports[Int(port)].network)
    guard target != network else { return }
    let counters = networkCounters.handle
    if network != Int(Self.none) {
      counters.add(network &* NetworkCounter.count &+ NetworkCounter.routedOut.rawValue)
    }
    if target != Int(Self.none) {
      counters.add(target &* NetworkCounter.count &+ NetworkCounter.routedIn.rawValue)
    }
  }

  @usableFromInline
  mutating func countDrop(_ reason: DropReason, at port: UInt16) {
    portCounters.handle.add(Int(port) &* PortCounter.count &+ PortCounter.drops.rawValue &+ Int(reason.rawValue))
  }

  // MARK: What the control plane changes

  /// Gives this engine the router, or takes it away. Its owner is whoever made it.
  public mutating func setRouter(_ router: UnsafeMutablePointer<Router>?) { self.router = router }

  /// Takes the index as the uplink's port.
  public mutating func addUplink(_ index: UInt16) {
    precondition(!ports[Int(index)].isTaken)
    ports[Int(index)] = Port()
    ports[Int(index)].isTaken = true
    ports[Int(index)].isUplink = true
  }

  /// From here on IP packets to the gateway's MAC address are the router's, or with nil are frames as any other.
  public mutating func setGateway(_ options: GatewayOptions?, network: UInt16) {
    precondition(isNetwork[Int(network)])
    networks[Int(network)].routedMAC = options?.mac.bits ?? 0
    router?.pointee.setGateway(options.map(Gateway.init), network: network)
  }

  /// Once a second.
  public mutating func tickRouter(now: UInt32) {
    guard let router else { return }
    router.pointee.tick(now: now)
    let port = router.pointee.uplink.port
    guard port != Self.none else { return }
    let base = Int(port) * PortCounter.count + PortCounter.drops.rawValue
    let lost = router.pointee.takeLost()
    portCounters.handle.add(base + Int(DropReason.neighbourUnresolved.rawValue), lost.unresolved)
    portCounters.handle.add(base + Int(DropReason.fragmentRefused.rawValue), lost.fragments)
  }
}

extension Gateway {
  fileprivate init(_ options: GatewayOptions) {
    self.init()
    isRouted = true
    mac = options.mac.bits
    port = options.port
    mtu = UInt16(clamping: options.mtu)
    (translatesIPv4, translatesIPv6, isOpen) = (options.translatesIPv4, options.translatesIPv6, options.isOpen)
    prefixTranslation = options.prefixTranslation
    if prefixTranslation != nil { translatesIPv6 = false }
    for prefix in options.addresses {
      if prefix.isIPv6 {
        (address6, length6) = (prefix.address.mapped, UInt8(prefix.length))
      } else {
        (address4, length4) = (prefix.address.mapped, UInt8(prefix.length + 96))
      }
    }
    for address in options.outbound {
      if address.isIPv6 { outbound6 = address.mapped } else { outbound4 = address.mapped }
    }
    for address in options.meshAddresses {
      if address.isIPv6 { mesh6 = address.mapped } else { mesh4 = address.mapped }
    }
  }
}
