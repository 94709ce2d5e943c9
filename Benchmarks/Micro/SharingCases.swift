import Tables

private let elementCount = 1 << 16

private final class Ring {
  let ring = SPSCRing<UInt64>(capacity: 1024)
}

private final class Counters {
  let block = CounterBlock(count: 16)
}

@inline(never)
private func count(_ counters: CounterHandle) {
  for index in 0..<elementCount { counters.add(index & 15, UInt64(index)) }
}

@inline(never)
private func pushAndPop(_ ring: SPSCHandle<UInt64>) -> UInt64 {
  var sum: UInt64 = 0
  for index in 0..<UInt64(elementCount) {
    _ = ring.push(index)
    sum &+= ring.pop() ?? 0
  }
  return sum
}

var sharingCases: [MicroCase] {
  [
    MicroCase("counter, addition", operations: elementCount) {
      Counters()
    } body: { counters in
      count(counters.block.handle)
    },
    MicroCase("ring, push and pop, one thread", operations: elementCount) {
      Ring()
    } body: { ring in
      keep(pushAndPop(ring.ring.handle))
    },
  ]
}
