import Wire

/// Ids of networks, sandboxes and endpoints: 256 random bits in 64 hexadecimal digits, as Docker's. A swarm gives its networks ids of
/// its own kind, the same on all hosts.
enum Identifier {
  static let length = 64
  /// 128 random bits in base 36 (swarmkit, identity/randomid.go).
  static let swarmLength = 25

  static func random() -> String {
    var generator = SystemRandomNumberGenerator()
    return (0..<4).map { _ in
      let digits = String(generator.next() as UInt64, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }

  static func isWellFormed(_ text: String) -> Bool { text.utf8.count == length && isPrefix(text) }

  /// A swarm's, of a network.
  static func isSwarms(_ text: String) -> Bool {
    text.utf8.count == swarmLength
      && text.utf8.allSatisfy {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
      }
  }

  /// May begin an id of 64 digits. A swarm's is given whole: what begins it may well be a word.
  static func isPrefix(_ text: String) -> Bool {
    text.utf8.allSatisfy {
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
    }
  }

  /// The first twelve digits, as users see and type them.
  static func short(_ id: String) -> String { String(id.prefix(12)) }
}

extension MACAddress {
  /// A unicast address from the locally administered range (IEEE 802-2014, 8.4.4: administratively assigned, `x2`), 02:...
  static func randomLocal(using generator: inout some RandomNumberGenerator) -> MACAddress {
    MACAddress(bits: 0x0200_0000_0000 | generator.next(upperBound: UInt64(1) << 40))
  }
}
