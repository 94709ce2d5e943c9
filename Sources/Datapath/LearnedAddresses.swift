import Tables
import Wire

// Theory of operation.
//
// Where several workers forward the frames of one network, each has an engine and so a MAC table of its own: it reads and
// writes that table without a lock, and shares no cache line with the others. What one engine learns it notes here; its
// worker hands the notes to the others, whose engines learn it too. An address that is known on the same port is noted at
// most once a second, for its age; so the notes are few however many the frames are.
//
// A table may be behind the others by the time a note takes, or by a second where a note was lost because nobody had
// taken those before. A frame to an address that the table lacks is flooded meanwhile, as it would be before it was
// learned: no frame is lost by it.

/// An address that an engine has learned, moved, or seen again.
@frozen
public struct LearnedAddress: BitwiseCopyable, Equatable, Sendable {
  public let mac: MACAddress
  public let port: UInt16
  public let network: UInt16

  @inlinable
  public init(mac: MACAddress, port: UInt16, network: UInt16) {
    (self.mac, self.port, self.network) = (mac, port, network)
  }
}

/// The notes of one engine since they were last taken, in fixed memory. Thread: the engine's.
@frozen
@usableFromInline
struct LearnedAddresses: BitwiseCopyable {
  @usableFromInline let entries: UnsafeMutablePointer<LearnedAddress>
  /// 0: nobody wants to know.
  @usableFromInline let capacity: Int
  @usableFromInline let count: UnsafeMutablePointer<Int>

  init(capacity: Int) {
    entries = .allocate(capacity: capacity)
    count = .allocate(capacity: 1)
    count.initialize(to: 0)
    self.capacity = capacity
  }

  func deallocate() {
    entries.deallocate()
    count.deallocate()
  }

  @inlinable
  @inline(__always)
  func note(_ address: LearnedAddress) {
    guard count.pointee < capacity else { return }
    entries[count.pointee] = address
    count.pointee &+= 1
  }
}

extension Engine {
  /// Hands over what was learned since the last call, the oldest first.
  @inlinable
  @inline(__always)
  public mutating func takeLearned(_ body: (LearnedAddress) -> Void) {
    for index in 0..<learned.count.pointee { body(learned.entries[index]) }
    learned.count.pointee = 0
  }

  /// Learns what another engine has learned. Where the port has meanwhile left the network, nothing happens.
  /// - Parameter now: seconds, as given to `process`.
  public mutating func learn(_ address: LearnedAddress, now: UInt32) {
    let network = networks + Int(address.network)
    guard isNetwork[Int(address.network)], ports[Int(address.port)].network == address.network,
      network.pointee.ageingSeconds > 0
    else { return }
    _ = network.pointee.table.pointee.learn(address.mac, port: address.port, now: now)
  }
}
