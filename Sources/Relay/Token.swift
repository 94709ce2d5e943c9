/// The 64 bits that epoll keeps with a descriptor: whose event it is. The generation tells an entry from an earlier one in
/// the same slot, of which events may still come.
struct Token: Hashable {
  enum Kind: UInt64 { case mailbox, listener, datagrams, connection, client }

  static let generationBits: UInt64 = 24
  static let indexBits: UInt64 = 20
  static let partBits: UInt64 = 16

  let rawValue: UInt64

  init(rawValue: UInt64) { self.rawValue = rawValue }

  /// `part`: the place of the port in its range, or the side of a connection.
  init(_ kind: Kind, index: Int = 0, part: Int = 0, generation: UInt32 = 0) {
    rawValue =
      kind.rawValue << (Self.generationBits + Self.indexBits + Self.partBits)
      | UInt64(part) << (Self.generationBits + Self.indexBits)
      | UInt64(index) << Self.generationBits | UInt64(generation)
  }

  var kind: Kind { Kind(rawValue: rawValue >> (Self.generationBits + Self.indexBits + Self.partBits))! }
  var part: Int { Int(rawValue >> (Self.generationBits + Self.indexBits) & (1 << Self.partBits - 1)) }
  var index: Int { Int(rawValue >> Self.generationBits & (1 << Self.indexBits - 1)) }
  var generation: UInt32 { UInt32(rawValue & (1 << Self.generationBits - 1)) }
}
