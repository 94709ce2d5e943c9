import Policies
import Tables
import Testing
import Wire

@testable import Datapath

/// An engine under a policy, whose ports are lists in memory: what goes out of them can be read back.
final class PolicyBed {
  struct Sent: Equatable {
    var port: UInt16
    var bytes: [UInt8]
  }

  private struct Output: FrameOutput {
    var sent: [Sent] = []
    var total: UInt64 = 0

    mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool) {
      let bytes = UnsafeRawBufferPointer(start: frame.start, count: Int(frame.length))
      sent.append(Sent(port: port, bytes: Array(bytes.dropFirst(Engine.headerLength))))
      total += 1
    }
  }

  /// Bytes before each frame, for a tag that is added.
  private static let headroom = 64

  var engine: Engine
  let policy: InstalledPolicy
  private let runner: PolicyRunner
  private var output = Output()
  private(set) var ports: [PolicyPort]
  var now: UInt32 = 1000

  convenience init(_ name: String, _ ports: [PolicyPort], _ parameters: [String: String] = [:]) throws {
    let policy = try #require(PolicyCatalog.policy(named: name)).make(parameters, workers: 1)
    self.init(policy, worker: 0, ports)
  }

  /// - Parameter worker: whose copy of the policy decides here.
  init(_ policy: InstalledPolicy, worker: Int, _ ports: [PolicyPort]) {
    self.policy = policy
    runner = policy.runners[worker]
    self.ports = ports
    engine = Engine(portCapacity: 64, networkCapacity: 1)
    engine.addNetwork(Network(NetworkOptions(), portCapacity: 64, seed: 1), at: 0)
    for port in ports { engine.addPort(port.index, to: 0, PortOptions(isRemote: port.kind == .vtep)) }
    runner.portsChanged(ports)
    engine.setProgram(runner.program, network: 0)
  }

  func remove(_ port: UInt16) {
    _ = engine.detachPort(port)
    ports.removeAll { $0.index == port }
    runner.portsChanged(ports)
  }

  func add(_ port: PolicyPort) {
    engine.addPort(port.index, to: 0, PortOptions())
    ports.append(port)
    runner.portsChanged(ports)
  }

  /// One burst: frames by the port they come in by. What goes out of it.
  func process(_ frames: [(port: UInt16, bytes: [UInt8])]) -> [Sent] {
    output.sent = []
    engine.nanoseconds = UInt64(now) * 1_000_000_000
    Self.withBurst(frames) { engine.process($0, now: now, into: &output) }
    return output.sent
  }

  /// One frame: the ports it leaves by.
  func send(_ bytes: [UInt8], from port: UInt16) -> [UInt16] {
    process([(port, bytes)]).map(\.port).sorted()
  }

  /// What the policy says of a frame when it is only asked, and the steps of its decision.
  func ask(_ bytes: [UInt8], from port: UInt16) -> (verdict: Verdict, steps: [String]) {
    final class Steps { var texts: [String] = [] }
    let steps = Steps()
    let trace = FrameTrace(context: Unmanaged.passUnretained(steps).toOpaque(), isDryRun: true) {
      context, text, length in
      let text = String(decoding: UnsafeBufferPointer(start: text, count: length), as: UTF8.self)
      Unmanaged<Steps>.fromOpaque(context).takeUnretainedValue().texts.append(text)
    }
    engine.nanoseconds = UInt64(now) * 1_000_000_000
    Self.withBurst([(port, bytes)]) { burst in
      engine.policyBurst.frames[0] = burst[0]
      engine.decideByProgram(1, network: 0, now: now, trace: trace)
    }
    return (engine.policyBurst.verdicts[0], steps.texts)
  }

  private static func withBurst(
    _ frames: [(port: UInt16, bytes: [UInt8])], _ body: (UnsafeBufferPointer<FrameDescriptor>) -> Void
  ) {
    var memory: [UnsafeMutableRawPointer] = []
    var burst: [FrameDescriptor] = []
    for (index, frame) in frames.enumerated() {
      // To the byte, so that a sanitizer sees a read beyond the frame.
      let byteCount = Engine.headerLength + frame.bytes.count
      let start = UnsafeMutableRawPointer.allocate(byteCount: headroom + byteCount, alignment: 1) + headroom
      VirtioNetHeader().store(to: start)
      frame.bytes.withUnsafeBytes { bytes in
        if let base = bytes.baseAddress { (start + Engine.headerLength).copyMemory(from: base, byteCount: bytes.count) }
      }
      memory.append(start)
      burst.append(
        FrameDescriptor(start: start, length: UInt32(byteCount), port: frame.port, buffer: UInt16(index)))
    }
    burst.withUnsafeBufferPointer(body)
    for start in memory { (start - headroom).deallocate() }
  }

  // MARK: Counters

  func drops(_ port: UInt16, _ reason: DropReason) -> UInt64 {
    engine.portCounterHandle[Int(port) * PortCounter.count + PortCounter.drops.rawValue + Int(reason.rawValue)]
  }

  func counter(_ name: String) -> UInt64? { policy.counters().first { $0.name == name }?.value }

  /// Every frame that came in, and every copy that was made, was handed out or dropped. For beds whose ports have all stayed.
  var isConserved: Bool {
    var (received, dropped) = (UInt64(0), UInt64(0))
    for port in ports.map({ Int($0.index) * PortCounter.count }) {
      received += engine.portCounterHandle[port + PortCounter.rxFrames.rawValue]
      for reason in DropReason.allCases {
        dropped += engine.portCounterHandle[port + PortCounter.drops.rawValue + Int(reason.rawValue)]
      }
    }
    return received + engine.networkCounterHandle[NetworkCounter.floodedCopies.rawValue] == output.total + dropped
  }
}

extension PolicyPort {
  /// An endpoint with the MAC address `host(index)`.
  static func endpoint(_ index: UInt16, _ name: String, _ addresses: [String] = []) -> PolicyPort {
    PolicyPort(
      index: index, kind: .endpoint, names: [name], mac: MACAddress(bits: host(index)),
      addresses: addresses.map { IPAddress($0)! })
  }

  static func gateway(_ index: UInt16) -> PolicyPort {
    PolicyPort(index: index, kind: .gateway, names: ["gateway"], mac: MACAddress(bits: host(index)))
  }
}

/// A gateway at port 0, and endpoints `e1`, `e2`...
func ports(_ endpoints: Int) -> [PolicyPort] {
  [.gateway(0)] + (1...endpoints).map { .endpoint(UInt16($0), "e\($0)") }
}

/// Locally administered unicast addresses.
func host(_ number: UInt16) -> UInt64 { 0x02_00_00_00_00_00 + UInt64(number) }

let broadcast: UInt64 = 0xFFFF_FFFF_FFFF

/// Ethernet frames of a type for local experiments (IEEE 802-2014, 9.2.3), with tags as given.
func frame(to destination: UInt64, from source: UInt64, tags: [UInt8] = [], payload: Int = 46) -> [UInt8] {
  MACAddress(bits: destination).bytes + MACAddress(bits: source).bytes + tags + [0x88, 0xB5]
    + [UInt8](repeating: 0x5A, count: payload)
}
