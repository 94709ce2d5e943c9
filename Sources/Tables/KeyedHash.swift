import Glibc

/// A hash with a secret, for tables whose keys strangers choose: who does not know the seed cannot aim at one chain.
///
/// Multiplies 64 by 64 bits and folds the halves, as wyhash does.
@frozen
public struct KeyedHash: BitwiseCopyable, Sendable {
  @usableFromInline let first: UInt64
  @usableFromInline let second: UInt64
  @usableFromInline let third: UInt64

  public init(seed: UInt64) {
    first = scrambled(seed)
    second = scrambled(seed &+ 1)
    third = scrambled(seed &+ 2)
  }

  @inlinable
  @inline(__always)
  static func mixed(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
  }

  @inlinable
  @inline(__always)
  public func callAsFunction(_ address: UInt128, _ word: UInt64) -> UInt64 {
    let folded = Self.mixed(
      UInt64(truncatingIfNeeded: address) ^ first, UInt64(truncatingIfNeeded: address >> 64) ^ second)
    return Self.mixed(folded ^ word, third)
  }

  @inlinable
  @inline(__always)
  public func callAsFunction(_ address: UInt128, _ other: UInt128, _ word: UInt64) -> UInt64 {
    self(address, self(other, word))
  }
}

/// Heads of the chains of a hash table whose entries are numbered from 1 and hold the number of the next in their chain
/// themselves. One thread; `deallocate` ends it.
@frozen
@usableFromInline
struct HashChains: BitwiseCopyable {
  @usableFromInline let heads: UnsafeMutablePointer<UInt32>
  @usableFromInline let mask: UInt64

  /// - Parameter capacity: entries at most; there are at least twice as many chains.
  init(capacity: Int) {
    var count = 16
    while count < 2 * capacity { count *= 2 }
    heads = zeroed(count)
    mask = UInt64(count - 1)
  }

  func deallocate() { free(heads) }

  /// Where the number of the chain's first entry stands; 0: the chain is empty.
  @inlinable
  @inline(__always)
  func head(_ hash: UInt64) -> UnsafeMutablePointer<UInt32> { heads + Int(truncatingIfNeeded: hash & mask) }
}
