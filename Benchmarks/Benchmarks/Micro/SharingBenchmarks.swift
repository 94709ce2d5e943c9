import Benchmark
import Foundation
import Tables

private let elementCount = 1 << 20

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

@inline(never)
private func produce(_ ring: SPSCHandle<UInt64>) {
  for index in 0..<UInt64(elementCount) { while !ring.push(index) { sched_yield() } }
}

@inline(never)
private func consume(_ ring: SPSCHandle<UInt64>) -> UInt64 {
  var sum: UInt64 = 0
  var left = elementCount
  while left > 0 {
    guard let element = ring.pop() else {
      sched_yield()
      continue
    }
    sum &+= element
    left -= 1
  }
  return sum
}

func registerSharing() {
  register("counter addition", operations: elementCount) {
    Counters()
  } run: { counters in
    count(counters.block.handle)
  }
  register("ring, push and pop, one thread", operations: elementCount) {
    Ring()
  } run: { ring in
    blackHole(pushAndPop(ring.ring.handle))
  }
  // Needs a core for each thread. Counts the consumer's time.
  register("ring, one element between two threads", operations: elementCount) {
    Ring()
  } run: { ring in
    let handle = ring.ring.handle
    Thread.detachNewThread { produce(handle) }
    blackHole(consume(handle))
  }
}
