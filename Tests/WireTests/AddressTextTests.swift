import Glibc
import Support
import Testing
import Wire

/// Text and addresses as inet_pton(3) and inet_ntop(3) have them.
@Suite struct AddressTextTests {
  private func parsed(_ text: String, family: Int32, length: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: length)
    return inet_pton(family, text, &bytes) == 1 ? bytes : nil
  }

  private func printed(_ address: IPv6Address) -> String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    let length = unsafe inet_ntop(AF_INET6, address.bytes, &text, socklen_t(text.count)).map { strlen($0) } ?? 0
    return String(decoding: text[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  @Test func printsAsTheLibraryDoes() {
    var random = SeededGenerator(seed: 11)
    for _ in 0..<5000 {
      // Many groups of zeros.
      var bits: UInt128 = 0
      for _ in 0..<8 {
        bits = bits << 16 | (random.below(2) == 0 ? 0 : UInt128(random.next() & 0xFFFF >> random.below(13)))
      }
      let address = IPv6Address(bits: bits)
      // The library still writes the addresses of ::/96 with a dotted quad, RFC 5952, 5 leaves it open.
      if bits >> 32 != 0 { #expect(address.description == printed(address)) }
      #expect(IPv6Address(address.description) == address)
    }
  }

  @Test func readsAsTheLibraryDoes() {
    var random = SeededGenerator(seed: 12)
    let seeds = [
      "2001:db8::8:800:200c:417a", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.33", "1::", "::1", "192.0.2.1", "10.0.0.255",
    ]
    let letters = Array(":::..0123456789aFg ")
    for _ in 0..<20_000 {
      var text = Array(seeds[random.below(seeds.count)])
      for _ in 0...random.below(3) {
        let index = random.below(text.count)
        switch random.below(3) {
        case 0: text[index] = letters[random.below(letters.count)]
        case 1: text.insert(letters[random.below(letters.count)], at: index)
        default: if text.count > 1 { text.remove(at: index) }
        }
      }
      let string = String(text)
      #expect(IPv6Address(string)?.bytes == parsed(string, family: AF_INET6, length: 16), "\(string)")
      #expect(IPv4Address(string)?.bytes == parsed(string, family: AF_INET, length: 4), "\(string)")
    }
  }
}
