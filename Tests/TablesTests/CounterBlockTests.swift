import Foundation
import Tables
import Testing

@Suite struct CounterBlockTests {
  @Test func countsFromZero() {
    let block = CounterBlock(count: 3)
    block.handle.add(1, 40)
    block.handle.add(1, 2)
    block.handle.add(2)
    #expect((0..<3).map { block.handle[$0] } == [0, 42, 1])
  }

  @Test func wraps() {
    let block = CounterBlock(count: 1)
    block.handle.add(0, .max)
    block.handle.add(0, 3)
    #expect(block.handle[0] == 2)
  }

  /// For the thread sanitizer above all; a reader must never see a counter go back.
  @Test func oneWriterOneReader() {
    let block = CounterBlock(count: 2)
    let handle = block.handle
    let additions: UInt64 = 200_000
    Thread.detachNewThread {
      for _ in 0..<additions { handle.add(1) }
    }
    var last: UInt64 = 0
    var mistakes = 0
    while last < additions {
      let seen = handle[1]
      if seen < last { mistakes += 1 }
      last = seen
    }
    #expect(mistakes == 0)
    #expect(handle[0] == 0)
  }

  @Test func indicesAreChecked() async {
    await #expect(processExitsWith: .failure) {
      let block = CounterBlock(count: 1)
      block.handle.add(1)
    }
    await #expect(processExitsWith: .failure) {
      let block = CounterBlock(count: 1)
      _ = block.handle[-1]
    }
  }
}
