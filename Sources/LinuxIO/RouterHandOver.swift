import Datapath
import Synchronization
import Tables

// Theory of operation.
//
// One worker has the router; what the others receive for it they hand over. No byte is copied: the frame stays in the buffer
// it was read into, the router's worker rewrites it there and writes it from there, and then gives the buffer back. Two rings
// for each of the other workers, one each way, so nobody locks. A worker hands over no more than it has buffers to spare:
// what is too much is dropped and counted, as a full queue.
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
  /// Frames of one worker that are under way; a power of two.
  static let capacity = 256

  private final class Lane: Sendable {
    let frames = SPSCRing<HandedFrame>(capacity: RouterHandOver.capacity)
    /// Buffers that come back, by their index at their worker.
    let returned = SPSCRing<UInt16>(capacity: RouterHandOver.capacity)
  }

  private let lanes: [Lane]
  private let routingChannel: WorkerChannel

  init(channels: [WorkerChannel]) {
    lanes = channels.map { _ in Lane() }
    routingChannel = channels[Self.routingWorker]
  }

  func member(_ worker: Int, sparing receiveCount: Int) -> Member {
    let others = worker == Self.routingWorker ? lanes.indices.filter { $0 != worker } : []
    let own = lanes[worker]
    return Member(
      incoming: others.map { Incoming(frames: lanes[$0].frames.handle, returned: lanes[$0].returned.handle) },
      frames: own.frames.handle, returned: own.returned.handle, routingChannel: routingChannel,
      limit: worker == Self.routingWorker ? 0 : receiveCount / 2)
  }

  /// The router's ends of another worker's lane.
  struct Incoming: Sendable {
    let frames: SPSCHandle<HandedFrame>
    let returned: SPSCHandle<UInt16>
  }

  /// One worker's ends. On that worker's thread, as long as the hand-over lives.
  struct Member {
    let incoming: [Incoming]
    private let frames: SPSCHandle<HandedFrame>
    private let returned: SPSCHandle<UInt16>
    private let routingChannel: WorkerChannel
    /// Frames that may be under way.
    private let limit: Int
    private var underWay = 0
    private var hasHanded = false

    fileprivate init(
      incoming: [Incoming], frames: SPSCHandle<HandedFrame>, returned: SPSCHandle<UInt16>,
      routingChannel: WorkerChannel, limit: Int
    ) {
      (self.incoming, self.frames, self.returned) = (incoming, frames, returned)
      (self.routingChannel, self.limit) = (routingChannel, limit)
    }

    /// There are frames to be taken over.
    var isPending: Bool { incoming.contains { $0.frames.count > 0 } }

    mutating func hand(_ frame: FrameDescriptor) -> Bool {
      guard underWay < limit, frames.push(HandedFrame(frame: frame)) else { return false }
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

    /// After a burst: the router's worker is not to sleep over what it was handed.
    mutating func wakeRouter(now: UInt64) {
      guard hasHanded else { return }
      hasHanded = false
      atomicMemoryFence(ordering: .sequentiallyConsistent)
      routingChannel.wake(ifAsleepFor: 0, now: now &+ 1)
    }
  }
}
