import CLiburing
import CLinux
import Datapath
import Glibc
import Synchronization
import SystemCalls
import Tables

// Theory of operation.
//
// A worker is one thread with one io_uring, and the only one that touches its engine: its view of the ports and networks, and
// its MAC tables. Its loop:
//
//   wait     sleep, look or nap, as `WaitRule` says
//   reap     completions: reads become frames of the burst, writes give their buffers back
//   learn    what other workers have learned
//   decide   Engine.process: guard, policy, verdict for each frame; the transmitter queues the writes
//   route    what other workers have handed over, where this one has the router
//   send     submit all writes of the burst at once, and reap them: a TAP takes a frame while it is submitted
//   arm      reads that ended (no buffer was left, or the kernel has no multishot read)
//   obey     commands of the control plane
//
// Two system calls a burst: one submits all its writes, one arms reads and waits for the next. A port's read stays armed
// (multishot) and takes buffers from the shared ring; a frame's buffer is given back when its last write has completed.

/// The loop that moves frames. Everything but `init` runs on the worker's own thread.
struct Worker: ~Copyable {
  static let submissionEntries: UInt32 = 512
  static let completionEntries: UInt32 = 4096
  /// Frames of one burst.
  static let batchMax = 64
  /// Aged MAC entries removed in one network in one second.
  static let expiryBudget = 8192

  let options: WorkerOptions
  var engine: Engine
  var transmitter: Transmitter
  private var rule: WaitRule
  private let channel: WorkerChannel
  private let learning: LearningExchange.Member
  private let haltPolling: HaltPolling
  let routing: RoutingContext?
  private let burst: UnsafeMutablePointer<FrameDescriptor>
  private var burstCount = 0
  private var largeFrames = 0
  private var segments = 0
  /// Ports whose read has ended and is to be armed again.
  private let unarmed: UnsafeMutablePointer<UInt16>
  private var unarmedCount = 0
  let isMultishot: Bool
  /// What the kernel reads into: the channel's event counter, and the tick's period.
  private let wakeValue: UnsafeMutablePointer<UInt64>
  private let tickPeriod: UnsafeMutablePointer<__kernel_timespec>
  private var isWoken = false
  /// There was a burst since it slept last.
  private var hasTraffic = false
  /// When it was decided on, in nanoseconds of CLOCK_MONOTONIC.
  private var lastBurst: UInt64 = 0
  private var scheduler: SchedulerPreference
  private var isStopping = false
  /// Seconds of CLOCK_MONOTONIC.
  var now: UInt32
  /// Ports that are packet sockets of this worker's to read.
  var packetSockets: [UInt16] = []
  /// Where samples of received frames go; nil: none are taken.
  var samples: SampleLane?
  /// Commands that end with the closing of a port.
  var closings: [(port: UInt16, network: UInt16, command: Command)] = []

  /// To be called on the worker's own thread: io_uring ties the ring to it.
  init(_ options: WorkerOptions, _ context: WorkerContext) throws(Errno) {
    let uring = try IOUring(entries: Self.submissionEntries, completions: Self.completionEntries)
    let steering = FlowSteering(worker: context.worker, loads: context.bulkLoads)
    try uring.registerDescriptorTable(count: options.portCapacity * (steering.hasPartner ? 2 : 1))
    let handOver = context.handOver.member(context.worker, receiveCount: options.receiveBufferCount)
    let buffers = try FrameBuffers(
      receiveCount: options.receiveBufferCount, registeredWith: uring, lenders: handOver.incoming)
    self.options = options
    channel = context.channel
    learning = context.learning
    haltPolling = context.haltPolling
    isMultishot = options.readMode == .automatic && uring.supports(Int32(MARTLET_IORING_OP_READ_MULTISHOT))
    engine = Engine(
      portCapacity: options.portCapacity, networkCapacity: options.networkCapacity,
      learnedCapacity: learning.outgoing.isEmpty ? 0 : Self.batchMax,
      seed: .random(in: .min ... .max))
    transmitter = Transmitter(
      uring: uring, buffers: buffers, portCapacity: options.portCapacity, counters: engine.portCounterHandle,
      steering: steering, handOver: handOver)
    routing = context.routing
    engine.setRouter(routing?.router)
    rule = WaitRule(spinMicroseconds: options.spinMicroseconds, napMicroseconds: options.napMicroseconds)
    burst = .allocate(capacity: Self.batchMax)
    unarmed = .allocate(capacity: options.portCapacity)
    wakeValue = .allocate(capacity: 1)
    tickPeriod = .allocate(capacity: 1)
    tickPeriod.initialize(to: __kernel_timespec(tv_sec: 1, tv_nsec: 0))
    now = UInt32(truncatingIfNeeded: Self.nanoseconds() / 1_000_000_000)
    scheduler = SchedulerPreference(processor: haltPolling.isPossible ? context.worker : nil)
  }

