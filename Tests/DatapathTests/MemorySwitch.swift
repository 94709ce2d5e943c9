import Tables
import Wire

@testable import Datapath

/// An engine whose ports are lists in memory: what goes out of a port can be read back.
struct MemorySwitch: ~Copyable {
  struct Sent: Equatable {
    var port: UInt16
    var bytes: [UInt8]
    var isOnlyCopy: Bool
  }

  struct Output: FrameOutput {
    var sent: [Sent] = []

    mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool) {
      let bytes = UnsafeRawBufferPointer(start: frame.start, count: Int(frame.length))
      sent.append(Sent(port: port, bytes: Array(bytes.dropFirst(Engine.headerLength)), isOnlyCopy: isOnlyCopy))
    }
  }

  var engine: Engine
  var output = Output()
  let network: UInt16 = 0

  init(ports: Int, _ options: NetworkOptions = NetworkOptions(), isolated: Set<Int> = [], learnedCapacity: Int = 0) {
    engine = Engine(portCapacity: max(ports, 16), networkCapacity: 4, learnedCapacity: learnedCapacity)
    engine.addNetwork(Network(options, portCapacity: engine.portCapacity, seed: 1), at: network)
    for port in 0..<ports {
      engine.addPort(UInt16(port), to: network, PortOptions(isIsolated: isolated.contains(port)))
    }
  }

  /// One burst: frames by the port they come in by. What goes out of it.
  mutating func process(
    _ frames: [(port: UInt16, bytes: [UInt8])], header: VirtioNetHeader = VirtioNetHeader(), now: UInt32 = 0
  ) -> [Sent] {
    output.sent = []
    var memory: [UnsafeMutableRawPointer] = []
    var burst: [FrameDescriptor] = []
    for (index, frame) in frames.enumerated() {
      // To the byte, so that a sanitizer sees a read beyond the frame; what stands before it is as in a worker's buffer.
      let room = TunnelBuffer.headroom
      let byteCount = room + Engine.headerLength + frame.bytes.count
      let start = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 1) + room
      header.store(to: start)
      frame.bytes.withUnsafeBytes { bytes in
        if let base = bytes.baseAddress { (start + Engine.headerLength).copyMemory(from: base, byteCount: bytes.count) }
      }
      memory.append(start)
      let length = UInt32(Engine.headerLength + frame.bytes.count)
      burst.append(FrameDescriptor(start: start, length: length, port: frame.port, buffer: UInt16(index)))
    }
    burst.withUnsafeBufferPointer { engine.process($0, now: now, into: &output) }
    for start in memory { (start - TunnelBuffer.headroom).deallocate() }
    return output.sent
  }

  mutating func takeLearned() -> [LearnedAddress] {
    var notes: [LearnedAddress] = []
    engine.takeLearned { notes.append($0) }
    return notes
  }

  func count(_ port: UInt16, _ counter: PortCounter) -> UInt64 {
    engine.portCounterHandle[Int(port) * PortCounter.count + counter.rawValue]
  }

  func drops(_ port: UInt16, _ reason: DropReason) -> UInt64 {
    engine.portCounterHandle[Int(port) * PortCounter.count + PortCounter.drops.rawValue + Int(reason.rawValue)]
  }

  var floodedCopies: UInt64 {
    engine.networkCounterHandle[Int(network) * NetworkCounter.count + NetworkCounter.floodedCopies.rawValue]
  }
}

/// Ethernet frames of a type for local experiments (IEEE 802-2014, 9.2.3).
func frame(to destination: UInt64, from source: UInt64, payload: Int = 46, type: [UInt8] = [0x88, 0xB5]) -> [UInt8] {
  MACAddress(bits: destination).bytes + MACAddress(bits: source).bytes + type + [UInt8](repeating: 0x5A, count: payload)
}

/// A locally administered unicast address.
func host(_ number: Int) -> UInt64 { 0x02_00_00_00_00_00 + UInt64(number) }
