/// A datagram that tells whether it arrived as it was sent.
///
/// Layout, little endian: 0 seed, 8 sequence, 16 hash, 24 body. The seed names the run, so that a stray datagram of another run
/// is not taken for one of this. Length and body follow from seed and sequence alone; the hash covers all other bytes,
/// so cutting, joining or exchanging parts of datagrams shows.
struct VerificationDatagram {
  static let headerBytes = 24
  /// Equal sizes in a row are what a switch may coalesce; so long a run, at most, before the size changes.
  private static let longestRun: UInt64 = 16

  let seed: UInt64
  let longestBytes: Int

  enum Finding: Equatable {
    case intact(sequence: UInt64)
    case corrupted
    case foreign
  }

  /// Writes datagram `sequence` and returns its length.
  func write(_ sequence: UInt64, into bytes: UnsafeMutableRawBufferPointer) -> Int {
    let count = length(sequence)
    bytes.storeBytes(of: seed.littleEndian, toByteOffset: 0, as: UInt64.self)
    bytes.storeBytes(of: sequence.littleEndian, toByteOffset: 8, as: UInt64.self)
    var state = Self.mix(seed ^ Self.mix(sequence))
    for index in Self.headerBytes..<max(count, Self.headerBytes) {
      if index % 8 == 0 { state = Self.mix(state) }
      bytes[index] = UInt8(truncatingIfNeeded: state >> UInt64(8 * (index % 8)))
    }
    let hash = Self.hash(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
    bytes.storeBytes(of: hash.littleEndian, toByteOffset: 16, as: UInt64.self)
    return count
  }

  func check(_ bytes: UnsafeRawBufferPointer) -> Finding {
    guard bytes.count >= Self.headerBytes else { return .corrupted }
    let found = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
    let sequence = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    let hash = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
    let isWhole = hash == Self.hash(bytes)
    if found != seed { return isWhole ? .foreign : .corrupted }
    return isWhole && bytes.count == length(sequence) ? .intact(sequence: sequence) : .corrupted
  }

  /// Sizes come in runs of one to sixteen, some closed by a shorter datagram as a GSO frame may be.
  private func length(_ sequence: UInt64) -> Int {
    let block = sequence / Self.longestRun
    let run = 1 + Self.mix(seed ^ block) % Self.longestRun
    let place = sequence % Self.longestRun
    let size = Self.mix(seed &+ block << 8 &+ place / run)
    let range = UInt64(longestBytes - Self.headerBytes + 1)
    let full = size % range
    let isShortTail = place % run == run - 1 && size >> 63 == 1
    return Self.headerBytes + Int(isShortTail ? full / 2 : full)
  }

  /// FNV-1a over all bytes but those of the hash itself.
  private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for index in bytes.indices where !(16..<headerBytes).contains(index) {
      hash = (hash ^ UInt64(bytes[index])) &* 0x100_0000_01b3
    }
    return hash
  }

  /// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
  private static func mix(_ value: UInt64) -> UInt64 {
    var mixed = value &+ 0x9e37_79b9_7f4a_7c15
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
