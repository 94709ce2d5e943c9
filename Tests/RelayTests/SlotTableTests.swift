import Support
import Testing

@testable import Relay

@Suite struct SlotTableTests {
  @Test func tokenKeepsItsParts() {
    let token = Token(.client, index: 1 << 20 - 1, part: 65535, generation: 1 << 24 - 1)
    #expect(token.kind == .client && token.part == 65535)
    #expect(token.index == 1 << 20 - 1 && token.generation == 1 << 24 - 1)
    #expect(Token(.listener, index: 0, part: 1, generation: 0) == Token(.listener, part: 1))
  }

  @Test func tokenOfAnEarlierEntryIsNotHeld() throws {
    var table = SlotTable<Int>()
    let first = table.insert(1)
    let index = try #require(first)
    let token = Token(.client, index: index, generation: table.generation(index))
    #expect(table.holds(token))
    table.remove(index)
    #expect(!table.holds(token))
    #expect(table.insert(2) == index)
    #expect(!table.holds(token))
  }

  /// Against an array that does the same.
  @Test func queueKeepsTheOrderInWhichEntriesWereQueued() throws {
    var generator = SeededGenerator(seed: 4)
    var table = SlotTable<Int>()
    var queue: [Int] = []
    var all: Set<Int> = []
    for step in 0..<10_000 {
      switch Int.random(in: 0..<4, using: &generator) {
      case 0 where all.count < 50:
        let index = table.insert(step)
        all.insert(try #require(index))
      case 1:
        guard let index = all.randomElement(using: &generator) else { continue }
        table.queue(index)
        queue.removeAll { $0 == index }
        queue.append(index)
      case 2:
        guard let index = all.randomElement(using: &generator) else { continue }
        table.unqueue(index)
        queue.removeAll { $0 == index }
      default:
        guard let index = queue.first else { continue }
        table.remove(index)
        queue.removeFirst()
        all.remove(index)
      }
      #expect(table.first == queue.first && table.count == all.count && Set(table.indices) == all)
    }
  }
}
