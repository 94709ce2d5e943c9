import Datapath
import Tables
import Wire

/// As many frames as a worker takes at a time.
let burstCount = 32
let burstsPerRun = 32
private let floodedPorts = 8
/// Small UDP datagrams of one flow, as a container's kernel hands them over.
final class Burst {
  /// Of a frame, in bytes.
  private static let room = 128

  let frames: UnsafeMutableBufferPointer<FrameDescriptor>
  private let memory: UnsafeMutableRawBufferPointer

  /// - Parameter headroom: bytes before each frame.
  init(to destination: MACAddress, from source: MACAddress, payload: Int = 18, headroom: Int = 0) {
    let stride = headroom + Self.room
    let udp = UInt8(8 + payload)
    let bytes: [UInt8] =
      [1, 0, 0, 0, 0, 0, 34, 0, 6, 0]  // virtio-net: NEEDS_CSUM from byte 34 on, into byte 6 of that
      + Self.octets(destination) + Self.octets(source) + [8, 0]
      + [0x45, 0, 0, 20 + udp, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
      + [0x30, 0x39, 0x1B, 0x58, 0, udp, 0, 0] + [UInt8](repeating: 0x5A, count: payload)
    memory = .allocate(byteCount: burstCount * stride, alignment: 64)
    frames = .allocate(capacity: burstCount)
    for index in 0..<burstCount {
      let start = memory.baseAddress! + (index * stride + headroom)
      start.copyMemory(from: bytes, byteCount: bytes.count)
      frames.initializeElement(
        at: index, to: FrameDescriptor(start: start, length: UInt32(bytes.count), port: 0, buffer: UInt16(index)))
    }
  }

  deinit {
    memory.deallocate()
    frames.deallocate()
  }

  private static func octets(_ address: MACAddress) -> [UInt8] {
    (0..<6).map { UInt8(truncatingIfNeeded: address.bits >> UInt64(40 - 8 * $0)) }
  }
}

/// Takes what the engine decides, and does nothing.
private struct Discard: FrameOutput {
  var copies: UInt64 = 0

  @inline(__always)
  mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool) { copies &+= 1 }
}

/// A switch with one network, and frames from its port 0.
private final class BurstSwitch {
  private static let source = MACAddress(bits: 0x02_00_00_00_00_01)
  private static let destination = MACAddress(bits: 0x02_00_00_00_00_02)

  var engine: Engine
  let burst = Burst(to: destination, from: source)

  /// - Parameter knowsDestination: it is at port 1; otherwise its frames are flooded.
  init(ports: Int, knowsDestination: Bool) {
    engine = Engine(portCapacity: 64, networkCapacity: 1)
    engine.addNetwork(Network(NetworkOptions(), portCapacity: engine.portCapacity, seed: 42), at: 0)
    for port in 0..<ports { engine.addPort(UInt16(port), to: 0, PortOptions()) }
    if knowsDestination { engine.withTable(0) { _ = $0.learn(Self.destination, port: 1, now: 0) } }
  }
}

@inline(never)
private func process(_ engine: inout Engine, _ burst: UnsafeBufferPointer<FrameDescriptor>) -> UInt64 {
  var output = Discard()
  engine.process(burst, now: 0, into: &output)
  return output.copies
}

/// What a gatherer asks of each frame: which flow it is of, and whether that is the one it has.
@inline(never)
private func coalesce(_ burst: UnsafeBufferPointer<FrameDescriptor>, _ flow: UDPFlow) -> UInt64 {
  var joined: UInt64 = 0
  for frame in burst {
    guard let next = UDPFlow(frame) else { continue }
    if next.isSameFlow(as: flow) && next.payloadLength == flow.payloadLength { joined &+= 1 }
  }
  return joined
}

@inline(never)
private func hash(_ burst: UnsafeBufferPointer<FrameDescriptor>) -> UInt64 {
  var sum: UInt64 = 0
  for frame in burst { sum &+= UInt64(frame.flowHash ?? 0) }
  return sum
}

private func engineCase(_ name: String, ports: Int, knowsDestination: Bool) -> MicroCase {
  MicroCase(name, operations: burstCount * burstsPerRun) {
    BurstSwitch(ports: ports, knowsDestination: knowsDestination)
  } body: { target in
    for _ in 0..<burstsPerRun { keep(process(&target.engine, UnsafeBufferPointer(target.burst.frames))) }
  }
}

var datapathCases: [MicroCase] {
  [
    engineCase("engine, forward to a known station", ports: 2, knowsDestination: true),
    engineCase("engine, flood to \(floodedPorts) ports", ports: floodedPorts + 1, knowsDestination: false),
    MicroCase("UDP coalescing, a frame that joins", operations: burstCount * burstsPerRun) {
      Burst(to: MACAddress(bits: 2), from: MACAddress(bits: 1))
    } body: { burst in
      let flow = UDPFlow(burst.frames[0])!
      for _ in 0..<burstsPerRun { keep(coalesce(UnsafeBufferPointer(burst.frames), flow)) }
    },
    MicroCase("flow hash, UDP over IPv4", operations: burstCount * burstsPerRun) {
      Burst(to: MACAddress(bits: 2), from: MACAddress(bits: 1))
    } body: { burst in
      for _ in 0..<burstsPerRun { keep(hash(UnsafeBufferPointer(burst.frames))) }
    },
  ]
}
