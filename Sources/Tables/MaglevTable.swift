import Glibc

// Theory of operation.
//
// Maglev's consistent hash (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, 3.4). Each
// member prefers the places of the table in an order of its own, which follows from its identity alone: an offset and a skip,
// and since the size is prime the walk comes by every place. Members take turns, each the first place it prefers that is
// free still, until none is. So all have the same share to within one place, a member that goes leaves most of the others' places
// as they were, and whoever knows the same members has the same table.
//
// Built whole by whoever knows the members, read by one thread, thrown away whole when they change.

/// Which member of a set a flow goes to.
public struct MaglevTable: ~Copyable {
  /// Places: a prime, and over a hundred for each member, as the paper asks.
  public static let size = 65_537
  public static let memberCountMax = 512

  private let members: UnsafeMutablePointer<UInt128>
  private let places: UnsafeMutablePointer<UInt16>
  public let memberCount: Int

  /// For the control plane: allocates, and takes about a million steps.
  /// - Parameter identities: at most `memberCountMax`, in any order; what comes twice counts once.
  public init(_ identities: [UInt128]) {
    let sorted = Set(identities).sorted()
    precondition(sorted.count <= Self.memberCountMax, "\(sorted.count) members")
    memberCount = sorted.count
    members = zeroed(max(1, sorted.count))
    places = zeroed(Self.size)
    for (index, identity) in sorted.enumerated() { members[index] = identity }
    if memberCount > 0 { populate() }
  }

  deinit {
    free(members)
    free(places)
  }

  private func populate() {
    let next: UnsafeMutablePointer<Int> = zeroed(memberCount)
    let skips: UnsafeMutablePointer<Int> = zeroed(memberCount)
    let isTaken: UnsafeMutablePointer<Bool> = zeroed(Self.size)
    defer {
      free(next)
      free(skips)
      free(isTaken)
    }
    for index in 0..<memberCount { (next[index], skips[index]) = Self.preference(of: members[index]) }
    var (filled, index) = (0, 0)
    while filled < Self.size {
      var place = next[index]
      while isTaken[place] {
        place &+= skips[index]
        if place >= Self.size { place &-= Self.size }
      }
      (places[place], isTaken[place], next[index]) = (UInt16(index), true, place)
      filled &+= 1
      index = index &+ 1 == memberCount ? 0 : index &+ 1
    }
  }

  /// Where a member's walk begins, and how far it goes with each step.
  private static func preference(of identity: UInt128) -> (offset: Int, skip: Int) {
    let (high, low) = (UInt64(truncatingIfNeeded: identity >> 64), UInt64(truncatingIfNeeded: identity))
    let first = scrambled(scrambled(high) ^ low)
    let second = scrambled(first)
    return (Int(first % UInt64(size)), Int(second % UInt64(size - 1)) + 1)
  }

  /// The place that a flow's hash leads to.
  @inline(__always)
  public static func place(of hash: UInt64) -> Int {
    Int(truncatingIfNeeded: hash.multipliedFullWidth(by: UInt64(size)).high)
  }

  /// The identity of the member at a place; there must be a member.
  @inline(__always)
  public subscript(place: Int) -> UInt128 { members[Int(places[place])] }

  /// The identity of one of the members, in their order, from 0 on.
  public func member(at index: Int) -> UInt128 { members[index] }
}

extension MaglevTable: @unchecked Sendable {}
