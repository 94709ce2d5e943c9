import Glibc
import Wire

// Theory of operation.
//
// Longest match by one hash table for each prefix length that occurs: a host has routes of five or six lengths, so a lookup
// asks five or six times, the longest first. Built whole by whoever knows the routes, read by one thread, thrown away whole
// when they change: there is no removal. IPv4 prefixes stand as ::ffff:a.b.c.d with 96 more bits.

/// Prefixes of both families, each with a value; fixed memory after it was built.
public struct PrefixTable: ~Copyable {
  public static let limitMax = 65_536

  private struct Entry: BitwiseCopyable {
    var prefix: UInt128 = 0
    var value: UInt32 = 0
    var length: UInt8 = 0
    var next: UInt32 = 0
  }

  private let entries: UnsafeMutablePointer<Entry>
  private let chains: HashChains
  private let hash: KeyedHash
  private let limit: Int
  private var count = 0
  /// Bit n - 1, of 128: there is a prefix of length n.
  private var lengths: UInt128 = 0
  private var defaultValue: UInt32?

  /// - Parameter limit: prefixes at most.
  public init(limit: Int, seed: UInt64) {
    precondition((0...Self.limitMax).contains(limit), "\(limit) prefixes")
    self.limit = limit
    entries = zeroed(limit + 1)
    chains = HashChains(capacity: limit)
    hash = KeyedHash(seed: seed)
  }

  deinit {
    free(entries)
    chains.deallocate()
  }

  private static func mask(_ length: Int) -> UInt128 { length == 0 ? 0 : UInt128.max << UInt128(128 - length) }

  /// The same prefix again takes the new value. Beyond the limit nothing is added.
  /// - Parameter length: 0...128, counted as for IPv6.
  public mutating func insert(_ address: UInt128, length: Int, value: UInt32) {
    guard length > 0 else {
      defaultValue = value
      return
    }
    let prefix = address & Self.mask(length)
    let head = chains.head(hash(prefix, UInt64(length)))
    var index = Int(head.pointee)
    while index != 0 {
      if entries[index].prefix == prefix && Int(entries[index].length) == length {
        entries[index].value = value
        return
      }
      index = Int(entries[index].next)
    }
    guard count < limit else { return }
    count += 1
    entries[count] = Entry(prefix: prefix, value: value, length: UInt8(length), next: head.pointee)
    head.pointee = UInt32(count)
    lengths |= 1 << UInt128(length - 1)
  }

  /// The value of the longest prefix that holds the address.
  public func lookup(_ address: UInt128) -> UInt32? {
    var left = lengths
    while left != 0 {
      let length = 128 - left.leadingZeroBitCount
      let prefix = address & Self.mask(length)
      var index = Int(chains.head(hash(prefix, UInt64(length))).pointee)
      while index != 0 {
        if entries[index].prefix == prefix && Int(entries[index].length) == length { return entries[index].value }
        index = Int(entries[index].next)
      }
      left &= ~(1 << UInt128(length - 1))
    }
    // A default route of IPv6 is none of IPv4.
    return address >> 32 == 0xFFFF ? nil : defaultValue
  }
}

// Whole tables are handed over, never shared.
extension PrefixTable: @unchecked Sendable {}
