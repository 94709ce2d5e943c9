import Support
import Testing
import Wire

@testable import Tables

@Suite("The prefix table")
struct PrefixTableTests {
  @Test("agrees with a search through all prefixes", arguments: [1, 2, 3] as [UInt64])
  func model(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var prefixes: [(prefix: IPPrefix, value: UInt32)] = []
    for value in 0..<300 as Range<UInt32> {
      let isIPv6 = Bool.random(using: &random)
      let bits =
        isIPv6
        ? UInt128(0xFD) << 120 | UInt128.random(in: 0..<(1 << 40), using: &random) << 70
        : UInt128(UInt32.random(in: .min ... .max, using: &random) & 0x0303_FFFF)
      let address = isIPv6 ? IPAddress.v6(IPv6Address(bits: bits)) : .v4(IPv4Address(bits: UInt32(bits)))
      let length = Int.random(in: isIPv6 ? 1...128 : 0...32, using: &random)
      prefixes.append((IPPrefix(address: address, length: length)!.network, value))
    }
    var table = PrefixTable(limit: 300, seed: seed)
    for (prefix, value) in prefixes {
      table.insert(prefix.address.mapped, length: prefix.length + (prefix.isIPv6 ? 0 : 96), value: value)
    }
    for _ in 0..<5000 {
      let near = prefixes.randomElement(using: &random)!.prefix
      let noise = UInt128.random(in: 0..<256, using: &random)
      let address = near.address.sameFamily(bits: near.address.bits ^ noise)
      var best: (length: Int, value: UInt32)?
      for (prefix, value) in prefixes where prefix.contains(address) && prefix.length >= best?.length ?? -1 {
        best = (prefix.length, value)
      }
      #expect(table.lookup(address.mapped) == best?.value)
    }
  }

  @Test("a default route of IPv6 is none of IPv4, and the other way round")
  func defaults() {
    var table = PrefixTable(limit: 2, seed: 1)
    table.insert(0, length: 0, value: 6)
    #expect(table.lookup(IPAddress("10.0.0.1")!.mapped) == nil)
    table.insert(IPv4Address.any.mapped, length: 96, value: 4)
    #expect(table.lookup(IPAddress("10.0.0.1")!.mapped) == 4 && table.lookup(IPAddress("fd00::1")!.mapped) == 6)
  }
}
