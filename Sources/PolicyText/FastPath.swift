import Datapath
import Wire

/// What finds a flow of common frames in the cache: read from where such frames have it, without a look at what they might be else.
@usableFromInline
struct FastPath: BitwiseCopyable {
  @usableFromInline var cache: FlowCache?
  @usableFromInline let records: UnsafeMutablePointer<RuleRecord>
  @usableFromInline let mask: FlowKey
  @usableFromInline let isDeep: Bool
  @usableFromInline let usesMACs: Bool
  @usableFromInline let usesFlags: Bool
  /// The type, and what there is, of a packet of IPv4 with ports; masked.
  @usableFromInline let plainHeader: UInt64

  init(_ tables: PolicyTables) {
    records = tables.rules.records
    mask = tables.mask
    isDeep = tables.isDeep
    usesMACs = mask.destinationMAC | mask.sourceMAC != 0
    usesFlags = mask.station & FlowKey.flagsBit != 0
    let layers: FlowKey.Layers = [.ipv4, .ports]
    plainHeader = (UInt64(EtherType.ipv4.rawValue) | UInt64(layers.rawValue) << 16) & mask.header
  }

  /// Ethernet's header, IPv4's without options, and TCP's without options, or UDP's with twelve bytes behind it.
  @usableFromInline static let plainLength = 54
  @usableFromInline static let plainPacketLength = 40

  /// Not known also where the frame is not a common one.
  @inlinable
  @inline(__always)
  func find(_ frame: borrowing Frame, in cache: FlowCache) -> FlowOutcome {
    let length = frame.bytes.byteCount
    // Every read below is within `length`; with a check for each there would be as many instructions again.
    let start = frame.bytes.withUnsafeBytes { $0.baseAddress.unsafelyUnwrapped }
    var key = FlowKey(header: 0, station: UInt64(frame.port) << 32 & mask.station, addresses: 0)
    if isDeep {
      guard length >= Self.plainLength else { return FlowOutcome(bits: 0) }
      // Type, version, header length, DSCP and ECN, total length.
      let first = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: 12, as: UInt64.self))
      // Flags and offset of fragments, time to live, protocol.
      let second = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: 20, as: UInt64.self))
      let total = Int(UInt16(truncatingIfNeeded: first >> 32).byteSwapped)
      let transport = second >> 24 & 0xFF
      guard first & 0xFF_FFFF == 0x45_0008, second & 0xFF3F == 0, transport == 6 || transport == 17,
        total >= Self.plainPacketLength, total &- Self.plainPacketLength <= length &- Self.plainLength
      else { return FlowOutcome(bits: 0) }
      let ports = UInt64(UInt32(littleEndian: start.loadUnaligned(fromByteOffset: 34, as: UInt32.self)))
      key.header = (ports << 32 | first & 0xFF00_0000) & mask.header | plainHeader
      key.station |= second & 0xFFFF_0000 & mask.station
      key.addresses =
        UInt64(littleEndian: start.loadUnaligned(fromByteOffset: 26, as: UInt64.self)) & mask.addresses
      if usesFlags && transport == 6 {
        let flags = UInt64(start.load(fromByteOffset: 34 &+ FlowKey.tcpFlagsOffset, as: UInt8.self))
        key.station |= flags << 48 & mask.station | FlowKey.flagsBit
      }
    } else {
      let type = UInt16(bigEndian: start.loadUnaligned(fromByteOffset: 12, as: UInt16.self))
      guard !EtherType(rawValue: type).isVLAN else { return FlowOutcome(bits: 0) }
      key.header = UInt64(type) & mask.header
    }
    if usesMACs {
      key.destinationMAC = frame.destination.bits & mask.destinationMAC
      key.sourceMAC = frame.source.bits & mask.sourceMAC
      return cache.find(key)
    }
    return cache.find(key.header, key.station, key.addresses)
  }
}
