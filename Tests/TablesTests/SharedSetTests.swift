import Foundation
import Support
import Tables
import Testing

@Suite("Set shared by threads")
struct SharedSetTests {
  @Test("a key is there until its time has run out, with the value that was said last")
  func expiry() {
    let set = SharedSet(capacity: 8, seed: 1)
    defer { set.deallocate() }
    #expect(!set.contains(7, now: 0) && set.value(of: 7, now: 0) == nil)
    #expect(set.insert(7, value: 3, until: 10, now: 0))
    #expect(set.value(of: 7, now: 9) == 3)
    #expect(!set.contains(7, now: 10))
    #expect(set.insert(7, value: 4, until: 20, now: 9))
    #expect(set.value(of: 7, now: 19) == 4)
    #expect(set.count(now: 19) == 1 && set.count(now: 20) == 0)
    #expect(set.insert(7, value: 5, until: 40, now: 30))
    #expect(set.value(of: 7, now: 39) == 5 && set.count(now: 39) == 1)
    #expect(set.refusals == 0)
  }

  @Test("a key can be shortened and removed; what is not there stays away")
  func removal() {
    let set = SharedSet(capacity: 8, seed: 1)
    defer { set.deallocate() }
    _ = set.insert(7, until: 100, now: 0)
    _ = set.insert(8, until: 100, now: 0)
    set.shorten(7, to: 5, now: 0)
    set.shorten(7, to: 50, now: 0)
    #expect(set.contains(7, now: 4) && !set.contains(7, now: 5))
    set.remove(8, now: 3)
    #expect(!set.contains(8, now: 3))
    set.shorten(9, to: 50, now: 0)
    #expect(!set.contains(9, now: 3) && set.count(now: 3) == 1)
  }

  @Test("0 is no key")
  func zero() {
    let set = SharedSet(capacity: 1, seed: 1)
    defer { set.deallocate() }
    #expect(!set.insert(0, until: 10, now: 0) && !set.contains(0, now: 0))
  }

  @Test("as many keys as it is made for find room, and their places are free again when they have run out")
  func capacity() {
    let set = SharedSet(capacity: 1000, seed: 5)
    defer { set.deallocate() }
    for round in 0..<5 as Range<UInt32> {
      let now = round * 10
      // Consecutive ones, as of any fleet of hosts.
      let keys = (0..<1000).map { UInt64(round) << 32 + 0x0200_0000_0001 + UInt64($0) }
      for key in keys { #expect(set.insert(key, value: UInt16(truncatingIfNeeded: key), until: now + 10, now: now)) }
      for key in keys { #expect(set.value(of: key, now: now + 9) == UInt16(truncatingIfNeeded: key)) }
      #expect(set.count(now: now + 9) == 1000 && set.count(now: now + 10) == 0)
    }
    #expect(set.refusals == 0)
  }

  @Test("when it is full, keys are refused and counted, and none that is there is lost")
  func full() {
    let set = SharedSet(capacity: 8, seed: 1)
    defer { set.deallocate() }
    var kept: [UInt64] = []
    for key in 1...100 as ClosedRange<UInt64> where set.insert(key, until: 10, now: 0) { kept.append(key) }
    #expect((8...16).contains(kept.count) && set.refusals == UInt64(100 - kept.count))
    #expect(kept.allSatisfy { set.contains($0, now: 9) } && set.count(now: 9) == kept.count)
  }

  @Test("a model says the same, whatever is done")
  func model() {
    var random = SeededGenerator(seed: 11)
    let set = SharedSet(capacity: 256, seed: 3)
    defer { set.deallocate() }
    var model: [UInt64: (value: UInt16, expiry: UInt32)] = [:]
    var now: UInt32 = 1
    for _ in 0..<20_000 {
      let key = UInt64(1 + random.below(200))
      switch random.below(8) {
      case 0: now += 1
      case 1:
        set.remove(key, now: now)
        model[key] = nil
      case 2...4:
        let (value, expiry) = (UInt16(random.below(65_536)), now + UInt32(1 + random.below(40)))
        #expect(set.insert(key, value: value, until: expiry, now: now))
        model[key] = (value, expiry)
      default:
        let expected = model[key].flatMap { $0.expiry > now ? $0.value : nil }
        #expect(set.value(of: key, now: now) == expected)
      }
    }
  }

  /// Each thread has a clock of its own, and the set is too small for their keys, so slots change hands all the time. A value says which
  /// key it belongs to.
  @Test("threads that take each other's slots never see the value of another key")
  func threads() async {
    let set = SharedSet(capacity: 8, seed: 9)
    defer { set.deallocate() }
    let mistakes = await withTaskGroup(of: Int.self) { group in
      for thread in 0..<3 as Range<UInt64> {
        group.addTask {
          var random = SeededGenerator(seed: thread)
          var mistakes = 0
          for step in 0..<200_000 as Range<UInt32> {
            let now = step / 4
            let key = UInt64(1 + random.below(60))
            if step & 1 == 0 {
              _ = set.insert(key, value: UInt16(key) &* 257, until: now + 1 + UInt32(random.below(3)), now: now)
            } else if let value = set.value(of: key, now: now), value != UInt16(key) &* 257 {
              mistakes += 1
            }
            if step & 63 == 0 { set.remove(key, now: now) }
          }
          return mistakes
        }
      }
      var sum = 0
      for await count in group { sum += count }
      return sum
    }
    #expect(mistakes == 0)
  }
}
