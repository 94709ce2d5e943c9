import CLiburing
import CLinux
import Datapath
import Glibc
import SystemCalls
import Tables

/// A port on the kernel's side. A plain value in the transmitter's array, at the port's index.
struct PortLink: BitwiseCopyable {
  /// The switch's, which closes it. -1: no port is here.
  var descriptor: Int32 = -1
  /// The queue that the worker's partner reads (`FlowSteering`); -1 where there is none.
  var partnerDescriptor: Int32 = -1
  /// This worker reads it; others only write.
  var isRead = false
  /// Tells the port from those that had its index before.
  var serial: UInt32 = 0
  /// Writes that the kernel has not completed.
  var writes: UInt32 = 0
  /// A read is with the kernel.
  var isReading = false
  /// To be closed once no operation is under way.
  var isClosing = false
  /// Its reads failed for good; the control plane has been told.
  var isLost = false
  /// Takes small UDP frames as one segmented frame.
  var coalescesUDP = false
  var isPacketSocket = false
  /// Of a remote VTEP, which has no descriptor of its own. The switch's.
  var tunnel: UnsafePointer<TunnelLink>?
  /// nil: nothing of the port is limited.
  var limits: PortRateLimits?
  /// For the reads of a packet socket: the worker's while the port is open.
  var message: UnsafeMutablePointer<ReceiveMessage>?
  /// What the device of a packet socket takes as one.
  var offloads = SegmentationOffloads.all

  /// For packet sockets: of a TAP the kernel itself knows what its reader takes.
  mutating func setOffloads(_ offloads: SegmentationOffloads, coalescesUDP: Bool) {
    guard isPacketSocket else { return }
    self.offloads = offloads
    self.coalescesUDP = coalescesUDP && offloads.takesGatheredUDP
  }
}

/// Turns what the engine decided into io_uring writes, and counts what became of each.
///
/// A write never waits: RWF_NOWAIT makes the kernel say EAGAIN where a port cannot take the frame at once, and the frame is
/// counted as dropped there. So a slow port holds no buffer, and cannot hold up the others; the only queues are the kernel's
/// own, which are bounded.
struct Transmitter: ~Copyable {
  let uring: IOUring
  var buffers: FrameBuffers
  var gathered = GatheredWrites()
  private let segmentSender = SegmentSender()
  let trainSender = TrainSender()
  var steering: FlowSteering
  var handOver: RouterHandOver.Member
  let links: UnsafeMutablePointer<PortLink>
  private let portCapacity: Int
  let counters: CounterHandle
  /// For frames that do not leave.
  let captures: WorkerCaptures
  /// RWF_NOWAIT, until the kernel says that it does not know it for TAPs.
  private var writeFlags = martlet_rwf_nowait()

  init(
    uring: consuming IOUring, buffers: consuming FrameBuffers, portCapacity: Int, counters: CounterHandle,
    steering: consuming FlowSteering, handOver: RouterHandOver.Member
  ) {
    self.uring = uring
    self.buffers = buffers
    self.steering = steering
    self.handOver = handOver
    links = .allocate(capacity: portCapacity)
    links.initialize(repeating: PortLink(), count: portCapacity)
    self.portCapacity = portCapacity
    self.counters = counters
    captures = WorkerCaptures(bufferCount: self.buffers.count)
  }

  deinit {
    for index in 0..<portCapacity { links[index].message?.deallocate() }
    links.deallocate()
    captures.deallocate()
  }

  /// Puts the port's descriptors into the table that operations name them by: its own at the port's index, those of partners
  /// behind all ports.
  borrowing func setDescriptors(_ port: UInt16, _ link: PortLink) throws(Errno) {
    try uring.setDescriptor(Int(port), link.descriptor)
    if steering.hasPartner { try uring.setDescriptor(portCapacity + Int(port), link.partnerDescriptor) }
  }

  /// Where in that table the descriptor stands by which the frame is to leave.
  @inline(__always)
  mutating func descriptorIndex(_ frame: FrameDescriptor, _ port: UInt16) -> Int32 {
    if frame.length > WaitRule.smallFrameBytesMax {
      steering.remember(frame)
    } else if steering.isOn && links[Int(port)].partnerDescriptor >= 0 && steering.handsOver(frame) {
      return Int32(portCapacity &+ Int(port))
    }
    return Int32(port)
  }

  /// A write has completed.
  /// - Parameter result: bytes written, or -errno.
  @inline(__always)
  mutating func completed(_ operation: Operation, result: Int32) {
    links[Int(operation.port)].writes &-= 1
    let overhead = Engine.headerLength &+ (links[Int(operation.port)].tunnel?.pointee.overhead ?? 0)
    count(
      operation.port, frames: 1, bytes: UInt64(max(0, Int(result) &- overhead)), result: result, buffer: operation.index
    )
    buffers.release(operation.index)
  }

