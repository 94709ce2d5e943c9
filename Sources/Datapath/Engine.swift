import Tables
import Wire

/// Where the engine sends what it decided. Called once for each copy that is to leave, in the order of the frames.
public protocol FrameOutput: ~Copyable {
  /// - Parameter isOnlyCopy: no other port gets the frame, so its bytes are the output's to change.
  mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool)
  /// As the only copy, by a queue of this worker: what answers it is to come back here.
  mutating func transmitRouted(_ frame: FrameDescriptor, to port: UInt16)
  /// A frame that does not lie in a buffer of the burst: its bytes are the caller's again after the call.
  /// - Returns: false where there was no room for it.
  mutating func transmitCopy(of frame: FrameDescriptor, to port: UInt16) -> Bool
  /// As it is now, beside what else becomes of it: its bytes are the caller's again after the call.
  /// - Returns: false where there was no room for it.
  mutating func transmitMirrored(_ frame: FrameDescriptor, to port: UInt16) -> Bool
  /// Hands a frame to the worker that has the router.
  /// - Returns: false where there was no room for it.
  mutating func handToRouter(_ frame: FrameDescriptor) -> Bool

  /// Somebody watches: it is told of frames that come in, and of those that are dropped.
  static var isObserved: Bool { get }
  mutating func begin(_ frame: FrameDescriptor)
  mutating func end(_ frame: FrameDescriptor, _ reason: DropReason)
}

extension FrameOutput where Self: ~Copyable {
  @inlinable
  public mutating func transmitRouted(_ frame: FrameDescriptor, to port: UInt16) {
    transmit(frame, to: port, isOnlyCopy: true)
  }

  @inlinable
  public mutating func transmitCopy(of frame: FrameDescriptor, to port: UInt16) -> Bool {
    transmit(frame, to: port, isOnlyCopy: true)
    return true
  }

  @inlinable
  public mutating func transmitMirrored(_ frame: FrameDescriptor, to port: UInt16) -> Bool {
    transmitCopy(of: frame, to: port)
  }

  @inlinable
  public mutating func handToRouter(_ frame: FrameDescriptor) -> Bool { false }

  @inlinable public static var isObserved: Bool { false }
  @inlinable
  public mutating func begin(_ frame: FrameDescriptor) {}
  @inlinable
  public mutating func end(_ frame: FrameDescriptor, _ reason: DropReason) {}
}

/// The forwarding engine: a burst of frames in, copies to ports out.
///
/// It holds the networks and ports of one worker, and makes no system call, reads no clock, starts no thread and takes no
/// lock: it gets bytes and `now`. Frames of different networks may come mixed; their order is kept. Every frame that comes in
/// is counted in, and either handed to the output (once a copy) or counted at a `DropReason`:
///
///     received + floodedCopies + routedIn = handed to the output + dropped here + routedOut
public struct Engine: ~Copyable {
  /// No network, no port.
  public static let none = UInt16.max
  /// Bytes of the virtio-net header before each frame.
  public static let headerLength = VirtioNetHeader.length
  /// Bytes of an Ethernet header without tags (IEEE 802.3, 3.1.1).
  public static let ethernetHeaderLength = 14

  public let portCapacity: Int
  public let networkCapacity: Int
  @usableFromInline let ports: UnsafeMutablePointer<Port>
  /// Initialized only where `isNetwork` says so.
  @usableFromInline let networks: UnsafeMutablePointer<Network>
  let isNetwork: UnsafeMutablePointer<Bool>
  @usableFromInline let portCounters: CounterBlock
  @usableFromInline let networkCounters: CounterBlock
  @usableFromInline let learned: LearnedAddresses
  @usableFromInline var remotes: RemoteTable
  @usableFromInline var answers: NeighbourAnswers
  @usableFromInline let policyBurst = PolicyBurst()
  /// Of the monotonic clock, at the begin of the burst; for policies.
  public var nanoseconds: UInt64 = 0
  var tooBigBudget = ICMPErrorBudget()
  let dropLog = DropLog()
  /// Of this burst.
  @usableFromInline var dropsToLog: UInt8 = 0
  /// Why the last frame that was dropped was; for who watches each.
  @usableFromInline var lastDrop: DropReason?
  /// nil: nobody watches.
  @usableFromInline var tap: FrameTap?
  @usableFromInline let mirrors = MirrorTable()
  @usableFromInline var isObserved = false
  /// nil: another worker has it, or nobody.
  public internal(set) var router: UnsafeMutablePointer<Router>?

