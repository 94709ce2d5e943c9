import CAllocations
import Datapath
import Glibc
import Support
import Testing

@testable import LinuxIO

/// The way of a frame takes nothing from the heap. Optimised, that is: without, the compiler boxes what it would not.
@Suite(.enabled(if: isOptimised, "only an optimised build says something: tools/test makes one"))
struct AllocationTests {
  @Test func `the counter counts`() {
    let before = martlet_allocations_of_thread()
    let memory = (0..<100).map { _ in malloc(100) }
    #expect(martlet_allocations_of_thread() >= before + 100)
    for block in memory { free(block) }
  }

  @Test(arguments: SwitchTests.modes) func `no frame allocates`(mode: WorkerOptions.ReadMode) throws {
    let fabric = try Switch(workers: 1, SwitchTests.options(mode))
    defer { fabric.stop() }
    let network = try fabric.addNetwork(NetworkOptions())
    let ends = [SocketPort(), SocketPort(), SocketPort()]
    let ports = try ends.map { try fabric.addPort(queues: $0.queue(), to: network, PortOptions()) }
    // Unicast both ways, flooded, learned anew, moved, dropped.
    func exchange(_ round: Int) {
      let (a, b) = (0x02_00_00_00_00_0A as UInt64, 0x02_00_00_00_01_00 + UInt64(round))
      ends[0].send(SwitchTests.frame(to: b, from: a))
      ends[1].send(SwitchTests.frame(to: a, from: b))
      ends[2].send(SwitchTests.frame(to: 0xFFFF_FFFF_FFFF, from: round % 2 == 0 ? b : 0))
    }
    func settle() {
      while ports.reduce(0, { $0 + fabric[$1, .rxFrames] }) < expected { sched_yield() }
      for end in ends { while !end.isEmpty { _ = end.receive() } }
    }
    var expected: UInt64 = 0
    func run(_ rounds: Range<Int>) {
      for round in rounds {
        exchange(round)
        expected += 3
        settle()
      }
    }
    run(0..<10)
    let before = fabric.allocationsOfWorker()
    run(10..<2010)
    // A few for the commands that read the counter; none for six thousand frames.
    #expect(fabric.allocationsOfWorker() - before < 16)
  }

  /// Tagged and not, whole and in segments, through two packet sockets.
  @Test(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"), arguments: SwitchTests.modes)
  func `no frame of a packet socket allocates`(mode: WorkerOptions.ReadMode) throws {
    let bed = try PacketSocketTests.Bed(mode, mtu: 9000)
    for end in ["left", "right"] { try bed.cable.ip("link", "set", end, "mtu", "9000") }
    var random = SeededGenerator(seed: 7)
    let messages = (0..<10).map { _ in SegmentationTests.superFrame(&random) }
    let frames = [PacketSocketTests.frame(), PacketSocketTests.frame(tag: PacketSocketTests.tags[1])]
    func run(_ rounds: Int) throws {
      for round in 0..<rounds {
        bed.near.send(message: messages[round % messages.count])
        for frame in frames {
          bed.near.send(frame)
          while bed.far.receive() != frame {}
        }
      }
    }
    try run(10)
    let before = bed.fabric.allocationsOfWorker()
    try run(500)
    #expect(bed.fabric.allocationsOfWorker() - before < 16)
  }
}

private let isOptimised: Bool = {
  var optimised = true
  assert(
    {
      optimised = false
      return true
    }())
  return optimised
}()

extension Switch {
  /// Heap allocations that the first worker's thread has made.
  fileprivate func allocationsOfWorker() -> UInt { ask(0) { _ in martlet_allocations_of_thread() } }
}