  /// A gathered write has completed: each of its frames counts as the one it came as.
  mutating func gatheredCompleted(_ operation: Operation, result: Int32) {
    let slot = operation.index
    let write = gathered[slot].pointee
    links[Int(operation.port)].writes &-= 1
    if result > 0 {
      count(operation.port, frames: UInt64(write.count), bytes: write.bytes, result: result, buffer: 0)
    } else {
      for index in 0..<write.count {
        count(operation.port, frames: 1, bytes: 0, result: result, buffer: gathered.buffers(of: slot)[index])
      }
    }
    releaseGathered(slot)
  }

  private mutating func releaseGathered(_ slot: UInt16) {
    for index in 0..<gathered[slot].pointee.count { buffers.release(gathered.buffers(of: slot)[index]) }
    gathered.release(slot)
  }

  /// - Parameter buffer: of the one frame where `result` is no length.
  @inline(__always)
  mutating func count(_ port: UInt16, frames: UInt64, bytes: UInt64, result: Int32, buffer: UInt16) {
    let base = Int(port) &* PortCounter.count
    if result > 0 {
      counters.add(base &+ PortCounter.txFrames.rawValue, frames)
      counters.add(base &+ PortCounter.txBytes.rawValue, bytes)
    } else {
      countDrop(dropReason(result), to: port, buffer: buffer)
    }
  }

  mutating func countDrop(_ reason: DropReason, to port: UInt16, buffer: UInt16) {
    counters.add(Int(port) &* PortCounter.count &+ PortCounter.drops.rawValue &+ Int(reason.rawValue))
    if !captures.isEmpty { captures.noteUndelivered(buffer, port: port, reason) }
  }

  private mutating func dropReason(_ result: Int32) -> DropReason {
    switch -result {
    case EIO, EBADF, EBADFD, ENODEV, ENXIO, ENETDOWN, ECANCELED, EPIPE, ECONNRESET: return .portDown
    case EAGAIN, ENOBUFS, ENOMEM: return .queueFull
    case EMSGSIZE: return .oversize
    case EINVAL: return .malformed
    case EOPNOTSUPP:
      writeFlags = 0
      return .refused
    default: return .refused
    }
  }
}