  /// - Parameters:
  ///   - portCapacity: below `none`.
  ///   - networkCapacity: below `none`.
  ///   - learnedCapacity: addresses noted until `takeLearned`; 0 where this is the only engine.
  ///   - seed: a secret for hashes.
  public init(portCapacity: Int, networkCapacity: Int, learnedCapacity: Int = 0, seed: UInt64 = 0) {
    precondition(portCapacity < Int(Self.none) && networkCapacity < Int(Self.none))
    self.portCapacity = portCapacity
    self.networkCapacity = networkCapacity
    ports = .allocate(capacity: portCapacity)
    ports.initialize(repeating: Port(), count: portCapacity)
    networks = .allocate(capacity: networkCapacity)
    isNetwork = .allocate(capacity: networkCapacity)
    isNetwork.initialize(repeating: false, count: networkCapacity)
    portCounters = CounterBlock(count: portCapacity * PortCounter.count)
    networkCounters = CounterBlock(count: networkCapacity * NetworkCounter.count)
    learned = LearnedAddresses(capacity: learnedCapacity)
    remotes = RemoteTable(portCapacity: portCapacity, seed: seed)
    answers = NeighbourAnswers(seed: seed &+ 1)
  }

  deinit {
    for index in 0..<networkCapacity where isNetwork[index] { (networks + index).deinitialize(count: 1) }
    ports.deallocate()
    networks.deallocate()
    isNetwork.deallocate()
    learned.deallocate()
    policyBurst.deallocate()
    dropLog.deallocate()
    mirrors.deallocate()
  }

  /// Readable by any thread; `port * PortCounter.count + counter`.
  public var portCounterHandle: CounterHandle { portCounters.handle }

  /// Readable by any thread; `network * NetworkCounter.count + counter`.
  public var networkCounterHandle: CounterHandle { networkCounters.handle }

  /// Decides on every frame of the burst, in order. Frames of ports that have been detached are passed over.
  /// - Parameter now: seconds of a monotonic clock.
  @inlinable
  public mutating func process<Output: FrameOutput & ~Copyable>(
    _ burst: UnsafeBufferPointer<FrameDescriptor>, now: UInt32, into output: inout Output
  ) {
    dropsToLog = DropLog.perBurstMax
    if isObserved {
      processObserved(burst, now: now, into: &output)
    } else {
      processBurst(burst, now: now, into: &output)
    }
  }

  @inlinable
  @inline(__always)
  mutating func processBurst<Output: FrameOutput & ~Copyable>(
    _ burst: UnsafeBufferPointer<FrameDescriptor>, now: UInt32, into output: inout Output
  ) {
    var start = 0
    while start < burst.count {
      let network = ports[Int(burst[start].port)].network
      var end = start &+ 1
      if network == Self.none {
        // One at a time: the next may be of another port without a network.
        if ports[Int(burst[start].port)].isCarrier {
          receiveTunnelled(burst[start], now: now, into: &output)
        } else if ports[Int(burst[start].port)].isUplink {
          routeInward(burst[start], now: now, into: &output)
        }
      } else {
        while end < burst.count && ports[Int(burst[end].port)].network == network { end &+= 1 }
        let frames = UnsafeBufferPointer(rebasing: burst[start..<end])
        forward(frames, network: Int(network), now: now, into: &output)
      }
      start = end
    }
  }

  /// - Parameter frames: of ports of the network.
  @inlinable
  @inline(__always)
  mutating func forward<Output: FrameOutput & ~Copyable>(
    _ frames: UnsafeBufferPointer<FrameDescriptor>, network: Int, now: UInt32, into output: inout Output
  ) {
    if !networks[network].isPlain {
      runSpecial(frames, network: network, now: now, into: &output)
    } else if networks[network].separatedCount == 0 {
      run(LearningSwitch(), frames, network: network, now: now, into: &output)
    } else {
      run(SeparatedPorts(), frames, network: network, now: now, into: &output)
    }
  }

