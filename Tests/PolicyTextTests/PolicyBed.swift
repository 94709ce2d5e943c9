import Policies
import PolicyText
import Tables
import Testing
import Wire

@testable import Datapath

/// A network under a policy's text. Its ports 0, 1, 2... are named "a", "b", "c"...
struct PolicyBed: ~Copyable {
  struct Sent: Equatable {
    var port: UInt16
    var bytes: [UInt8]
  }

  struct Output: FrameOutput {
    var sent: [Sent] = []

    mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool) {
      let bytes = UnsafeRawBufferPointer(start: frame.start, count: Int(frame.length))
      sent.append(Sent(port: port, bytes: Array(bytes.dropFirst(Engine.headerLength))))
    }
  }

  var engine: Engine
  var output = Output()
  let installed: InstalledPolicy
  var runner: PolicyRunner { installed.runners[0] }

  init(_ source: String, ports: Int = 4) throws {
    let compiled = try CompiledPolicy.compile(source).get()
    installed = InstalledPolicy(TextPolicy(compiled), workers: 1)
    engine = Engine(portCapacity: 16, networkCapacity: 1)
    engine.addNetwork(Network(NetworkOptions(), portCapacity: engine.portCapacity, seed: 1), at: 0)
    for port in 0..<ports { engine.addPort(UInt16(port), to: 0, PortOptions()) }
    runner.portsChanged(Self.ports(ports))
    engine.setProgram(runner.program, network: 0)
  }

  static func ports(_ count: Int) -> [PolicyPort] {
    (0..<count).map { PolicyPort(index: UInt16($0), kind: .endpoint, names: [name($0), "id-\($0)"]) }
  }

  static func name(_ port: Int) -> String { String(UnicodeScalar(UInt8(ascii: "a") + UInt8(port))) }

  /// Where copies of a frame go, and with which bytes.
  mutating func send(_ bytes: [UInt8], from port: UInt16 = 0, nanoseconds: UInt64 = 0) -> [Sent] {
    output.sent = []
    engine.nanoseconds = nanoseconds
    Self.withFrame(bytes, from: port) { frame in
      withUnsafePointer(to: frame) {
        engine.process(
          UnsafeBufferPointer(start: $0, count: 1), now: UInt32(nanoseconds / 1_000_000_000), into: &output)
      }
    }
    return output.sent
  }

  /// Decides on a frame without doing it, and says how.
  mutating func trace(_ bytes: [UInt8], from port: UInt16 = 0) -> (verdict: Verdict, steps: [String]) {
    final class Steps { var all: [String] = [] }
    let steps = Steps()
    let trace = FrameTrace(context: Unmanaged.passUnretained(steps).toOpaque(), isDryRun: true) {
      context, text, length in
      let text = String(decoding: UnsafeBufferPointer(start: text, count: length), as: UTF8.self)
      Unmanaged<Steps>.fromOpaque(context).takeUnretainedValue().all.append(text)
    }
    let verdict = decide(bytes, from: port, trace: trace)
    return withExtendedLifetime(steps) { (verdict, steps.all) }
  }

  mutating func decide(_ bytes: [UInt8], from port: UInt16, trace: FrameTrace? = nil) -> Verdict {
    Self.withFrame(bytes, from: port) { frame in
      engine.policyBurst.frames[0] = frame
      engine.decideByProgram(1, network: 0, now: 0, trace: trace)
      return engine.policyBurst.verdicts[0]
    }
  }

  func drops(_ port: UInt16, _ reason: DropReason) -> UInt64 {
    engine.portCounterHandle[Int(port) * PortCounter.count + PortCounter.drops.rawValue + Int(reason.rawValue)]
  }

  /// What the policy counts by that name.
  func counted(_ name: String) -> UInt64? { installed.counters().first { $0.name == name }?.value }

  /// To the byte, so that a sanitizer sees a read beyond the frame.
  static func withFrame<Result>(_ bytes: [UInt8], from port: UInt16, _ body: (FrameDescriptor) -> Result) -> Result {
    // A tag's length must be free before a frame.
    let room = 64
    let length = Engine.headerLength + bytes.count
    let memory = UnsafeMutableRawPointer.allocate(byteCount: room + length, alignment: 1)
    defer { memory.deallocate() }
    VirtioNetHeader().store(to: memory + room)
    bytes.withUnsafeBytes {
      (memory + room + Engine.headerLength).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
    }
    return body(FrameDescriptor(start: memory + room, length: UInt32(length), port: port, buffer: 0))
  }
}

/// The diagnostics of a text, as one string a piece.
func complaints(_ source: String) -> [String] {
  switch CompiledPolicy.compile(source) {
  case .success: []
  case .failure(let error): error.diagnostics.map(\.description)
  }
}