extension Transmitter: FrameOutput {
  @inline(__always)
  mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool) {
    transmit(frame, to: port, isOnlyCopy: isOnlyCopy, mayBeSteered: isOnlyCopy)
  }

  @inline(__always)
  mutating func transmitRouted(_ frame: FrameDescriptor, to port: UInt16) {
    transmit(frame, to: port, isOnlyCopy: true, mayBeSteered: false)
  }

  mutating func transmitCopy(of frame: FrameDescriptor, to port: UInt16) -> Bool {
    guard let buffer = buffers.takeOwn() else { return false }
    let start = buffers.start(buffer)
    start.copyMemory(from: frame.start, byteCount: Int(frame.length))
    captures.rememberCopy(at: start, buffer)
    transmitRouted(FrameDescriptor(start: start, length: frame.length, port: frame.port, buffer: buffer), to: port)
    buffers.release(buffer)
    return true
  }

  /// Written at once, from where it lies: a mirror takes no buffer from those who need one.
  mutating func transmitMirrored(_ frame: FrameDescriptor, to port: UInt16) -> Bool {
    let link = links + Int(port)
    if link.pointee.limits != nil && exceedsLimit(frame, to: port) { return true }
    if let tunnel = link.pointee.tunnel {
      transmitTunnelled(frame, to: port, by: tunnel, isOnlyCopy: false, mayBeSteered: false)
    } else if link.pointee.isPacketSocket && !link.pointee.offloads.takes(frame) {
      sendSegments(of: frame, to: port)
    } else {
      writeNow(frame, to: port)
    }
    return true
  }

  private mutating func writeNow(_ frame: FrameDescriptor, to port: UInt16) {
    // Keeps the order: a write is done when it is submitted.
    if gathered.openCount > 0 { writeGathered(of: port) }
    if links[Int(port)].writes > 0 { _ = uring.submit() }
    var piece = iovec(iov_base: frame.start, iov_len: Int(frame.length))
    let written = pwritev2(links[Int(port)].descriptor, &piece, 1, -1, writeFlags)
    let result = written < 0 ? -errno : Int32(written)
    count(
      port, frames: 1, bytes: UInt64(Int(frame.length) &- Engine.headerLength), result: result, buffer: frame.buffer)
  }

  mutating func handToRouter(_ frame: FrameDescriptor) -> Bool {
    guard handOver.hand(frame) else { return false }
    buffers.retain(frame.buffer)
    return true
  }

  /// Takes back the buffers of frames that were handed to the router.
  @inline(__always)
  mutating func takeReturned() {
    while let buffer = handOver.nextReturned() { buffers.release(buffer) }
  }

  /// So many frames are with the router that there is nothing to read into.
  func isStarved() -> Bool { handOver.waitsForBuffers() }

  @inline(__always)
  private mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool, mayBeSteered: Bool) {
    if links[Int(port)].limits != nil && exceedsLimit(frame, to: port) { return }
    if let tunnel = links[Int(port)].tunnel {
      return transmitTunnelled(frame, to: port, by: tunnel, isOnlyCopy: isOnlyCopy, mayBeSteered: mayBeSteered)
    }
    if links[Int(port)].isPacketSocket && !links[Int(port)].offloads.takes(frame) {
      return sendSegments(of: frame, to: port)
    }
    if links[Int(port)].coalescesUDP {
      if isOnlyCopy, let flow = UDPFlow(frame) {
        if gather(frame, flow, to: port, mayBeSteered: mayBeSteered) { return }
      } else if gathered.openCount > 0 {
        writeGathered(of: port)
      }
    }
    buffers.retain(frame.buffer)
    links[Int(port)].writes &+= 1
    let submission = uring.nextSubmission()
    io_uring_prep_write(
      submission, mayBeSteered ? descriptorIndex(frame, port) : Int32(port), frame.start, frame.length, 0)
    finish(submission, Operation(.write, port: port, index: frame.buffer))
  }

  /// Counted, where it does.
  @inline(never)
  private mutating func exceedsLimit(_ frame: FrameDescriptor, to port: UInt16) -> Bool {
    guard let limit = links[Int(port)].limits?.outgoing, !limit.admits(frame) else { return false }
    countDrop(.outputRateExceeded, to: port, buffer: frame.buffer)
    return true
  }

  /// Cuts apart what the port's device does not take as one. The frame counts as the one it came as.
  private mutating func sendSegments(of frame: FrameDescriptor, to port: UInt16) {
    // Keeps the order: a write is done when it is submitted.
    if gathered.openCount > 0 { writeGathered(of: port) }
    if links[Int(port)].writes > 0 { _ = uring.submit() }
    let result = segmentSender.send(frame, to: links[Int(port)].descriptor)
    count(
      port, frames: 1, bytes: UInt64(Int(frame.length) &- Engine.headerLength), result: result, buffer: frame.buffer)
  }

  /// Writes what is still gathered. At the end of a burst.
  @inline(__always)
  mutating func flush() {
    while gathered.openCount > 0 { write(gathered.close(position: 0)) }
  }

  /// Puts the frame with others of its flow; false where it has to be written by itself.
  @inline(__always)
  mutating func gather(
    _ frame: FrameDescriptor, _ flow: UDPFlow, to port: UInt16, mayBeSteered: Bool
  ) -> Bool {
    for position in 0..<gathered.openCount {
      let slot = gathered.open[position]
      guard gathered[slot].pointee.port == port, gathered[slot].pointee.flow.isSameFlow(as: flow) else { continue }
      if gathered.hasRoom(slot, for: flow) {
        gathered.join(frame, flow, slot: slot)
        buffers.retain(frame.buffer)
        return true
      }
      write(gathered.close(position: position))
      break
    }
    if !gathered.canBegin {
      guard gathered.openCount > 0 else { return false }
      write(gathered.close(position: 0))
      guard gathered.canBegin else { return false }
    }
    gathered.begin(flow, frame, port: port, mayBeSteered: mayBeSteered)
    buffers.retain(frame.buffer)
    return true
  }

  /// Keeps the order: what was gathered for the port leaves before what comes next.
  mutating func writeGathered(of port: UInt16) {
    var position = 0
    while position < gathered.openCount {
      if gathered[gathered.open[position]].pointee.port == port {
        write(gathered.close(position: position))
      } else {
        position &+= 1
      }
    }
  }

  private mutating func write(_ slot: UInt16) {
    let write = gathered[slot].pointee
    let pieces = gathered.pieces(of: slot)
    if write.count > 1 {
      write.flow.rewriteHeaders(write.first, count: write.count)
      pieces[0].iov_len = Engine.headerLength &+ write.flow.headersLength &+ Int(write.flow.payloadLength)
    }
    let tunnel = links[Int(write.port)].tunnel
    let outlet = tunnel?.pointee.carrier ?? write.port
    let descriptor = write.mayBeSteered ? descriptorIndex(write.first, outlet) : Int32(outlet)
    if let tunnel, !encapsulateGathered(write, pieces, by: tunnel) {
      for index in 0..<write.count {
        countDrop(.vxlanUnsendable, to: write.port, buffer: gathered.buffers(of: slot)[index])
      }
      return releaseGathered(slot)
    }
    links[Int(write.port)].writes &+= 1
    let submission = uring.nextSubmission()
    io_uring_prep_writev(submission, descriptor, pieces, UInt32(write.count), 0)
    finish(submission, Operation(.gatheredWrite, port: write.port, index: slot))
  }

  @inline(__always)
  func finish(_ submission: UnsafeMutablePointer<io_uring_sqe>, _ operation: Operation) {
    submission.pointee.rw_flags = writeFlags
    submission.pointee.flags |= UInt8(MARTLET_IOSQE_FIXED_FILE)
    submission.pointee.user_data = operation.rawValue
  }
}
