import Datapath
import Synchronization
import Tables

// Theory of operation.
//
// A TAP gives a flow to the queue through which the flow was last written (tun_flow_update of drivers/net/tun.c), so who writes
// a frame chooses the worker that will read the answers. The kernel's first choice is a hash: of two flows that share a
// worker one may be bulk, and the other wait behind its 64 KB frames.
//
// Therefore a worker that carries bulk writes the frames of other flows through the queues of its partner, the next worker, while
// that one carries none. The answers come to the partner, which writes them through queues of its own, and so the flow has
// moved, in both directions. A flow that had frames under way both ways may see some of them overtaken, once; the kernel says
// the same of its own moves. A flow that only goes one way is not moved, since nothing is written against it.

/// When each worker last carried bulk, in ticks of `FlowSteering`. Each writes its own, all read.
final class BulkLoads: Sendable {
  let count: Int
  /// Each on a cache line of its own.
  private nonisolated(unsafe) let memory: UnsafeMutableRawPointer

  init(workers: Int) {
    count = workers
    memory = .allocate(byteCount: workers * cacheLineSize, alignment: cacheLineSize)
    for worker in 0..<workers { load(worker).initialize(to: Atomic(0)) }
  }

  deinit { memory.deallocate() }

  private func load(_ worker: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
    (memory + worker * cacheLineSize).assumingMemoryBound(to: Atomic<UInt32>.self)
  }

  /// 0: never.
  func lastTick(_ worker: Int) -> UInt32 { load(worker).pointee.load(ordering: .relaxed) }

  func carriesBulk(_ worker: Int, at tick: UInt32) { load(worker).pointee.store(tick, ordering: .relaxed) }
}

/// Decides which flows a worker hands to its partner. On the worker's thread.
struct FlowSteering: ~Copyable {
  /// A worker that saw no bulk for so long carries none, in ticks.
  private static let bulkTicks: UInt32 = 64
  /// A flow that sent no large frame for so long is no bulk flow any more, in ticks: about a second.
  private static let flowTicks: UInt32 = 1000
  /// Flows that are remembered as bulk, a power of two. One that is forgotten for another is handed over, and back.
  private static let flowCount = 256

  private struct BulkFlow: BitwiseCopyable {
    var hash: UInt32 = 0
    var lastSeen: UInt32 = 0
  }

  private let loads: BulkLoads
  private let worker: Int
  private let flows: UnsafeMutablePointer<BulkFlow>
  private var now: UInt32 = 0
  private(set) var partnerCarriesBulk = false
  /// Flows without bulk are to be handed over.
  private(set) var isOn = false

  init(worker: Int, loads: BulkLoads) {
    (self.worker, self.loads) = (worker, loads)
    flows = .allocate(capacity: Self.flowCount)
    flows.initialize(repeating: BulkFlow(), count: Self.flowCount)
  }

  deinit { flows.deallocate() }

  var hasPartner: Bool { loads.count > 1 }
  private var partner: Int { (worker + 1) % loads.count }

  /// A tick: 1.05 ms, never 0.
  private static func tick(_ nanoseconds: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: nanoseconds >> 20) | 1 << 31 }

  /// Before each burst.
  /// - Parameter now: nanoseconds of CLOCK_MONOTONIC.
  mutating func beginBurst(hasBulk: Bool, now nanoseconds: UInt64) {
    guard hasPartner else { return }
    now = Self.tick(nanoseconds)
    if hasBulk && loads.lastTick(worker) != now { loads.carriesBulk(worker, at: now) }
    partnerCarriesBulk = carriesBulk(partner)
    isOn = carriesBulk(worker) && !partnerCarriesBulk
  }

  private func carriesBulk(_ worker: Int) -> Bool {
    let last = loads.lastTick(worker)
    return last != 0 && now &- last < Self.bulkTicks
  }

  /// Remembers the flow of a large frame.
  @inline(__always)
  mutating func remember(_ frame: FrameDescriptor) {
    guard hasPartner, let hash = frame.flowHash else { return }
    flows[Int(hash) & (Self.flowCount - 1)] = BulkFlow(hash: hash, lastSeen: now)
  }

  /// The frame's flow is to be handed to the partner: its frame is to be written by the partner's queue.
  @inline(__always)
  func handsOver(_ frame: FrameDescriptor) -> Bool {
    guard let hash = frame.flowHash else { return false }
    let flow = flows[Int(hash) & (Self.flowCount - 1)]
    return flow.hash != hash || now &- flow.lastSeen >= Self.flowTicks
  }
}
