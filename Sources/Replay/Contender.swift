import Captures
import Datapath
import Glibc
import Policies
import Tables
import Wire

/// What became of a frame under one policy. Its copies are the contender's, until its next frame.
enum Treatment: Equatable {
  /// To one port that the policy chose.
  case forwarded
  /// To everybody, or to several.
  case flooded
  case dropped(DropReason)
}

/// One policy with an engine of its own, in simulated time.
final class Contender {
  /// Room for tags that are added in place.
  private static let headroom = 64
  private static let network: UInt16 = 0
  /// Any: a replay is to come out the same every time.
  private static let seed: UInt64 = 1

  let policy: InstalledPolicy
  private(set) var totals: PolicyReport
  private var engine: Engine
  /// Of the last frame.
  private(set) var output = CopyNotes()
  private(set) var treatment = Treatment.forwarded
  private let watch: VerdictWatch
  private let buffer: UnsafeMutableRawPointer
  /// Of each port, drops by reason as they were before this frame.
  private var dropsBefore: [UInt64]
  private let portCount: Int
  private var now: UInt32 = 0

  /// - Parameter ports: all that frames come from; the gateway comes behind them.
  init(_ policy: InstalledPolicy, ports: [SourcePort], ageingSeconds: UInt32) {
    self.policy = policy
    portCount = ports.count + 1
    engine = Engine(portCapacity: portCount, networkCapacity: 1, seed: Self.seed)
    // Captures of hosts have frames that are segmented later (GSO), and do not say so: none is too long.
    let options = NetworkOptions(mtu: Int(UInt16.max), ageingSeconds: ageingSeconds)
    engine.addNetwork(Network(options, portCapacity: portCount, seed: Self.seed), at: Self.network)
    for port in 0..<portCount { engine.addPort(UInt16(port), to: Self.network, PortOptions()) }
    var told = ports.enumerated().map {
      PolicyPort(
        index: UInt16($0), kind: .endpoint, names: [$1.name], mac: $1.mac, addresses: $1.addresses)
    }
    told.append(PolicyPort(index: UInt16(ports.count), kind: .gateway, names: ["gateway"]))
    policy.runners[0].portsChanged(told)
    watch = VerdictWatch(policy.runners[0])
    engine.setProgram(watch.program, network: Self.network)
    totals = PolicyReport(name: policy.name, ports: told.map { $0.names[0] })
    buffer = .allocate(
      byteCount: Self.headroom + Engine.headerLength + Int(CaptureReader.frameLengthMax), alignment: 16)
    dropsBefore = [UInt64](repeating: 0, count: portCount * DropReason.allCases.count)
  }

  deinit { buffer.deallocate() }

  /// - Parameters:
  ///   - nanoseconds: of the simulated clock; never less than before.
  ///   - bin: of the timeline.
  func treat(_ arrival: Arrival, _ bytes: UnsafeRawPointer, nanoseconds: UInt64, bin: Int) {
    let second = UInt32(clamping: nanoseconds / 1_000_000_000)
    if second != now {
      now = second
      engine.expire(now: now, budget: .max)
    }
    engine.nanoseconds = nanoseconds
    let start = buffer + Self.headroom
    VirtioNetHeader().store(to: start)
    (start + Engine.headerLength).copyMemory(from: bytes, byteCount: arrival.length)
    output.begin(original: bytes, length: arrival.length)
    watch.verdict = nil
    var frame = FrameDescriptor(
      start: start, length: UInt32(Engine.headerLength + arrival.length), port: arrival.port, buffer: 0)
    withUnsafePointer(to: &frame) {
      engine.process(UnsafeBufferPointer(start: $0, count: 1), now: now, into: &output)
    }
    treatment = judge(reason: takeDrop(of: arrival.port))
    output.sort()
    totals.count(treatment, bin: bin)
    totals.count(arrival, output.copies)
  }

  /// What the engine counted against the frame; nil: nothing.
  private func takeDrop(of port: UInt16) -> DropReason? {
    let reasons = DropReason.allCases.count
    let counters = engine.portCounterHandle
    let first = Int(port) * PortCounter.count + PortCounter.drops.rawValue
    var found: DropReason?
    for reason in 0..<reasons {
      let count = counters[first + reason]
      guard count != dropsBefore[Int(port) * reasons + reason] else { continue }
      dropsBefore[Int(port) * reasons + reason] = count
      found = found ?? DropReason(rawValue: UInt8(reason))
    }
    return found
  }

  private func judge(reason: DropReason?) -> Treatment {
    if output.copies.isEmpty { return .dropped(reason ?? .noOtherPort) }
    switch watch.verdict {
    // A copy that was mirrored is no way for the frame.
    case .drop(let stated): return .dropped(stated)
    case .forward: return reason.map { .dropped($0) } ?? .forwarded
    case .targets(_, count: 1): return .forwarded
    default: return .flooded
    }
  }

