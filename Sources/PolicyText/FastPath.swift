import Datapath
import Tables
import Wire

/// What finds a flow of common frames in the cache: read from where such frames have it, without a look at what they might be else.
/// Whatever it finds, `FlowKey` would have found. Read through a pointer, word by word as each is wanted.
@usableFromInline
struct FastPath: BitwiseCopyable {
  /// Of the cache.
  @usableFromInline let entries: UnsafeMutablePointer<FlowCache.ShortEntry>
  @usableFromInline let hash: KeyedHash
  @usableFromInline let bucketMask = UInt64(FlowCache.shortBuckets - 1)
  /// The type, and what there is, of a packet of IPv4 with ports; masked.
  @usableFromInline let plainHeader: UInt64
  /// Of the key's words, without what `plainHeader` has, and without what lies behind tags.
  @usableFromInline let headerMask: UInt64
  @usableFromInline let stationMask: UInt64
  @usableFromInline let addressMask: UInt64
  /// The counter of the first rule's hits.
  @usableFromInline let firstHits: Int
  /// Rules look at packets of IPv4 with ports, and neither at MAC addresses nor at TCP's flags.
  let isPlain: Bool
  private let isDeep: Bool
  private let usesFlags: Bool
  private let mask: FlowKey

  init(_ tables: PolicyTables, _ cache: FlowCache) {
    (entries, hash) = (cache.short, cache.hash)
    mask = tables.mask
    isDeep = tables.isDeep
    usesFlags = mask.station & FlowKey.flagsBit != 0
    isPlain = isDeep && mask.destinationMAC | mask.sourceMAC == 0 && !usesFlags
    let layers: FlowKey.Layers = [.ipv4, .ports]
    plainHeader = (UInt64(EtherType.ipv4.rawValue) | UInt64(layers.rawValue) << 16) & mask.header
    headerMask = mask.header & ~0xFF_FFFF
    stationMask = mask.station & 0xFFFF_FFFF_0000
    addressMask = mask.addresses
    firstHits = tables.firstHits
  }

  /// Ethernet's header, IPv4's without options, and TCP's without options, or UDP's with twelve bytes behind it.
  @usableFromInline static let plainLength = 54
  @usableFromInline static let plainPacketLength = 40

  /// Not known also where the frame is not a common one. Only for `isPlain`.
  @inlinable
  @inline(__always)
  static func find(_ frame: borrowing Frame, _ path: UnsafePointer<FastPath>) -> FlowOutcome {
    var (header, station, addresses): (UInt64, UInt64, UInt64) = (0, 0, 0)
    guard readPlain(frame, &header, &station, &addresses) else { return FlowOutcome(bits: 0) }
    header = header & path.pointee.headerMask | path.pointee.plainHeader
    station &= path.pointee.stationMask
    addresses &= path.pointee.addressMask
    let bucket = path.pointee.hash(UInt128(station) << 64 | UInt128(header), addresses) & path.pointee.bucketMask
    let entry = path.pointee.entries + Int(truncatingIfNeeded: bucket &* 2)
    if entry[0].holds(header, station, addresses) { return FlowOutcome(bits: entry[0].outcome) }
    if entry[1].holds(header, station, addresses) { return FlowOutcome(bits: entry[1].outcome) }
    return FlowOutcome(bits: 0)
  }

  /// The words of the key of a packet of IPv4 with ports, but for the type and the layers, with other bits beside.
  /// - Returns: false where it is no such packet, or not a common one.
  @inlinable
  @inline(__always)
  static func readPlain(
    _ frame: borrowing Frame, _ header: inout UInt64, _ station: inout UInt64, _ addresses: inout UInt64
  ) -> Bool {
    let length = frame.bytes.byteCount
    guard length >= Self.plainLength else { return false }
    // Every read is within `plainLength`; with a check for each there would be many instructions more.
    let start = frame.bytes.withUnsafeBytes { $0.baseAddress.unsafelyUnwrapped }
    // Type, version, header length, DSCP and ECN, total length.
    let first = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: 12, as: UInt64.self))
    // Flags and offset of fragments, time to live, protocol.
    let second = UInt64(UInt32(littleEndian: start.loadUnaligned(fromByteOffset: 20, as: UInt32.self)))
    let transport = second >> 24
    let total = UInt64(UInt16(truncatingIfNeeded: first >> 32).byteSwapped)
    guard first & 0xFF_FFFF ^ 0x45_0008 | second & 0xFF3F == 0, transport == 17 || transport == 6,
      total &- UInt64(Self.plainPacketLength) <= UInt64(truncatingIfNeeded: length &- Self.plainLength)
    else { return false }
    let ports = UInt64(UInt32(littleEndian: start.loadUnaligned(fromByteOffset: 34, as: UInt32.self)))
    header = ports << 32 | first & 0xFFFF_FFFF
    station = UInt64(frame.port) << 32 | second
    addresses = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: 26, as: UInt64.self))
    return true
  }

  /// As `find`, for all that is not `isPlain`.
  func find(_ frame: borrowing Frame, in cache: FlowCache) -> FlowOutcome {
    var key = FlowKey()
    if isDeep {
      guard Self.readPlain(frame, &key.header, &key.station, &key.addresses) else { return FlowOutcome(bits: 0) }
      let isTCP = key.station >> 24 & 0xFF == UInt64(IPProtocol.tcp.rawValue)
      key.header = key.header & headerMask | plainHeader
      key.station &= stationMask
      key.addresses &= addressMask
      if usesFlags && isTCP {
        let flags = frame.bytes.unsafeLoad(fromByteOffset: 34 + FlowKey.tcpFlagsOffset, as: UInt8.self)
        key.station |= UInt64(flags) << 48 & mask.station | FlowKey.flagsBit
      }
    } else {
      let type = UInt16(bigEndian: frame.bytes.unsafeLoadUnaligned(fromByteOffset: 12, as: UInt16.self))
      guard !EtherType(rawValue: type).isVLAN else { return FlowOutcome(bits: 0) }
      key.header = UInt64(type) & mask.header
      key.station = UInt64(frame.port) << 32 & mask.station
    }
    key.destinationMAC = frame.destination.bits & mask.destinationMAC
    key.sourceMAC = frame.source.bits & mask.sourceMAC
    return cache.find(key)
  }
}
