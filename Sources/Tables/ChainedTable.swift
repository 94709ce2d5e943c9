import Glibc

/// Values by an IP address and a word, in fixed memory, of which pages are taken as entries come. One thread owns it.
///
/// Chains with a keyed hash. Lookups are the frames'; the rest is the control plane's.
@frozen
public struct ChainedTable<Value: BitwiseCopyable>: ~Copyable {
  @frozen
  @usableFromInline
  struct Entry: BitwiseCopyable {
    @usableFromInline var address: UInt128
    @usableFromInline var word: UInt64
    /// Of the same chain, or of the free ones; 0: no more.
    @usableFromInline var next: UInt32
    @usableFromInline var isTaken: Bool
    @usableFromInline var value: Value
  }

  /// From 1 on.
  @usableFromInline let entries: UnsafeMutablePointer<Entry>
  @usableFromInline let chains: HashChains
  @usableFromInline let hash: KeyedHash
  private let capacity: Int
  /// Entries that have been in use; those that are no longer are in a list.
  private var used: UInt32 = 0
  private var free: UInt32 = 0
  public private(set) var count = 0

  /// - Parameters:
  ///   - capacity: entries at most.
  ///   - seed: a secret for the hash.
  public init(capacity: Int, seed: UInt64) {
    self.capacity = capacity
    entries = zeroed(capacity + 1)
    chains = HashChains(capacity: capacity)
    hash = KeyedHash(seed: seed)
  }

  deinit {
    Glibc.free(entries)
    chains.deallocate()
  }

  /// Where the value stands; nil: there is none.
  @inlinable
  @inline(__always)
  public func find(_ address: UInt128, _ word: UInt64) -> UnsafeMutablePointer<Value>? {
    var index = Int(chains.head(hash(address, word)).pointee)
    while index != 0 {
      let entry = entries + index
      if entry.pointee.address == address && entry.pointee.word == word { return entry.pointer(to: \.value) }
      index = Int(entry.pointee.next)
    }
    return nil
  }

  /// The key must not be there.
  /// - Returns: false where there is no room.
  public mutating func insert(_ address: UInt128, _ word: UInt64, _ value: Value) -> Bool {
    var index = free
    if index != 0 {
      free = entries[Int(index)].next
    } else {
      guard used < capacity else { return false }
      used += 1
      index = used
    }
    let head = chains.head(hash(address, word))
    entries[Int(index)] = Entry(address: address, word: word, next: head.pointee, isTaken: true, value: value)
    head.pointee = index
    count += 1
    return true
  }

  /// Without effect where it is not there.
  public mutating func remove(_ address: UInt128, _ word: UInt64) {
    var link = chains.head(hash(address, word))
    while link.pointee != 0 {
      let index = link.pointee
      let entry = entries + Int(index)
      if entry.pointee.address == address && entry.pointee.word == word {
        link.pointee = entry.pointee.next
        (entry.pointee.next, entry.pointee.isTaken) = (free, false)
        free = index
        count -= 1
        return
      }
      link = entry.pointer(to: \.next)!
    }
  }

  /// Walks all entries.
  public mutating func removeAll(where isOne: (_ word: UInt64, Value) -> Bool) {
    guard count > 0 else { return }
    for index in 1...Int(used) {
      let entry = entries[index]
      if entry.isTaken && isOne(entry.word, entry.value) { remove(entry.address, entry.word) }
    }
  }
}