  /// What is left when the last frame has come.
  func finish() {
    engine.expire(now: now, budget: .max)
    var entries: [MACEntryReport] = []
    let (now, names) = (now, totals.ports.map(\.name))
    engine.withTable(Self.network) { table in
      var cursor: Int? = 0
      while let from = cursor {
        cursor = table.entries(from: from, max: table.limit) {
          let age = $0.isStatic ? 0 : now - $0.lastSeen
          entries.append(
            MACEntryReport(mac: $0.mac, port: names[Int($0.port)], age: Int(age), isStatic: $0.isStatic))
        }
      }
    }
    totals.macTable = entries.sorted { $0.address.bits < $1.address.bits }
    totals.counters = policy.counters().map { CounterReport(name: $0.name, value: $0.value) }
    let handle = engine.networkCounterHandle
    totals.floodedCopies = handle[NetworkCounter.floodedCopies.rawValue]
    let counters = engine.portCounterHandle
    totals.engineDrops = (0..<portCount).reduce(0) { sum, port in
      DropReason.allCases.reduce(sum) {
        $0 + counters[port * PortCounter.count + PortCounter.drops.rawValue + Int($1.rawValue)]
      }
    }
  }
}

/// Keeps what the policy said of the last frame, on its way to the engine.
private final class VerdictWatch {
  private let runner: PolicyRunner
  /// nil: the policy was not asked.
  var verdict: Verdict?

  init(_ runner: PolicyRunner) { self.runner = runner }

  /// Valid as long as this lives.
  var program: PolicyProgram {
    PolicyProgram(
      state: Unmanaged.passUnretained(self).toOpaque(),
      decide: { state, frames, count, view, verdicts in
        Unmanaged<VerdictWatch>.fromOpaque(state)._withUnsafeGuaranteedRef {
          $0.runner.decide(frames, count, view, verdicts)
          $0.verdict = verdicts.assumingMemoryBound(to: Verdict.self)[count - 1]
        }
      },
      counters: runner.counters)
  }
}

/// The copies of one frame, as they leave.
struct CopyNotes: FrameOutput {
  struct Copy: Equatable {
    var port: UInt16
    /// nil: as the frame came in.
    var changed: Range<Int>?
  }

  private(set) var copies: [Copy] = []
  /// Bytes of those that were changed.
  private var memory: [UInt8] = []
  private var original = UnsafeRawPointer(bitPattern: 1)!
  private var originalLength = 0

  mutating func begin(original: UnsafeRawPointer, length: Int) {
    (self.original, originalLength) = (original, length)
    copies.removeAll(keepingCapacity: true)
    memory.removeAll(keepingCapacity: true)
  }

  mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool) {
    let start = frame.start + Engine.headerLength
    let length = Int(frame.length) - Engine.headerLength
    if length == originalLength && memcmp(start, original, length) == 0 {
      copies.append(Copy(port: port, changed: nil))
      return
    }
    let first = memory.count
    memory.append(contentsOf: UnsafeRawBufferPointer(start: start, count: length))
    copies.append(Copy(port: port, changed: first..<memory.count))
  }

  /// By port; a port's own in the order in which it gets them.
  mutating func sort() {
    guard copies.count > 1 else { return }
    copies.sort { ($0.port, $0.changed?.lowerBound ?? -1) < ($1.port, $1.changed?.lowerBound ?? -1) }
  }

  func length(of copy: Copy) -> Int { copy.changed?.count ?? originalLength }

  /// A copy's bytes from its Ethernet header on.
  func withBytes(of copy: Copy, _ body: (UnsafeRawBufferPointer) throws(CaptureError) -> Void) throws(CaptureError) {
    guard let range = copy.changed else {
      return try body(UnsafeRawBufferPointer(start: original, count: originalLength))
    }
    var error: CaptureError?
    memory.withUnsafeBytes {
      do throws(CaptureError) { try body(UnsafeRawBufferPointer(rebasing: $0[range])) } catch let thrown {
        error = thrown
      }
    }
    if let error { throw error }
  }

  /// The same frames leave by the same ports.
  func isSame(as other: CopyNotes) -> Bool {
    guard copies.count == other.copies.count else { return false }
    for (mine, its) in zip(copies, other.copies) {
      guard mine.port == its.port else { return false }
      switch (mine.changed, its.changed) {
      case (nil, nil): continue
      case (let mine?, let its?): if memory[mine] != other.memory[its] { return false }
      default: return false
      }
    }
    return true
  }
}