  deinit {
    burst.deallocate()
    unarmed.deallocate()
    wakeValue.deallocate()
    tickPeriod.deallocate()
  }

  /// Runs until the channel says stop.
  mutating func run() {
    armWake()
    armTick()
    while !isStopping {
      wait()
      reap()
      while burstCount > 0 {
        decideAndSend()
        // Writes complete while they are submitted: their buffers are back before reads are armed again.
        _ = transmitter.uring.submit()
        reap()
      }
      takeOverFrames()
      if !closings.isEmpty { closeDrained() }
      transmitter.takeReturned()
      transmitter.buffers.publish()
      armReads()
      if isWoken { obey() }
    }
  }

  private mutating func decideAndSend() {
    learnFromOthers()
    lastBurst = Self.nanoseconds()
    transmitter.steering.beginBurst(hasBulk: largeFrames > 0, now: lastBurst)
    samples?.pass(UnsafeBufferPointer(start: burst, count: burstCount), transmitter.links)
    engine.nanoseconds = lastBurst
    engine.process(UnsafeBufferPointer(start: burst, count: burstCount), now: now, into: &transmitter)
    tellOthers()
    transmitter.flush()
    for index in 0..<burstCount { transmitter.buffers.release(burst[index].buffer) }
    transmitter.handOver.wakeRouter(now: lastBurst)
    rule.batchEnded(
      frames: burstCount, largeFrames: largeFrames, segments: segments,
      buffersLeft: burstCount < options.receiveBufferCount)
    hasTraffic = true
    if rule.next == .look {
      haltPolling.prolong(now: lastBurst)
      scheduler.prefer(true, binds: !transmitter.steering.partnerCarriesBulk)
    } else if rule.isBulk {
      scheduler.prefer(false)
    }
  }

  private mutating func learnFromOthers() {
    for ring in learning.incoming {
      while let address = ring.pop() { engine.learn(address, now: now) }
    }
  }

  private mutating func tellOthers() {
    engine.takeLearned { address in
      for ring in learning.outgoing { _ = ring.push(address) }
    }
  }

