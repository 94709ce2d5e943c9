import Tables
import Wire

private let portCount = 64

/// Source, destination and input port of a frame, in 16 bytes: the frames themselves are to weigh little on the caches.
private struct FrameKeys {
  let sourceAndPort: UInt64
  let destination: MACAddress

  init(source: MACAddress, port: UInt16, destination: MACAddress) {
    sourceAndPort = source.bits | UInt64(port) << 48
    self.destination = destination
  }

  var source: MACAddress { MACAddress(bits: sourceAndPort) }
  var port: UInt16 { UInt16(truncatingIfNeeded: sourceAndPort >> 48) }
}

/// A full table, and frames between random stations of it.
private final class Stations {
  var table: MACTable
  let frames: UnsafeMutableBufferPointer<FrameKeys>
  var now: UInt32 = 1
  var floodedCount = 0

  init(count: Int, frameCount: Int) {
    table = MACTable(limit: count, portCapacity: portCount, seed: 42)
    var random = SeededGenerator(state: UInt64(count))
    // Locally administered, as containers have them, the rest random.
    let stations = (0..<count).map { _ in MACAddress(bits: random.next() & 0xFEFF_FFFF_FFFF | 0x0200_0000_0000) }
    for (index, station) in stations.enumerated() {
      _ = table.learn(station, port: UInt16(index % portCount), now: now)
    }
    frames = .allocate(capacity: frameCount)
    for index in 0..<frameCount {
      let source = stations[Int(random.next() % UInt64(count))]
      frames.initializeElement(
        at: index,
        to: FrameKeys(
          source: source, port: table.lookup(source), destination: stations[Int(random.next() % UInt64(count))]))
    }
  }

  deinit { frames.deallocate() }
}

/// What the switch does with a frame: learn its source, look its destination up.
@inline(never)
private func forward(_ table: inout MACTable, _ frames: UnsafeMutableBufferPointer<FrameKeys>, now: UInt32) -> UInt64 {
  var sum: UInt64 = 0
  for frame in frames {
    sum &+= UInt64(table.learn(frame.source, port: frame.port, now: now).rawValue)
    sum &+= UInt64(table.lookup(frame.destination))
  }
  return sum
}

@inline(never)
private func lookUp(_ table: borrowing MACTable, _ frames: UnsafeMutableBufferPointer<FrameKeys>) -> UInt64 {
  var sum: UInt64 = 0
  for frame in frames { sum &+= UInt64(table.lookup(frame.destination)) }
  return sum
}

/// One port sends from addresses that were never seen, into a table that is full.
@inline(never)
private func flood(_ table: inout MACTable, from first: Int, count: Int, now: UInt32) {
  for number in first..<first + count {
    _ = table.learn(MACAddress(bits: 0x0600_0000_0000 | UInt64(number)), port: 0, now: now)
  }
}

/// A table with room for all, at first empty.
private final class Newcomers {
  let count: Int
  var table: MACTable

  init(count: Int) {
    self.count = count
    table = MACTable(limit: count, portCapacity: portCount, seed: 42)
  }
}

/// In a large table instructions say little: what counts is how often memory is asked, which only time shows.
private func cases(entries count: Int, frames frameCount: Int, isCounted: Bool) -> [MicroCase] {
  func onStations(_ name: String, _ body: @escaping (Stations) -> Void) -> MicroCase {
    MicroCase(
      "\(name), table of \(count)", operations: frameCount, isCounted: isCounted,
      prepare: { Stations(count: count, frameCount: frameCount) }, body: { body($0) })
  }
  return [
    onStations("MAC lookup") { keep(lookUp($0.table, $0.frames)) },
    onStations("MAC learn and lookup, known") { keep(forward(&$0.table, $0.frames, now: $0.now)) },
    // Every source that has not been seen in this run is moved to the end of its port's list.
    onStations("MAC learn and lookup, known, a new second") {
      $0.now += 1
      keep(forward(&$0.table, $0.frames, now: $0.now))
    },
    MicroCase("MAC learn, new, table of \(count)", operations: count, isCounted: isCounted) {
      Newcomers(count: count)
    } restore: {
      $0.table.flush(port: nil)
    } body: {
      flood(&$0.table, from: 0, count: $0.count, now: 1)
    },
    onStations("MAC learn, new, full") {
      $0.now += 1
      flood(&$0.table, from: $0.floodedCount, count: $0.frames.count, now: $0.now)
      $0.floodedCount += $0.frames.count
    },
  ]
}

var macTableCases: [MicroCase] {
  cases(entries: 8192, frames: 1 << 14, isCounted: true) + cases(entries: 1_000_000, frames: 1 << 20, isCounted: false)
}