  /// Sends a frame of the switch's own into the network as if `frame.port` had sent it. Not counted as received; every copy
  /// counts as made by flooding.
  @inlinable
  public mutating func inject<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, now: UInt32, into output: inout Output
  ) {
    guard isObserved else { return injectFrame(frame, now: now, into: &output) }
    mirrors.beginBurst()
    mirrors.beginFrame()
    observing(&output) { $0.injectFrame(frame, now: now, into: &$1) }
  }

  @inlinable
  mutating func injectFrame<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, now: UInt32, into output: inout Output
  ) {
    let index = ports[Int(frame.port)].network
    guard index != Self.none, Int(frame.length) >= Self.headerLength + Self.ethernetHeaderLength else { return }
    var view = view(of: Int(index), now: now)
    let copies: Int
    switch decide(Self.view(frame), &view, networks[Int(index)].forwarding) {
    case .forward(let port):
      output.transmit(frame, to: port, isOnlyCopy: true)
      copies = 1
    case .flood, .floodSeparated:
      copies = flood(frame, network: Int(index), beyond: ports[Int(frame.port)].separation, into: &output)
    case .floodBeside, .targets, .drop: copies = 0
    }
    networkCounters.handle.add(
      Int(index) &* NetworkCounter.count &+ NetworkCounter.floodedCopies.rawValue, UInt64(copies))
  }

  /// For frames that are few.
  @inlinable
  func decide(_ frame: borrowing Frame, _ view: inout NetworkView, _ forwarding: Forwarding) -> Verdict {
    switch forwarding {
    case .learning: LearningSwitch().decide(frame, &view)
    case .endpointMACs: MACEndpoints().decide(frame, &view)
    case .reflected: VEPA().decide(frame, &view)
    case .passThrough: PassThrough().decide(frame, &view)
    case .sharedMAC: SharedMAC(isReflected: false).decide(frame, &view)
    case .sharedMACReflected: SharedMAC(isReflected: true).decide(frame, &view)
    }
  }

  @inlinable
  mutating func runOnLAN<Output: FrameOutput & ~Copyable>(
    _ frames: UnsafeBufferPointer<FrameDescriptor>, network: Int, now: UInt32, into output: inout Output
  ) {
    switch networks[network].forwarding {
    case .learning: break
    case .endpointMACs: run(MACEndpoints(), frames, network: network, now: now, into: &output)
    case .reflected: run(VEPA(), frames, network: network, now: now, into: &output)
    case .passThrough: run(PassThrough(), frames, network: network, now: now, into: &output)
    case .sharedMAC: run(SharedMAC(isReflected: false), frames, network: network, now: now, into: &output)
    case .sharedMACReflected: run(SharedMAC(isReflected: true), frames, network: network, now: now, into: &output)
    }
  }

  @inlinable
  @inline(__always)
  mutating func run<Policy: ForwardingPolicy, Output: FrameOutput & ~Copyable>(
    _ policy: Policy, _ frames: UnsafeBufferPointer<FrameDescriptor>, network: Int, now: UInt32,
    into output: inout Output
  ) {
    var policy = policy
    var view = view(of: network, now: now)
    let counters = portCounters.handle
    let routedMAC = networks[network].routedMAC
    let lengths = networks[network].lengths
    for index in frames.indices {
      let frame = frames[index]
      let base = Int(frame.port) &* PortCounter.count
      let length = Int(frame.length) &- Self.headerLength
      counters.add(base &+ PortCounter.rxFrames.rawValue)
      counters.add(base &+ PortCounter.rxBytes.rawValue, UInt64(max(0, length)))
      var verdict = Verdict.drop(.runt)
      if length >= Self.ethernetHeaderLength {
        let header = VirtioNetHeader(loadingFrom: UnsafeRawPointer(frame.start))
        if lengths.mayBeExceeded(by: UInt32(length), segmentLength: header.segmentSize),
          dropTooLong(frame, network: network, now: now, into: &output)
        {
          continue
        }
        let parsed = Self.view(frame)
        if let reason = Network.guardFrame(parsed) {
          verdict = .drop(reason)
        } else {
          verdict = policy.decide(parsed, &view)
          if parsed.destination.bits == routedMAC && parsed.isIP {
            routeOutward(frame, network: network, now: now, into: &output)
            continue
          }
        }
      }
      switch verdict {
      case .forward(let port): output.transmit(frame, to: port, isOnlyCopy: true)
      case .drop(let reason): countDrop(reason, of: frames[index])
      case .flood:
        if networks[network].knowsNeighbours && answer(frame, network: network, into: &output) { continue }
        floodCounted(frame, network: network, beyond: [], into: &output)
      case .floodSeparated: floodSeparated(frame, network: network, into: &output)
      case .floodBeside(let port):
        countFlood(of: frame, floodBeside(frame, port, network: network, into: &output), network: network)
      case .targets: countDrop(.noOtherPort, of: frames[index])
      }
    }
  }

  @inlinable
  @inline(__always)
  func view(of network: Int, now: UInt32) -> NetworkView {
    NetworkView(
      of: networks[network], at: UInt16(truncatingIfNeeded: network), ports: ports, learned: learned, now: now,
      nanoseconds: nanoseconds, burst: policyBurst)
  }

  /// The descriptor holds at least an Ethernet header.
  @inlinable
  @inline(__always)
  @_lifetime(immortal)
  static func view(_ frame: FrameDescriptor) -> Frame {
    let bytes = RawSpan(
      _unsafeStart: UnsafeRawPointer(frame.start + headerLength), byteCount: Int(frame.length) &- headerLength)
    return _overrideLifetime(Frame(checked: bytes, port: frame.port), copying: ())
  }

  /// Apart, so that the code of networks without separated ports stays small.
  @inlinable
  @inline(never)
  mutating func floodSeparated<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, network: Int, into output: inout Output
  ) {
    let separation = ports[Int(frame.port)].separation
    if networks[network].knowsNeighbours
      && answer(frame, network: network, isFromElsewhere: separation.contains(.remote), into: &output)
    {
      return
    }
    floodCounted(frame, network: network, beyond: separation, into: &output)
  }

  @inlinable
  mutating func floodCounted<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, network: Int, beyond separation: Separation, into output: inout Output
  ) {
    let copies = flood(frame, network: network, beyond: separation, into: &output)
    countFlood(of: frame, copies, network: network)
  }

  @inlinable
  @inline(__always)
  mutating func countFlood(of frame: FrameDescriptor, _ copies: Int, network: Int) {
    if copies == 0 {
      countDrop(.noOtherPort, of: frame)
    } else {
      let counter = network &* NetworkCounter.count &+ NetworkCounter.floodedCopies.rawValue
      networkCounters.handle.add(counter, UInt64(copies &- 1))
    }
  }

  /// A copy for every other member but `beside` that has nothing of `separation`; how many.
  @inlinable
  mutating func floodBeside<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, _ beside: UInt16, network: Int, beyond separation: Separation = [],
    into output: inout Output
  ) -> Int {
    let members = networks[network].members
    var copies = 0
    for index in 0..<networks[network].memberCount where members[index] != frame.port && members[index] != beside {
      if !separation.isDisjoint(with: ports[Int(members[index])].separation) { continue }
      output.transmit(frame, to: members[index], isOnlyCopy: false)
      copies &+= 1
    }
    return copies
  }

  /// A copy for every other member that has nothing of `separation`; how many.
  @inlinable
  mutating func flood<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, network: Int, beyond separation: Separation, into output: inout Output
  ) -> Int {
    let members = networks[network].members
    var copies = 0
    for index in 0..<networks[network].memberCount {
      let port = members[index]
      if port == frame.port || !separation.isDisjoint(with: ports[Int(port)].separation) { continue }
      output.transmit(frame, to: port, isOnlyCopy: false)
      copies &+= 1
    }
    return copies
  }
}
