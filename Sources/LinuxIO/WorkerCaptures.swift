import Datapath
import Glibc

/// Of one worker: what is captured, and where each frame that is on its way lies. Fixed memory, made with the worker. One thread,
/// the worker's.
struct WorkerCaptures: BitwiseCopyable {
  /// Captures at a time.
  static let capacity = 8

  /// A capture, as this worker has to know it. The switch keeps it alive until no worker has it.
  struct Entry: BitwiseCopyable {
    var serial: Int
    var ring: CaptureRing
    var network: UInt16
    /// `Engine.none`: all.
    var port: UInt16
    /// A bit for each `FrameEvent`.
    var events: UInt8
    var snapLength: Int
    var function: FrameMatch.Function?
    var program: UnsafeRawPointer

    init(_ capture: FrameCapture, worker: Int) {
      (serial, ring, network) = (capture.serial, capture.rings[worker], capture.network)
      port = capture.options.port?.index ?? Engine.none
      events = capture.options.events.reduce(0) { $0 | 1 << $1.rawValue }
      snapLength = capture.options.snapLength
      function = capture.options.match?.function
      program = capture.options.match?.program ?? UnsafeRawPointer(bitPattern: 1)!
    }
  }

  /// A frame that was given to the kernel, so that it is known still where it does not leave.
  private struct Leaving: BitwiseCopyable {
    var start: UnsafeMutableRawPointer?
    var length: UInt32 = 0
    var network = Engine.none
  }

  private struct Storage: BitwiseCopyable {
    var count = 0
    let entries: UnsafeMutablePointer<Entry>
    /// By buffer; behind them, the one that lies in none.
    let leaving: UnsafeMutablePointer<Leaving>
    let bufferCount: Int
  }

  private let storage: UnsafeMutablePointer<Storage>

  init(bufferCount: Int) {
    storage = .allocate(capacity: 1)
    let leaving = UnsafeMutablePointer<Leaving>.allocate(capacity: bufferCount + 1)
    leaving.initialize(repeating: Leaving(), count: bufferCount + 1)
    storage.initialize(
      to: Storage(entries: .allocate(capacity: Self.capacity), leaving: leaving, bufferCount: bufferCount))
  }

  func deallocate() {
    storage.pointee.entries.deallocate()
    storage.pointee.leaving.deallocate()
    storage.deallocate()
  }

  var isEmpty: Bool { storage.pointee.count == 0 }

  func add(_ entry: Entry) {
    precondition(storage.pointee.count < Self.capacity)
    (storage.pointee.entries + storage.pointee.count).initialize(to: entry)
    storage.pointee.count += 1
  }

  func remove(_ serial: Int) {
    let entries = storage.pointee.entries
    guard let index = (0..<storage.pointee.count).first(where: { entries[$0].serial == serial }) else { return }
    storage.pointee.count -= 1
    entries[index] = entries[storage.pointee.count]
    if isEmpty { storage.pointee.leaving.update(repeating: Leaving(), count: storage.pointee.bufferCount + 1) }
  }

  /// For the engine; nil where nothing is captured.
  var tap: FrameTap? {
    guard !isEmpty else { return nil }
    return FrameTap(context: storage) { context, event, frame, port, network, reason in
      let captures = WorkerCaptures(context)
      let frame = frame.assumingMemoryBound(to: FrameDescriptor.self).pointee
      if event == FrameEvent.sent.rawValue {
        captures.remember(Leaving(start: frame.start, length: frame.length, network: network), frame.buffer)
      }
      captures.note(event, frame.start, frame.length, port: port, network: network, reason: reason)
    }
  }

  private init(_ context: UnsafeMutableRawPointer) { storage = context.assumingMemoryBound(to: Storage.self) }

  private func remember(_ frame: Leaving, _ buffer: UInt16) {
    storage.pointee.leaving[min(Int(buffer), storage.pointee.bufferCount)] = frame
  }

  /// The frame that lies in no buffer was copied to one.
  func rememberCopy(at start: UnsafeMutableRawPointer, _ buffer: UInt16) {
    guard !isEmpty else { return }
    var frame = storage.pointee.leaving[storage.pointee.bufferCount]
    frame.start = start
    remember(frame, buffer)
  }

  /// A copy did not leave by the port.
  @inline(never)
  func noteUndelivered(_ buffer: UInt16, port: UInt16, _ reason: DropReason) {
    let frame = storage.pointee.leaving[min(Int(buffer), storage.pointee.bufferCount)]
    guard let start = frame.start else { return }
    note(
      FrameEvent.undelivered.rawValue, start, frame.length, port: port, network: frame.network, reason: reason.rawValue)
  }

  private func note(
    _ event: UInt8, _ start: UnsafeMutableRawPointer, _ length: UInt32, port: UInt16, network: UInt16, reason: UInt8
  ) {
    guard network != Engine.none else { return }
    let bytes = UnsafeRawPointer(start + Engine.headerLength)
    let length = UInt32(max(0, Int(length) &- Engine.headerLength))
    for index in 0..<storage.pointee.count {
      let entry = storage.pointee.entries + index
      guard entry.pointee.network == network, entry.pointee.events & (1 << event) != 0,
        entry.pointee.port == Engine.none || entry.pointee.port == port
      else { continue }
      if let function = entry.pointee.function, !function(entry.pointee.program, bytes, length, length) { continue }
      let record = CaptureRing.Record(
        nanoseconds: Worker.nanoseconds(), size: 0,
        capturedLength: UInt32(min(Int(length), entry.pointee.snapLength)), originalLength: length, port: port,
        event: event, reason: reason)
      entry.pointee.ring.add(record, bytes)
    }
  }
}
