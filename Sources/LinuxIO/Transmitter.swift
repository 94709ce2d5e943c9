import CLinux
import CLiburing
import Datapath
import Glibc
import Tables

/// A port on the kernel's side. A plain value in the transmitter's array, at the port's index.
struct PortLink: BitwiseCopyable {
  var descriptor: Int32 = -1
  /// Writes that the kernel has not completed.
  var writes: UInt32 = 0
  /// A read is with the kernel.
  var isReading = false
  /// To be closed once no operation is under way.
  var isClosing = false
  /// Its reads failed for good; the control plane has been told.
  var isLost = false
}

/// Turns what the engine decided into io_uring writes, and counts what became of each.
///
/// A write never waits: RWF_NOWAIT makes the kernel say EAGAIN where a port cannot take the frame at once, and the frame is
/// counted as dropped there. So a slow port holds no buffer, and cannot hold up the others; the only queues are the kernel's
/// own, which are bounded.
struct Transmitter: ~Copyable {
  let uring: IOUring
  var buffers: FrameBuffers
  let links: UnsafeMutablePointer<PortLink>
  private let portCapacity: Int
  private let counters: CounterHandle
  /// RWF_NOWAIT, until the kernel says that it does not know it for TAPs.
  private var writeFlags = martlet_rwf_nowait()

  init(uring: consuming IOUring, buffers: consuming FrameBuffers, portCapacity: Int, counters: CounterHandle) {
    self.uring = uring
    self.buffers = buffers
    links = .allocate(capacity: portCapacity)
    links.initialize(repeating: PortLink(), count: portCapacity)
    self.portCapacity = portCapacity
    self.counters = counters
  }

  deinit {
    for index in 0..<portCapacity where links[index].descriptor >= 0 { close(links[index].descriptor) }
    links.deallocate()
  }

  /// A write has completed.
  /// - Parameter result: bytes written, or -errno.
  @inline(__always)
  mutating func completed(_ operation: Operation, result: Int32) {
    let port = operation.port
    links[Int(port)].writes &-= 1
    buffers.release(operation.index)
    count(port, frames: 1, result: result)
  }

  @inline(__always)
  private mutating func count(_ port: UInt16, frames: UInt64, result: Int32) {
    let base = Int(port) &* PortCounter.count
    if result > 0 {
      counters.add(base &+ PortCounter.txFrames.rawValue, frames)
      counters.add(base &+ PortCounter.txBytes.rawValue, UInt64(Int(result) &- Engine.headerLength))
    } else {
      counters.add(base &+ PortCounter.drops.rawValue &+ Int(dropReason(result).rawValue), frames)
    }
  }

  private mutating func dropReason(_ result: Int32) -> DropReason {
    switch -result {
    case EIO, EBADF, EBADFD, ENODEV, ENETDOWN, ECANCELED, EPIPE, ECONNRESET: return .portDown
    case EAGAIN, ENOBUFS, ENOMEM: return .queueFull
    case EINVAL, EMSGSIZE: return .malformed
    case EOPNOTSUPP:
      writeFlags = 0
      return .refused
    default: return .refused
    }
  }
}

extension Transmitter: FrameOutput {
  @inline(__always)
  mutating func transmit(_ frame: FrameDescriptor, to port: UInt16) {
    buffers.retain(frame.buffer)
    links[Int(port)].writes &+= 1
    let submission = uring.nextSubmission()
    io_uring_prep_write(submission, Int32(port), frame.start, frame.length, 0)
    submission.pointee.rw_flags = writeFlags
    submission.pointee.flags |= UInt8(MARTLET_IOSQE_FIXED_FILE)
    submission.pointee.user_data = Operation(.write, port: port, index: frame.buffer).rawValue
  }
}
