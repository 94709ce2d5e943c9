import Support
import Tables
import Testing
import Wire

@Suite struct KnownNeighboursTests {
  private typealias Neighbour = KnownNeighbours.Neighbour

  /// Against a dictionary, with few keys, so that each is set, changed and removed often.
  @Test func `does what a dictionary does`() {
    struct Key: Hashable {
      let address: UInt128
      let network: UInt32
    }
    var random = SeededGenerator(seed: 11)
    var table = KnownNeighbours(seed: 1)
    var model: [Key: Neighbour] = [:]
    for _ in 0..<20_000 {
      let key = Key(address: UInt128(random.below(64)), network: UInt32(random.below(4)))
      switch random.below(40) {
      case 0:
        table.removeAll(network: key.network)
        model = model.filter { $0.key.network != key.network }
      case 1..<15:
        table.remove(key.address, network: key.network)
        model[key] = nil
      default:
        let mac = MACAddress(bits: 0x0200_0000_0000 | UInt64(random.below(1000)))
        let neighbour = Neighbour(mac: mac, isRouter: random.below(2) == 0)
        let isSet = table.set(key.address, network: key.network, to: neighbour)
        #expect(isSet)
        model[key] = neighbour
      }
      let probe = Key(address: UInt128(random.below(64)), network: UInt32(random.below(4)))
      let (found, count) = (table.lookup(probe.address, network: probe.network), table.count)
      #expect(found == model[probe] && count == model.count)
    }
  }

  @Test func `is full at its capacity, and has room again`() {
    var table = KnownNeighbours(seed: 1)
    let neighbour = Neighbour(mac: MACAddress(bits: 2))
    for address in 0..<KnownNeighbours.capacity {
      guard table.set(UInt128(address), network: 1, to: neighbour) else {
        Issue.record("full at \(address)")
        return
      }
    }
    let isOneMore = table.set(1 << 100, network: 1, to: neighbour)
    let isReplaced = table.set(7, network: 1, to: Neighbour(mac: MACAddress(bits: 4)))
    #expect(!isOneMore && isReplaced)
    table.remove(9, network: 1)
    let isInItsPlace = table.set(1 << 100, network: 1, to: neighbour)
    let removed = table.lookup(9, network: 1)
    #expect(isInItsPlace && removed == nil)
    table.removeAll(network: 1)
    let (count, last) = (table.count, table.lookup(7, network: 1))
    #expect(count == 0 && last == nil)
  }

  /// In a full table: some chains hold the same address of another network.
  @Test func `keeps networks apart`() {
    var table = KnownNeighbours(seed: 1)
    var random = SeededGenerator(seed: 12)
    let networks = (0..<36).map { _ in UInt32(truncatingIfNeeded: random.next()) }
    for entry in 0..<KnownNeighbours.capacity {
      _ = table.set(UInt128(entry / 4), network: networks[entry % 4], to: Neighbour(mac: MACAddress(bits: 2)))
    }
    var strangers = 0
    for address in 0..<UInt128(KnownNeighbours.capacity / 4) {
      for network in networks[4...] where table.lookup(address, network: network) != nil { strangers += 1 }
    }
    #expect(strangers == 0)
  }

  @Test func `takes no group address and no zero`() {
    var table = KnownNeighbours(seed: 1)
    let areTaken = [MACAddress.broadcast, .zero].map { table.set(1, network: 1, to: Neighbour(mac: $0)) }
    #expect(areTaken == [false, false])
  }
}
