import Datapath
import Glibc

/// Frames of one flow that will be written to a port as one (`UDPFlow`): a slot of `GatheredWrites`.
struct GatheredWrite: BitwiseCopyable {
  var flow: UDPFlow
  var first: FrameDescriptor
  var port: UInt16
  /// May be written by the partner's queue (`FlowSteering`).
  var mayBeSteered: Bool
  var count: Int
  /// Of all frames as they came, without virtio-net headers.
  var bytes: UInt64
}

/// The slots in which frames are gathered, and from which the kernel reads until the write has completed. Fixed memory.
struct GatheredWrites: ~Copyable {
  /// Writes under way, open ones included.
  static let slotCount = 64
  /// Flows that can gather at the same time: looked through for each frame.
  static let openMax = 8

  private let slots: UnsafeMutablePointer<GatheredWrite>
  private let pieces: UnsafeMutablePointer<iovec>
  private let buffers: UnsafeMutablePointer<UInt16>
  private let free: UnsafeMutablePointer<UInt16>
  private var freeCount = Self.slotCount
  /// Slots that still gather, oldest first.
  let open: UnsafeMutablePointer<UInt16>
  private(set) var openCount = 0

  init() {
    slots = .allocate(capacity: Self.slotCount)
    pieces = .allocate(capacity: Self.slotCount * UDPFlow.framesMax)
    buffers = .allocate(capacity: Self.slotCount * UDPFlow.framesMax)
    free = .allocate(capacity: Self.slotCount)
    open = .allocate(capacity: Self.openMax)
    for index in 0..<Self.slotCount { free[index] = UInt16(index) }
  }

  deinit {
    slots.deallocate()
    pieces.deallocate()
    buffers.deallocate()
    free.deallocate()
    open.deallocate()
  }

  @inline(__always)
  subscript(slot: UInt16) -> UnsafeMutablePointer<GatheredWrite> { slots + Int(slot) }

  /// The buffers whose frames are in the slot, the first frame's first.
  @inline(__always)
  func buffers(of slot: UInt16) -> UnsafeMutablePointer<UInt16> { buffers + Int(slot) &* UDPFlow.framesMax }

  /// What is written: the first frame from its virtio-net header on, then payloads.
  @inline(__always)
  func pieces(of slot: UInt16) -> UnsafeMutablePointer<iovec> { pieces + Int(slot) &* UDPFlow.framesMax }

  /// There is room for one more flow.
  @inline(__always)
  var canBegin: Bool { freeCount > 0 && openCount < Self.openMax }

  /// Opens a slot with its first frame. Needs `canBegin`.
  @inline(__always)
  mutating func begin(_ flow: UDPFlow, _ frame: FrameDescriptor, port: UInt16, mayBeSteered: Bool) {
    freeCount &-= 1
    let slot = free[freeCount]
    open[openCount] = slot
    openCount &+= 1
    slots[Int(slot)] = GatheredWrite(
      flow: flow, first: frame, port: port, mayBeSteered: mayBeSteered, count: 0, bytes: 0)
    append(frame, piece: frame.start, length: Int(frame.length), to: slot)
  }

  /// The slot's flow has the frame's payload length, and room is left.
  @inline(__always)
  func hasRoom(_ slot: UInt16, for flow: UDPFlow) -> Bool {
    let write = slots + Int(slot)
    return write.pointee.flow.payloadLength == flow.payloadLength && write.pointee.count < UDPFlow.framesMax
      && (write.pointee.count &+ 1) &* Int(flow.payloadLength) <= UDPFlow.gatheredBytesMax
  }

  @inline(__always)
  mutating func join(_ frame: FrameDescriptor, _ flow: UDPFlow, slot: UInt16) {
    let payload = frame.start + (Engine.headerLength &+ flow.headersLength)
    append(frame, piece: payload, length: Int(flow.payloadLength), to: slot)
  }

  @inline(__always)
  private mutating func append(_ frame: FrameDescriptor, piece: UnsafeMutableRawPointer, length: Int, to slot: UInt16) {
    let write = slots + Int(slot)
    pieces(of: slot)[write.pointee.count] = iovec(iov_base: piece, iov_len: length)
    buffers(of: slot)[write.pointee.count] = frame.buffer
    write.pointee.count &+= 1
    write.pointee.bytes &+= UInt64(Int(frame.length) &- Engine.headerLength)
  }

  /// Takes the slot at `position` out of the open ones: it is about to be written.
  @inline(__always)
  mutating func close(position: Int) -> UInt16 {
    let slot = open[position]
    openCount &-= 1
    for index in position..<openCount { open[index] = open[index &+ 1] }
    return slot
  }

  /// The slot's write has completed.
  @inline(__always)
  mutating func release(_ slot: UInt16) {
    free[freeCount] = slot
    freeCount &+= 1
  }
}
