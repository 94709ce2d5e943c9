/// A frame of the least length, from a station to be learned or to one that may have been.
///
/// Layout: 0 destination, 6 source, 12 EtherType; then, little endian, 14 magic, 22 seed, 30 index; zeros to the end.
enum StationFrame {
  /// Local experimental, which no stack answers (IEEE 802, 9.2.4).
  static let etherType: UInt16 = 0x88B5
  /// Without the check sequence (IEEE 802.3, 3.2.8).
  static let bytes = 60

  private static let magicOffset = 14
  private static let seedOffset = 22
  private static let indexOffset = 30

  /// "mac-lrn1" and "mac-prb1", so that a capture can be read.
  enum Kind: UInt64 {
    /// From a station to the tester.
    case learning = 0x316e_726c_2d63_616d
    /// From the tester to a station.
    case probe = 0x3162_7270_2d63_616d
  }

  static func write(_ kind: Kind, _ station: Station, into frame: UnsafeMutableRawBufferPointer) {
    let tester = Station.tester(seed: station.seed)
    let (destination, source) = kind == .learning ? (tester, station) : (station, tester)
    write(address: destination.address, into: frame, at: 0)
    write(address: source.address, into: frame, at: 6)
    frame.storeBytes(of: etherType.bigEndian, toByteOffset: 12, as: UInt16.self)
    frame.storeBytes(of: kind.rawValue.littleEndian, toByteOffset: magicOffset, as: UInt64.self)
    frame.storeBytes(of: station.seed.littleEndian, toByteOffset: seedOffset, as: UInt64.self)
    frame.storeBytes(of: station.index.littleEndian, toByteOffset: indexOffset, as: UInt64.self)
  }

  /// The station that a probe is for; nil for any other frame, and for a probe that was changed on its way.
  static func probed(_ frame: UnsafeRawBufferPointer) -> Station? {
    func field(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: frame.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    guard frame.count >= bytes, field(magicOffset) == Kind.probe.rawValue else { return nil }
    let station = Station(seed: field(seedOffset), index: field(indexOffset))
    let destination = UInt64(bigEndian: frame.loadUnaligned(fromByteOffset: 0, as: UInt64.self)) >> 16
    return destination == station.address ? station : nil
  }

  private static func write(address: UInt64, into frame: UnsafeMutableRawBufferPointer, at offset: Int) {
    for octet in 0..<6 { frame[offset + octet] = UInt8(truncatingIfNeeded: address >> UInt64(40 - 8 * octet)) }
  }
}
