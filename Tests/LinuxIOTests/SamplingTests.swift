import Datapath
import Testing

@testable import LinuxIO

@Suite("Sampling of received frames")
struct SamplingTests {
  @Test("at one in one each frame is there, in order, with its port, its length and its first bytes")
  func all() throws {
    let fabric = try Switch(workers: 1, SwitchTests.options())
    defer { fabric.stop() }
    let network = try fabric.addNetwork(NetworkOptions())
    let ends = [SocketPort(), SocketPort()]
    let ports = try ends.map { try fabric.addPort(queues: $0.queue(), to: network, PortOptions()) }
    let frames = (0..<300).map { number in
      SwitchTests.frame(
        to: 0xFFFF_FFFF_FFFF, from: 0x02_00_00_00_00_0A, Array(repeating: UInt8(number % 256), count: 1 + number))
    }
    func send(_ frames: ArraySlice<[UInt8]>) {
      for (number, frame) in zip(frames.indices, frames) {
        ends[number % 2].send(frame)
        #expect(ends[1 - number % 2].receive() == frame)
      }
    }
    send(frames[..<20])
    let samples = fabric.startSampling(SamplingOptions(rate: 1, headerBytes: 100))
    send(frames[20...])
    fabric.stopSampling()
    send(frames[..<20])
    var taken: [FrameSample] = []
    samples.take { taken.append($0) }
    #expect(taken.map(\.length) == frames[20...].map(\.count))
    #expect(taken.map(\.header) == frames[20...].map { Array($0.prefix(100)) })
    #expect(taken.map(\.port) == (20..<300).map { ports[$0 % 2] })
    #expect(samples.lost == 0)
  }

  @Test("what there is no room for is counted, and what is there stays whole")
  func full() throws {
    let lane = SampleLane(SamplingOptions(rate: 1, headerBytes: 4), seed: 1)
    let links = UnsafeMutablePointer<PortLink>.allocate(capacity: 1)
    links.initialize(to: PortLink())
    let frame = UnsafeMutableRawPointer.allocate(byteCount: 14, alignment: 8)
    defer {
      links.deallocate()
      frame.deallocate()
    }
    var sent: UInt32 = 0
    func pass(_ count: Int) {
      for _ in 0..<count {
        frame.storeBytes(of: sent, toByteOffset: 10, as: UInt32.self)
        sent += 1
        let descriptor = FrameDescriptor(start: frame, length: 14, port: 0, buffer: 0)
        withUnsafePointer(to: descriptor) { lane.pass(UnsafeBufferPointer(start: $0, count: 1), links) }
      }
    }
    func numbers(_ count: Int) -> [UInt32] {
      (0..<count).compactMap { _ in lane.take()?.header.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) } }
    }
    let capacity = UInt32(SampleLane.capacity)
    pass(SampleLane.capacity + 10)
    #expect(lane.lost == 10)
    #expect(numbers(5) == Array(0..<5))
    pass(10)
    #expect(lane.lost == 15)
    #expect(numbers(2000) == Array(5..<capacity) + Array(capacity + 10..<capacity + 15))
    pass(3 * SampleLane.capacity)
    #expect(numbers(2000) == Array(capacity + 20..<2 * capacity + 20))
  }

  /// Shorter than a virtio-net header, or nothing behind it.
  @Test("a frame of nothing is no sample")
  func runts() {
    let lane = SampleLane(SamplingOptions(rate: 1, headerBytes: 4), seed: 1)
    let links = UnsafeMutablePointer<PortLink>.allocate(capacity: 1)
    links.initialize(to: PortLink())
    let frame = UnsafeMutableRawPointer.allocate(byteCount: 14, alignment: 8)
    defer {
      links.deallocate()
      frame.deallocate()
    }
    let frames = [0, 3, 10].map { FrameDescriptor(start: frame, length: $0, port: 0, buffer: 0) }
    frames.withUnsafeBufferPointer { lane.pass($0, links) }
    #expect(lane.take() == nil && lane.lost == 0)
  }
}
