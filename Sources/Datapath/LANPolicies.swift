import Tables
import Wire

// Theory of operation.
//
// A network on the LAN has one special port, its parent: a packet socket on an interface of the host that leads to the LAN.
// The others are endpoints', whose addresses the control plane knows: MAC addresses of their own are static entries of the
// MAC table, IP addresses behind one shared MAC are in an `AddressTable`. So nothing is learned, and nothing is flooded
// because it is unknown: what is no endpoint's is the LAN's. A LAN of any size costs no entry.
//
// The socket's filter lets through what is the endpoints', and group frames. What comes by the parent with a source of our
// own is a frame that the outside has sent back; where it shall do so (`VEPA`), that is how endpoints reach each other.

/// How a network forwards.
@frozen
public enum Forwarding: UInt8, Sendable {
  /// `LearningSwitch`; with separated ports, `SeparatedPorts`.
  case learning
  /// `MACEndpoints`.
  case endpointMACs
  /// `VEPA`.
  case reflected
  /// `PassThrough`.
  case passThrough
  /// `SharedMAC`.
  case sharedMAC
  /// `SharedMAC`, and the outside reflects.
  case sharedMACReflected

  /// Endpoints are found by their IP addresses.
  public var usesAddresses: Bool { self == .sharedMAC || self == .sharedMACReflected }
}

extension NetworkView {
  /// To the LAN, where there is a way.
  @inlinable
  var outside: Verdict { parent == Engine.none ? .drop(.noOtherPort) : .forward(parent) }

  /// From one endpoint to another, or to all.
  @inlinable
  func isForbidden(_ from: UInt16, _ to: UInt16) -> Bool { isIsolated(from) && isIsolated(to) }

  /// The endpoint that has the address, or `MACTable.noPort`. 0 is nobody's.
  @inlinable
  func lookup(_ address: UInt128) -> UInt16 {
    guard address != 0, let addresses else { return MACTable.noPort }
    return addresses.pointee.lookup(address)
  }
}

/// Endpoints with MAC addresses of their own reach each other and the LAN: macvlan's mode bridge; and its mode private, where
/// they are isolated ports.
@frozen
public struct MACEndpoints: ForwardingPolicy {
  @inlinable
  public init() {}

  @inlinable
  @inline(__always)
  public func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    let isGroup = frame.destination.isGroup
    if frame.port == view.parent {
      // All whom it concerns had it when it went out.
      if view.lookup(frame.source) != MACTable.noPort { return .drop(.samePort) }
      if isGroup { return .flood }
      let port = view.lookup(frame.destination)
      return port == MACTable.noPort ? .drop(.noOtherPort) : .forward(port)
    }
    if isGroup { return view.isIsolated(frame.port) ? .floodSeparated : .flood }
    let port = view.lookup(frame.destination)
    if port == MACTable.noPort { return view.outside }
    if port == frame.port { return .drop(.samePort) }
    return view.isForbidden(frame.port, port) ? .drop(.isolated) : .forward(port)
  }
}

/// All that endpoints send leaves by the parent, also what is for each other: the next switch sees it, and sends it back
/// (IEEE 802.1Qbg, "Virtual Ethernet Port Aggregator"). macvlan's mode vepa.
@frozen
public struct VEPA: ForwardingPolicy {
  @inlinable
  public init() {}

  @inlinable
  @inline(__always)
  public func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    guard frame.port == view.parent else { return view.outside }
    let sender = view.lookup(frame.source)
    if frame.destination.isGroup { return sender == MACTable.noPort ? .flood : .floodBeside(sender) }
    let port = view.lookup(frame.destination)
    if port == MACTable.noPort { return .drop(.noOtherPort) }
    return port == sender ? .drop(.samePort) : .forward(port)
  }
}

/// One endpoint has the parent to itself: macvlan's mode passthru.
@frozen
public struct PassThrough: ForwardingPolicy {
  @inlinable
  public init() {}

  @inlinable
  @inline(__always)
  public func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    frame.port == view.parent ? .flood : view.outside
  }
}

