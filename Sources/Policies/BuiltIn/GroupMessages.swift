import Datapath
import Wire

// What snooping reads of IGMP (RFC 1112, 2236, 3376) and MLD (RFC 2710, 3810). Checksums are not looked at: who would fake a message can
// make a right one.

/// IPv4 or IPv6, by a group's MAC address.
enum GroupFamily {
  case ipv4, ipv6

  /// nil: no IP multicast (RFC 1112, 6.4; RFC 2464, 7).
  @inline(__always)
  init?(_ mac: MACAddress) {
    if mac.bits >> 24 == 0x01_005E && mac.bits & 0x80_0000 == 0 {
      self = .ipv4
    } else if mac.bits >> 32 == 0x3333 {
      self = .ipv6
    } else {
      return nil
    }
  }

  /// Of 224.0.0.0/24, or of ff02::1: their members do not report them (RFC 4541, 2.1.2 and 3).
  func isForAll(_ group: MACAddress) -> Bool {
    self == .ipv4 ? group.bits & 0x7F_FF00 == 0 : group.bits == 0x3333_0000_0001
  }

  /// Stands for the family's querier where a group's address would.
  var querier: MACAddress { MACAddress(bits: self == .ipv4 ? 2 : 3) }
}

/// What a multicast frame says of groups.
enum GroupMessage {
  case none
  /// - isFromRouter: not from a switch that asks in a router's place (RFC 4541, 2.1.1).
  case query(isFromRouter: Bool)
  /// Joins or leaves: `MembershipChanges` reads which.
  case report

  init(_ frame: borrowing Frame, _ family: GroupFamily) {
    guard let type = MembershipChanges.type(of: frame, family) else {
      self = .none
      return
    }
    switch (family, type.type) {
    case (.ipv4, 0x11): self = .query(isFromRouter: type.isFromRouter)
    case (.ipv4, 0x12), (.ipv4, 0x16), (.ipv4, 0x17), (.ipv4, 0x22): self = .report
    // From a link-local address, or it is to be ignored (RFC 3810, 5.1.14).
    case (.ipv6, 130): self = .query(isFromRouter: type.isFromRouter)
    case (.ipv6, 131), (.ipv6, 132), (.ipv6, 143): self = .report
    default: self = .none
    }
  }
}

/// The groups that a message joins or leaves, one after the other.
struct MembershipChanges {
  struct Change {
    var group: MACAddress
    var isJoin: Bool
  }

  /// Of a message with records of several groups: where the next one begins, from the frame's start; else of its only group.
  private var offset = 0
  /// Behind the message.
  private var end = 0
  private var recordsLeft = 0
  private var only: Change?
  private let family: GroupFamily

  /// The frame is a report.
  init(_ frame: borrowing Frame, _ family: GroupFamily) {
    self.family = family
    guard let type = Self.type(of: frame, family) else { return }
    offset = type.offset
    end = type.end
    switch (family, type.type) {
    case (.ipv4, 0x12), (.ipv4, 0x16): only = group(in: frame, at: offset + 4).map { Change(group: $0, isJoin: true) }
    case (.ipv4, 0x17): only = group(in: frame, at: offset + 4).map { Change(group: $0, isJoin: false) }
    case (.ipv6, 131): only = group(in: frame, at: offset + 8).map { Change(group: $0, isJoin: true) }
    case (.ipv6, 132): only = group(in: frame, at: offset + 8).map { Change(group: $0, isJoin: false) }
    default:
      guard offset + 8 <= end else { return }
      recordsLeft = Int(frame.bytes.unsafeLoadUnaligned(fromByteOffset: offset + 6, as: UInt16.self).bigEndian)
      offset += 8
    }
  }

  /// nil: there is none left, or what follows is not whole.
  mutating func next(_ frame: borrowing Frame) -> Change? {
    if let change = only {
      only = nil
      return change
    }
    let addressLength = family == .ipv4 ? 4 : 16
    // Each turn takes at least eight bytes: the message's length bounds the walk.
    while recordsLeft > 0, offset + 4 + addressLength <= end {
      recordsLeft -= 1
      // Type, length of auxiliary data in words, number of sources, group, sources (RFC 3376, 4.2.4; RFC 3810, 5.2).
      let kind = frame.bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
      let auxiliary = Int(frame.bytes.unsafeLoad(fromByteOffset: offset + 1, as: UInt8.self)) * 4
      let sources = Int(frame.bytes.unsafeLoadUnaligned(fromByteOffset: offset + 2, as: UInt16.self).bigEndian)
      let found = group(in: frame, at: offset + 4)
      offset += 4 + addressLength * (1 + sources) + auxiliary
      guard offset <= end else { return nil }
      if let found, let isJoin = Self.isJoin(kind, sources) { return Change(group: found, isJoin: isJoin) }
    }
    return nil
  }

  /// Sources are not told apart: who wants any wants the group. nil: nothing that counts.
  private static func isJoin(_ kind: UInt8, _ sources: Int) -> Bool? {
    switch kind {
    // Is, and changes to, INCLUDE: of no sources, it is nobody's.
    case 1: sources > 0 ? true : nil
    case 3: sources > 0
    // Is, and changes to, EXCLUDE; new sources.
    case 2, 4, 5: true
    default: nil
    }
  }

  /// The MAC address of the group whose IP address stands there; nil where it is none, or beyond the message.
  private func group(in frame: borrowing Frame, at offset: Int) -> MACAddress? {
    guard offset + (family == .ipv4 ? 4 : 16) <= end else { return nil }
    let place = family == .ipv4 ? offset : offset + 12
    let low = UInt64(frame.bytes.unsafeLoadUnaligned(fromByteOffset: place, as: UInt32.self).bigEndian)
    let first = frame.bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    if family == .ipv6 { return first == 0xFF ? MACAddress(bits: 0x3333_0000_0000 | low) : nil }
    return first >> 4 == 0xE ? MACAddress(bits: 0x0100_5E00_0000 | low & 0x7F_FFFF) : nil
  }

  /// Of an IGMP or ICMPv6 message: its type, where it lies in the frame, and whether a router may be its source. nil: it is none.
  static func type(
    of frame: borrowing Frame, _ family: GroupFamily
  ) -> (type: UInt8, offset: Int, end: Int, isFromRouter: Bool)? {
    guard let ethernet = EthernetView(frame.bytes), let payload = EthernetPayload(ethernet) else { return nil }
    if family == .ipv4 {
      guard payload.etherType == .ipv4, let packet = IPv4View(payload.bytes), packet.protocol == .igmp,
        !packet.isFragment, packet.payload.byteCount >= 8
      else { return nil }
      let offset = payload.offset + packet.headerLength
      let type = packet.payload.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
      return (type, offset, payload.offset + packet.totalLength, packet.source.bits != 0)
    }
    guard payload.etherType == .ipv6, let packet = IPv6View(payload.bytes), packet.hopLimit == 1,
      let upper = IPv6UpperLayer(packet), upper.protocol == .icmpv6, !upper.isFragment, upper.bytes.byteCount >= 8
    else { return nil }
    let offset = payload.offset + upper.offset
    let type = upper.bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
    return (type, offset, offset + upper.bytes.byteCount, packet.source.bits >> 118 == 0xFE80 >> 6)
  }
}
