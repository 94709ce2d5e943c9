import Support
import Testing
import Wire

@Suite("Prefix translation")
struct PrefixTranslationTests {
  private func translation(_ inside: String, _ outside: String) throws -> PrefixTranslation {
    try #require(PrefixTranslation(inside: IPPrefix(inside)!, outside: IPPrefix(outside)!))
  }

  @Test("the example of RFC 6296, 3.5")
  func example() throws {
    let translation = try translation("fd01:203:405::/48", "2001:db8:1::/48")
    let inside = IPAddress("fd01:203:405:1::1234")!.bits
    let outside = IPAddress("2001:db8:1:d550::1234")!.bits
    #expect(translation.toOutside(inside) == outside)
    #expect(translation.toInside(outside) == inside)
  }

  @Test("back and forth is the same, and the sum does not change", arguments: [32, 48, 56, 64, 96, 112])
  func neutrality(length: Int) throws {
    var random = SeededGenerator(seed: UInt64(length))
    let inside = IPPrefix(address: IPAddress("fd77:1:2:3:4:5:6:7")!, length: length)!.network
    let outside = IPPrefix(address: IPAddress("2001:db8:9:8:7:6:5:4")!, length: length)!.network
    let translation = try #require(PrefixTranslation(inside: inside, outside: outside))
    func sum(_ address: UInt128) -> UInt64 {
      var sum = (0..<8).reduce(UInt64(0)) { $0 + UInt64(UInt16(truncatingIfNeeded: address >> UInt128(16 * $1))) }
      while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
      return sum % 0xFFFF
    }
    for _ in 0..<2000 {
      let host = UInt128.random(in: 0...UInt128.max, using: &random) >> UInt128(length)
      let address = inside.address.bits | host
      let there = try #require(translation.toOutside(address))
      #expect(translation.holds(outside: there) && sum(there) == sum(address))
      let back = try #require(translation.toInside(there))
      // All ones and all zeros are the same number.
      #expect(back == address || sum(back) == sum(address))
    }
  }

  @Test("what cannot be mapped is refused")
  func refusals() {
    #expect(PrefixTranslation(inside: IPPrefix("fd01::/48")!, outside: IPPrefix("2001:db8::/56")!) == nil)
    #expect(PrefixTranslation(inside: IPPrefix("fd01::1/64")!, outside: IPPrefix("2001:db8::/64")!) == nil)
    #expect(PrefixTranslation(inside: IPPrefix("10.0.0.0/8")!, outside: IPPrefix("11.0.0.0/8")!) == nil)
    #expect(PrefixTranslation(inside: IPPrefix("fd01::/120")!, outside: IPPrefix("2001:db8::/120")!) == nil)
  }
}
