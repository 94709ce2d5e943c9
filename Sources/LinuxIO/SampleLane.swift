import Datapath
import Tables
import Wire

/// One worker's samples of the frames that it receives, on their way to whoever exports them.
///
/// Threads: the worker calls `pass`; one other at a time calls `take`; `lost` any.
final class SampleLane: @unchecked Sendable {
  /// What there is room for. More than comes in a tenth of a second at any rate that a collector can want.
  static let capacity = 1024

  struct Entry: BitwiseCopyable {
    var port: UInt16
    /// Bytes that were kept.
    var kept: UInt16
    var serial: UInt32
    /// Of the frame.
    var length: UInt32
    var slot: UInt32
  }

  private let ring = SPSCRing<Entry>(capacity: capacity)
  /// Twice as many slots as the ring has places: a slot is written anew when what was taken out of the ring after it is, too.
  private static let slotCount = 2 * capacity
  private let headers: UnsafeMutableRawPointer
  private let headerBytes: Int
  private let losses = CounterBlock(count: 1)
  // The worker's.
  private var countdown: SamplingCountdown
  private var slot = 0

  init(_ options: SamplingOptions, seed: UInt64) {
    headerBytes = options.headerBytes
    headers = .allocate(byteCount: Self.slotCount * options.headerBytes, alignment: 8)
    countdown = SamplingCountdown(rate: options.rate, seed: seed)
  }

  deinit { headers.deallocate() }

  /// Samples that were to be taken while there was no room.
  var lost: UInt64 { losses.handle[0] }

  /// Takes the samples of a burst, before the engine may rewrite its frames.
  func pass(_ frames: UnsafeBufferPointer<FrameDescriptor>, _ links: UnsafeMutablePointer<PortLink>) {
    var passed = 0
    while let picked = countdown.pass(frames.count - passed) {
      let frame = frames[passed + picked]
      keep(frame, serial: links[Int(frame.port)].serial)
      passed += picked + 1
    }
  }

  private func keep(_ frame: FrameDescriptor, serial: UInt32) {
    let length = Int(frame.length) - VirtioNetHeader.length
    guard length > 0 else { return }
    let kept = min(length, headerBytes)
    // Nobody reads it: what lies in the ring has other slots.
    (headers + slot * headerBytes).copyMemory(from: frame.start + VirtioNetHeader.length, byteCount: kept)
    let entry = Entry(
      port: frame.port, kept: UInt16(kept), serial: serial, length: UInt32(length), slot: UInt32(slot))
    guard ring.handle.push(entry) else { return losses.handle.add(0) }
    slot = (slot + 1) % Self.slotCount
  }

  /// The oldest; nil: none is there.
  func take() -> FrameSample? {
    guard let entry = ring.handle.pop() else { return nil }
    let header = UnsafeRawBufferPointer(start: headers + Int(entry.slot) * headerBytes, count: Int(entry.kept))
    return FrameSample(
      port: PortHandle(port: entry.port, serial: entry.serial), length: Int(entry.length), header: Array(header))
  }
}
