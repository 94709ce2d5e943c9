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

  /// Memory that the producer writes before it hands over its place, and the consumer reads after: the thread sanitizer
  /// sees whether the ring orders the two.
  private struct Letters: @unchecked Sendable {
    let memory: UnsafeMutablePointer<Int>
  }

  @Test(arguments: [1, 2, 64])
  func oneProducerOneConsumer(capacity: Int) {
    let total = 50_000
    let ring = SPSCRing<Int>(capacity: capacity)
    let handle = ring.handle
    let letters = Letters(memory: .allocate(capacity: total))
    defer { letters.memory.deallocate() }
    Thread.detachNewThread {
      for number in 0..<total {
        letters.memory[number] = ~number
        while !handle.push(number) { sched_yield() }
      }
    }
    var expected = 0
    var mistakes = 0
    while expected < total {
      guard let number = handle.pop() else {
        sched_yield()
        continue
      }
      if number != expected || letters.memory[number] != ~number { mistakes += 1 }
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
