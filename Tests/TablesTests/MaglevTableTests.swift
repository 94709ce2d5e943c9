import Testing
import Wire

@testable import Tables

@Suite("Maglev's table")
struct MaglevTableTests {
  private static func identities(_ count: Int) -> [UInt128] {
    (0..<count).map { IPv4Address(bits: 0x0A00_0002 + UInt32($0)).mapped }
  }

  private static func shares(_ table: borrowing MaglevTable) -> [UInt128: Int] {
    var shares: [UInt128: Int] = [:]
    for place in 0..<MaglevTable.size { shares[table[place], default: 0] += 1 }
    return shares
  }

  @Test("its size is a prime, over a hundred places for each of the most members")
  func prime() {
    let size = MaglevTable.size
    #expect(!(2..<size).contains { $0 * $0 <= size && size % $0 == 0 })
    #expect(size > 100 * MaglevTable.memberCountMax)
  }

  @Test("members have the same share, to within one place", arguments: [1, 2, 3, 10, 255, 512])
  func balance(count: Int) {
    let shares = Self.shares(MaglevTable(Self.identities(count)))
    #expect(shares.count == count)
    #expect(shares.values.max()! - shares.values.min()! <= 1)
  }

  @Test("so have they of flows, by their hash, to within a few per cent")
  func balanceOfFlows() {
    let table = MaglevTable(Self.identities(5))
    let hash = KeyedHash(seed: 7)
    var shares: [UInt128: Int] = [:]
    for number in 0..<100_000 {
      let remote = IPv4Address(bits: 0xC000_0200 + UInt32(number & 0xFF)).mapped
      shares[table[MaglevTable.place(of: hash(remote, UInt64(number >> 8)))], default: 0] += 1
    }
    for share in shares.values { #expect(abs(share - 20_000) < 600) }
  }

  @Test("of those that stay, few places change hands when a member goes or comes", arguments: [2, 3, 10, 100])
  func disruption(count: Int) {
    let identities = Self.identities(count)
    let before = MaglevTable(identities)
    let after = MaglevTable(Array(identities.dropLast()))
    var moved = 0
    for place in 0..<MaglevTable.size where before[place] != identities.last && before[place] != after[place] {
      moved += 1
    }
    // With a table over a hundred times the members, in the paper's figure 12 too; a hash modulo the number moves nearly all.
    #expect(moved < MaglevTable.size / 25)
  }

  @Test("whoever knows the same members has the same table, whatever their order, and what comes twice counts once")
  func order() {
    var identities = Self.identities(20)
    let first = MaglevTable(identities)
    identities.shuffle()
    let second = MaglevTable(identities + identities.prefix(3))
    #expect(second.memberCount == 20)
    #expect((0..<MaglevTable.size).allSatisfy { first[$0] == second[$0] })
    #expect((0..<20).map { second.member(at: $0) } == Self.identities(20))
  }

  @Test("the table stays as it is from version to version: hosts of a cluster are not all updated at once")
  func stability() {
    let table = MaglevTable(Self.identities(3))
    var digest: UInt64 = 0
    for place in 0..<MaglevTable.size {
      digest = scrambled(digest ^ UInt64(truncatingIfNeeded: table[place]))
    }
    // By the paper's pseudo-code 1, written out in Python, permutations and all.
    #expect(digest == 0x716A_80F0_CB91_326A)
  }

  @Test("the first and the last hash lead to a place")
  func places() {
    #expect(MaglevTable.place(of: 0) == 0 && MaglevTable.place(of: .max) == MaglevTable.size - 1)
  }
}
