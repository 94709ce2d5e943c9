import Datapath
import Synchronization
import Tables

// Theory of operation.
//
// One worker has the router; what the others receive for it they hand over. No byte is copied: the frame stays in the buffer
// it was read into, the router's worker rewrites it there and writes it from there, and then gives the buffer back. Two rings
// for each of the other workers, one each way, so nobody locks. A worker whose buffers are all under way reads no more until
// some come back: frames wait in the TAP's own queue meanwhile, and the sender's kernel sees back pressure there.
//
// It is rare in most traffic: what the router sends to a TAP it writes through its own worker's queue, so the kernel gives
// the flow's answers to that queue (tun_flow_update of drivers/net/tun.c).

/// A frame whose bytes are the router's until its buffer comes back.
struct HandedFrame: BitwiseCopyable, @unchecked Sendable {
  let frame: FrameDescriptor
}

/// What the workers hand to the one that has the router. Worker 0 has it.
final class RouterHandOver: Sendable {
  static let routingWorker = 0
  /// Frames of one worker that are under way, at least as many as it has buffers; a power of two.
  static let capacity = 256
  /// A worker with fewer buffers left reads no more.
  private static let spareMin = 4

  fileprivate final class Lane: Sendable {
    let frames = SPSCRing<HandedFrame>(capacity: RouterHandOver.capacity)
    /// Buffers that come back, by their index at their worker.
    let returned = SPSCRing<UInt16>(capacity: RouterHandOver.capacity)
    /// The worker waits for buffers.
    let isStarved = Atomic(false)
    let channel: WorkerChannel

    init(_ channel: WorkerChannel) { self.channel = channel }
  }

  private let lanes: [Lane]
  private let routingChannel: WorkerChannel

  init(channels: [WorkerChannel]) {
    lanes = channels.map(Lane.init)
    routingChannel = channels[Self.routingWorker]
  }

  /// - Parameter receiveCount: buffers that each worker has.
  func member(_ worker: Int, receiveCount: Int) -> Member {
    precondition(receiveCount <= Self.capacity)
    let others = worker == Self.routingWorker ? lanes.indices.filter { $0 != worker } : []
    return Member(
      incoming: others.map { Incoming(lane: lanes[$0]) }, lane: lanes[worker], routingChannel: routingChannel,
      spare: receiveCount - Self.spareMin)
  }

  /// The router's ends of another worker's lane.
  struct Incoming: Sendable {
    let frames: SPSCHandle<HandedFrame>
    private let returned: SPSCHandle<UInt16>
    private let lane: Lane

    fileprivate init(lane: Lane) { (frames, returned, self.lane) = (lane.frames.handle, lane.returned.handle, lane) }

    /// The worker has the buffer again, and is woken where it waits for one.
    func giveBack(_ buffer: UInt16) {
      // As many as it lent: there is room.
      _ = returned.push(buffer)
      atomicMemoryFence(ordering: .sequentiallyConsistent)
      if lane.isStarved.load(ordering: .relaxed), lane.isStarved.exchange(false, ordering: .relaxed) {
        lane.channel.wake()
      }
    }
  }

  /// One worker's ends. On that worker's thread, as long as the hand-over lives.
  struct Member {
    let incoming: [Incoming]
    private let frames: SPSCHandle<HandedFrame>
    private let returned: SPSCHandle<UInt16>
    private let lane: Lane
    private let routingChannel: WorkerChannel
    private let spare: Int
    private var underWay = 0
    private var hasHanded = false

    fileprivate init(incoming: [Incoming], lane: Lane, routingChannel: WorkerChannel, spare: Int) {
      (self.incoming, frames, returned) = (incoming, lane.frames.handle, lane.returned.handle)
      (self.lane, self.routingChannel, self.spare) = (lane, routingChannel, spare)
    }

    /// There are frames to be taken over.
    var isPending: Bool { incoming.contains { $0.frames.count > 0 } }

    mutating func hand(_ frame: FrameDescriptor) -> Bool {
      guard frames.push(HandedFrame(frame: frame)) else { return false }
      underWay += 1
      hasHanded = true
      return true
    }

    /// A buffer that is no longer under way, or nil.
    mutating func nextReturned() -> UInt16? {
      guard underWay > 0, let buffer = returned.pop() else { return nil }
      underWay -= 1
      return buffer
    }

    /// Too few buffers are left to read on; from here on the router's worker wakes this one when one comes back.
    func waitsForBuffers() -> Bool {
      guard underWay > spare else { return false }
      lane.isStarved.store(true, ordering: .relaxed)
      atomicMemoryFence(ordering: .sequentiallyConsistent)
      return returned.count == 0
    }

    /// After a burst: the router's worker is not to sleep over what it was handed.
    mutating func wakeRouter(now: UInt64) {
      guard hasHanded else { return }
      hasHanded = false
      atomicMemoryFence(ordering: .sequentiallyConsistent)
      routingChannel.wake(ifAsleepFor: 0, now: now &+ 1)
    }
  }
}