/// Endpoints share the parent's MAC address, and frames are theirs by the IP address they are for: ipvlan's mode l2, its
/// flags bridge, private (isolated ports) and vepa.
@frozen
public struct SharedMAC: ForwardingPolicy {
  /// What is for another endpoint leaves too, and the outside sends it back.
  public let isReflected: Bool

  @inlinable
  public init(isReflected: Bool) { self.isReflected = isReflected }

  @inlinable
  @inline(__always)
  public func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    frame.port == view.parent ? inward(frame, view) : outward(frame, view)
  }

  @inlinable
  func inward(_ frame: borrowing Frame, _ view: borrowing NetworkView) -> Verdict {
    var sender = MACTable.noPort
    if frame.source.bits == view.sharedMAC {
      guard isReflected else { return .drop(.samePort) }
      sender = view.lookup(frame.sourceAddress)
    }
    let port = view.lookup(frame.targetAddress)
    if port != MACTable.noPort { return port == sender ? .drop(.samePort) : .forward(port) }
    guard frame.destination.isGroup else { return .drop(.noOtherPort) }
    return sender == MACTable.noPort ? .flood : .floodBeside(sender)
  }

  @inlinable
  func outward(_ frame: borrowing Frame, _ view: borrowing NetworkView) -> Verdict {
    if isReflected { return view.outside }
    if frame.destination.isGroup { return view.isIsolated(frame.port) ? .floodSeparated : .flood }
    guard frame.destination.bits == view.sharedMAC else { return view.outside }
    let port = view.lookup(frame.targetAddress)
    // The host's own, whose MAC address it is as well.
    if port == MACTable.noPort { return .drop(.noOtherPort) }
    if port == frame.port { return .drop(.samePort) }
    return view.isForbidden(frame.port, port) ? .drop(.isolated) : .forward(port)
  }
}

extension Frame {
  @inlinable var etherType: EtherType { EtherType(rawValue: uint16(at: 12)) }

  @inlinable
  func uint16(at offset: Int) -> UInt16 {
    UInt16(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }

  @inlinable
  func ipv4(at offset: Int) -> UInt128 {
    let bits = UInt32(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    return bits == 0 ? 0 : IPv4Address(bits: bits).mapped
  }

  @inlinable
  func ipv6(at offset: Int) -> UInt128 {
    UInt128(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt128.self))
  }

  /// The IP address that the frame is for, as ::ffff:a.b.c.d for IPv4: whose packet it is, or who is asked by ARP (RFC 826) or
  /// by a neighbour solicitation (RFC 4861, 4.3). 0: it does not say. Offsets count from the Ethernet header.
  @inlinable
  var targetAddress: UInt128 {
    switch etherType {
    case .ipv4: return bytes.byteCount >= 14 + 20 ? ipv4(at: 14 + 16) : 0
    case .arp: return bytes.byteCount >= 14 + 28 ? ipv4(at: 14 + 24) : 0
    case .ipv6:
      guard bytes.byteCount >= 14 + 40 else { return 0 }
      let solicitationEnd = 14 + 40 + 24
      if destination.isGroup && bytes.byteCount >= solicitationEnd && isNeighbourSolicitation {
        return ipv6(at: solicitationEnd - 16)
      }
      return ipv6(at: 14 + 24)
    default: return 0
    }
  }

  /// The IP address of whoever sent it. 0: it does not say.
  @inlinable
  var sourceAddress: UInt128 {
    switch etherType {
    case .ipv4: bytes.byteCount >= 14 + 20 ? ipv4(at: 14 + 12) : 0
    case .arp: bytes.byteCount >= 14 + 28 ? ipv4(at: 14 + 14) : 0
    case .ipv6: bytes.byteCount >= 14 + 40 ? ipv6(at: 14 + 8) : 0
    default: 0
    }
  }

  /// Of an IPv6 packet that holds as much. One behind extension headers is none: nobody sends it so.
  @inlinable
  var isNeighbourSolicitation: Bool {
    let type = bytes.unsafeLoadUnaligned(fromByteOffset: 14 + 40, as: UInt8.self)
    let header = bytes.unsafeLoadUnaligned(fromByteOffset: 14 + 6, as: UInt8.self)
    return header == IPProtocol.icmpv6.rawValue && type == ICMPv6Type.neighbourSolicitation.rawValue
  }
}
