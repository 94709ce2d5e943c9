import Foundation
import Tables
import Testing

@Suite struct SPSCRingTests {
  @Test func keepsOrderAndRefusesWhenFull() {
    let ring = SPSCRing<Int>(capacity: 4)
    let handle = ring.handle
    // Several rounds, so that positions run over the end of the memory.
    for round in 0..<10 {
      for number in 0..<4 { #expect(handle.push(round * 4 + number)) }
      #expect(!handle.push(-1))
      #expect(handle.count == 4)
      for number in 0..<4 { #expect(handle.pop() == round * 4 + number) }
      #expect(handle.pop() == nil)
      #expect(handle.count == 0)
    }
  }

  @Test func oneElement() {
    let ring = SPSCRing<UInt8>(capacity: 1)
    #expect(ring.handle.push(7))
    #expect(!ring.handle.push(8))
    #expect(ring.handle.pop() == 7)
    #expect(ring.handle.pop() == nil)
  }

  /// Two halves that must arrive together.
  struct Pair: BitwiseCopyable, Sendable {
    let number: UInt64
    let complement: UInt64
  }

  @Test(arguments: [1, 2, 64])
  func oneProducerOneConsumer(capacity: Int) {
    let ring = SPSCRing<Pair>(capacity: capacity)
    let handle = ring.handle
    let total: UInt64 = 50_000
    Thread.detachNewThread {
      for number in 0..<total {
        while !handle.push(Pair(number: number, complement: ~number)) { sched_yield() }
      }
    }
    var expected: UInt64 = 0
    var mistakes = 0
    while expected < total {
      guard let pair = handle.pop() else {
        sched_yield()
        continue
      }
      if pair.number != expected || pair.complement != ~expected { mistakes += 1 }
      expected += 1
    }
    #expect(mistakes == 0)
    #expect(handle.count == 0)
  }

  @Test func capacityIsAPowerOfTwo() async {
    await #expect(processExitsWith: .failure) { _ = SPSCRing<Int>(capacity: 3).handle.count }
    await #expect(processExitsWith: .failure) { _ = SPSCRing<Int>(capacity: 0).handle.count }
  }
}