  static func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }

  /// Submits what is queued and returns when there is a completion (or, rarely, none).
  private mutating func wait() {
    var now = Self.nanoseconds()
    switch rule.next {
    case .sleep: break
    case .nap:
      _ = transmitter.uring.submit()
      var period = timespec(tv_sec: 0, tv_nsec: Int(rule.napNanoseconds))
      nanosleep(&period, nil)
    case .look:
      let end = now &+ rule.spinNanoseconds
      if look(now: &now, while: { $0 < end }) { return }
      rule.lookedInVain()
    }
    // Who has traffic of its own sleeps as its own rule says.
    if !hasTraffic && haltPolling.isDue(now: now) {
      scheduler.prefer(true)
      if look(now: &now, while: haltPolling.isDue) { return }
    }
    hasTraffic = false
    channel.sleeps(since: now)
    // Who hands over a frame from here on sees that this worker sleeps, and wakes it.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if transmitter.handOver.isPending { return channel.sleeps(since: 0) }
    _ = transmitter.uring.submitAndWait()
    channel.sleeps(since: 0)
  }

  /// Looks for completions again and again; true when there are some. In each turn whoever wants the processor gets it. Who has
  /// kept it for longer than a look takes computes: the look is over, for the scheduler prefers who wakes to who yields.
  private mutating func look(now: inout UInt64, while isDue: (UInt64) -> Bool) -> Bool {
    while isDue(now) {
      _ = transmitter.uring.submitAndCollect()
      if transmitter.uring.completionsReady() || transmitter.handOver.isPending { return true }
      sched_yield()
      let turn = now
      now = Self.nanoseconds()
      if now &- turn > rule.spinNanoseconds { return false }
    }
    return false
  }

  /// Handles what has completed, up to a full burst of frames.
  private mutating func reap() {
    burstCount = 0
    largeFrames = 0
    segments = 0
    let ring = transmitter.uring.ring
    let mask = ring.pointee.cq.ring_mask
    let head = ring.pointee.cq.khead.pointee
    let ready = martlet_uring_tail(ring) &- head
    var handled: UInt32 = 0
    while handled < ready && burstCount < Self.batchMax {
      let completion = ring.pointee.cq.cqes + Int((head &+ handled) & mask)
      handled &+= 1
      let operation = Operation(rawValue: completion.pointee.user_data)
      switch operation.kind {
      case .read, .receive: readCompleted(operation, result: completion.pointee.res, flags: completion.pointee.flags)
      case .write: transmitter.completed(operation, result: completion.pointee.res)
      case .gatheredWrite: transmitter.gatheredCompleted(operation, result: completion.pointee.res)
      case .wake: isWoken = true
      case .tick: ticked()
      case .cancel, nil: break
      }
    }
    io_uring_cq_advance(ring, handled)
  }

  @inline(__always)
  private mutating func readCompleted(_ operation: Operation, result: Int32, flags: UInt32) {
    let port = operation.port
    if flags & UInt32(IORING_CQE_F_MORE) == 0 {
      transmitter.links[Int(port)].isReading = false
      unarmed[unarmedCount] = port
      unarmedCount &+= 1
    }
    if operation.kind == .receive {
      if let frame = receiveCompleted(port, result: result, flags: flags) { append(frame) }
    } else if result > 0 {
      let buffer = UInt16(truncatingIfNeeded: flags >> UInt32(IORING_CQE_BUFFER_SHIFT))
      transmitter.buffers.take(buffer)
      append(
        FrameDescriptor(
          start: transmitter.buffers.start(buffer), length: UInt32(result), port: port, buffer: buffer))
    } else if result != -ENOBUFS && result != -EAGAIN && result != -EINTR {
      readFailed(port)
    }
  }

  @inline(__always)
  private mutating func append(_ frame: FrameDescriptor) {
    if transmitter.links[Int(frame.port)].limits != nil && exceedsLimit(frame) { return }
    if frame.length > WaitRule.smallFrameBytesMax {
      largeFrames &+= 1
    } else if frame.carriesTCP {
      segments &+= 1
    }
    burst[burstCount] = frame
    burstCount &+= 1
  }

  /// Counted, where it does, and its buffer given back.
  @inline(never)
  private mutating func exceedsLimit(_ frame: FrameDescriptor) -> Bool {
    guard let limit = transmitter.links[Int(frame.port)].limits?.incoming, !limit.admits(frame) else { return false }
    engine.countUnseen(1, of: frame.port, .rateExceeded)
    transmitter.buffers.release(frame.buffer)
    return true
  }

  /// The TAP's namespace is gone (EBADFD), its peer closed (0), or the kernel will not read it: nothing more will come.
  mutating func readFailed(_ port: UInt16) {
    guard !transmitter.links[Int(port)].isClosing, !transmitter.links[Int(port)].isLost else { return }
    transmitter.links[Int(port)].isLost = true
    reportTrouble(port)
  }

  /// Has the control plane look at what became of a port.
  mutating func reportTrouble(_ port: UInt16) {
    channel.reportLost(PortHandle(port: port, serial: transmitter.links[Int(port)].serial))
  }

  private mutating func armReads() {
    if transmitter.isStarved() { return }
    for index in 0..<unarmedCount { armRead(unarmed[index]) }
    unarmedCount = 0
  }

  mutating func armRead(_ port: UInt16) {
    let link = transmitter.links + Int(port)
    guard link.pointee.isRead, !link.pointee.isClosing, !link.pointee.isLost, !link.pointee.isReading else { return }
    link.pointee.isReading = true
    if let message = link.pointee.message { return armReceive(port, message) }
    let submission = transmitter.uring.nextSubmission()
    io_uring_prep_read(submission, Int32(port), nil, 0, UInt64(bitPattern: -1))
    if isMultishot {
      submission.pointee.opcode = UInt8(MARTLET_IORING_OP_READ_MULTISHOT)
    } else {
      submission.pointee.len = UInt32(FrameBuffers.stride - FrameBuffers.headroom)
    }
    submission.pointee.flags |= UInt8(MARTLET_IOSQE_FIXED_FILE | MARTLET_IOSQE_BUFFER_SELECT)
    submission.pointee.buf_group = FrameBuffers.group
    submission.pointee.user_data = Operation(.read, port: port).rawValue
  }

  private mutating func armWake() {
    let submission = transmitter.uring.nextSubmission()
    io_uring_prep_read(submission, channel.eventDescriptor, wakeValue, 8, 0)
    submission.pointee.user_data = Operation(.wake).rawValue
  }

  private mutating func armTick() {
    let submission = transmitter.uring.nextSubmission()
    io_uring_prep_timeout(submission, tickPeriod, 0, 0)
    submission.pointee.user_data = Operation(.tick).rawValue
  }

  private mutating func ticked() {
    now = UInt32(truncatingIfNeeded: Self.nanoseconds() / 1_000_000_000)
    learnFromOthers()
    engine.expire(now: now, budget: Self.expiryBudget)
    tickRouter()
    for port in packetSockets { countOverruns(port) }
    armTick()
  }

  private mutating func obey() {
    isWoken = false
    armWake()
    // First: what was told of a port before it went must not meet the next one of its index.
    learnFromOthers()
    while let command = channel.nextCommand() {
      if command.body(&self, command) { command.finish() }
    }
    isStopping = channel.isStopping
  }

  /// Ends the closings whose port has no operation under way any more.
  private mutating func closeDrained() {
    var index = 0
    while index < closings.count {
      let closing = closings[index]
      let link = transmitter.links + Int(closing.port)
      if link.pointee.isReading || link.pointee.writes > 0 {
        index += 1
        continue
      }
      finishClosing(closing.port, network: closing.network)
      closings.remove(at: index)
      closing.command.finish()
    }
  }
}
