import Datapath
import PolicyText
import Tables
import Wire

/// The learning switch as a program: what a text's rules are measured by.
private struct LearningProgram: ForwardingPolicy {
  @inline(__always)
  mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    LearningSwitch().decide(frame, &view)
  }
}

private struct Discard: FrameOutput {
  var copies: UInt64 = 0

  @inline(__always)
  mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool) { copies &+= 1 }
}

/// A network of two ports under a program, and small datagrams of as many flows as a burst has frames.
private final class PolicySwitch<Policy: ForwardingPolicy> {
  private static var source: MACAddress { MACAddress(bits: 0x02_00_00_00_00_01) }
  private static var destination: MACAddress { MACAddress(bits: 0x02_00_00_00_00_02) }
  /// From the virtio-net header to IPv4's source address.
  private static var addressOffset: Int { Engine.headerLength + EthernetView.headerLength + IPv4View.sourceOffset }

  var engine: Engine
  let burst = Burst(to: destination, from: source)
  private let counters: CounterBlock
  private let policy: UnsafeMutablePointer<Policy>
  private var flow: UInt32 = 0

  init(_ policy: Policy, counters: Int, decide: @escaping PolicyProgram.Decide) {
    self.policy = .allocate(capacity: 1)
    self.policy.initialize(to: policy)
    self.counters = CounterBlock(count: counters)
    engine = Engine(portCapacity: 64, networkCapacity: 1)
    engine.addNetwork(Network(NetworkOptions(), portCapacity: engine.portCapacity, seed: 42), at: 0)
    for port in 0..<2 { engine.addPort(UInt16(port), to: 0, PortOptions()) }
    engine.withTable(0) { _ = $0.learn(Self.destination, port: 1, now: 0) }
    let program = PolicyProgram(
      state: UnsafeMutableRawPointer(self.policy), decide: decide, counters: self.counters.handle)
    engine.setProgram(program, network: 0)
    startNewFlows()
  }

  deinit {
    policy.deinitialize(count: 1)
    policy.deallocate()
  }

  /// Gives each frame a source address that none had.
  func startNewFlows() {
    for frame in burst.frames {
      flow &+= 1
      let address = 0x0A00_0000 | flow & 0xFF_FFFF
      frame.start.storeBytes(of: address.bigEndian, toByteOffset: Self.addressOffset, as: UInt32.self)
    }
  }
}

/// Rules as a list of accesses has them: a network of senders, one receiver, and a port or a few. The last is the datagrams'.
private func rules(_ count: Int) -> TextPolicy {
  var text = "default drop\n"
  for rule in 1..<count {
    let protocolName = rule % 3 == 0 ? "udp" : "tcp"
    let port = 1024 + rule * 7 % 40_000
    text += "rule ip.src 10.\(rule / 256).\(rule % 256).0/24 ip.dst 10.200.\(rule / 256).\(rule % 256) "
    text += "\(protocolName).dst \(port)\(rule % 2 == 0 ? "-\(port + 9)" : "") -> drop\n"
  }
  text += "rule udp.dst 7000 -> learn\n"
  guard case .success(let compiled) = CompiledPolicy.compile(text) else { fatalError("the rules are wrong") }
  var policy = TextPolicy(compiled)
  policy.portsChanged((0..<2).map { PolicyPort(index: $0, kind: .endpoint, names: ["port\($0)"]) })
  return policy
}

private func textSwitch(_ count: Int) -> PolicySwitch<TextPolicy> {
  PolicySwitch(rules(count), counters: count) { state, frames, count, view, verdicts in
    state.assumingMemoryBound(to: TextPolicy.self).pointee.decideBurst(frames, count, view, verdicts)
  }
}

@inline(never)
private func process(_ engine: inout Engine, _ burst: UnsafeBufferPointer<FrameDescriptor>) -> UInt64 {
  var output = Discard()
  engine.process(burst, now: 0, into: &output)
  return output.copies
}

var policyCases: [MicroCase] {
  [
    MicroCase("program, learning", operations: burstCount * burstsPerRun) {
      PolicySwitch(LearningProgram(), counters: 1) { state, frames, count, view, verdicts in
        state.assumingMemoryBound(to: LearningProgram.self).pointee.decideBurst(frames, count, view, verdicts)
      }
    } body: { target in
      for _ in 0..<burstsPerRun { keep(process(&target.engine, UnsafeBufferPointer(target.burst.frames))) }
    }
  ]
    + [10, 100, 1000, 10_000].flatMap { count in
      [
        MicroCase("program, \(count) rules as text, known flows", operations: burstCount * burstsPerRun) {
          textSwitch(count)
        } body: { target in
          for _ in 0..<burstsPerRun { keep(process(&target.engine, UnsafeBufferPointer(target.burst.frames))) }
        },
        MicroCase("program, \(count) rules as text, new flows", operations: burstCount * burstsPerRun) {
          textSwitch(count)
        } body: { target in
          for _ in 0..<burstsPerRun {
            target.startNewFlows()
            keep(process(&target.engine, UnsafeBufferPointer(target.burst.frames)))
          }
        },
      ]
    }
}
