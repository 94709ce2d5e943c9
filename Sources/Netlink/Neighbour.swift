import CLibmnl
import Glibc
import SystemCalls
import Wire

/// Who has an address on a link (RTM_NEWNEIGH of rtnetlink(7), linux/neighbour.h): an entry of ARP's cache, or NDP's.
public struct Neighbour: Hashable, Sendable {
  /// NUD_* of linux/neighbour.h, "nud" of ip-neighbour(8).
  public struct State: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let incomplete = State(rawValue: 0x01)
    public static let reachable = State(rawValue: 0x02)
    public static let stale = State(rawValue: 0x04)
    /// In use though stale: will be asked if nothing is heard of it soon.
    public static let delay = State(rawValue: 0x08)
    /// Stale, and being asked.
    public static let probe = State(rawValue: 0x10)
    public static let failed = State(rawValue: 0x20)
    /// Needs no resolution, as a multicast address.
    public static let noARP = State(rawValue: 0x40)
    public static let permanent = State(rawValue: 0x80)
  }

  public var linkIndex: Int32
  public var address: IPAddress
  /// nil while it is being asked for, and where nobody answered.
  public var mac: MACAddress?
  public var state: State

  public init(linkIndex: Int32, address: IPAddress, mac: MACAddress?, state: State) {
    self.linkIndex = linkIndex
    self.address = address
    self.mac = mac
    self.state = state
  }
}

extension Neighbour {
  /// Frames may be sent to `mac` (NUD_VALID).
  public var isValid: Bool { state.rawValue & 0xDE != 0 }
}

extension RouteSocket {
  /// The neighbours of both families on the interface `link`.
  public mutating func neighbours(link: Int32) throws(Errno) -> [Neighbour] {
    var request = Request(RTM_GETNEIGH, flags: 0, ndmsg())
    request.put(Int(NDA_IFINDEX), UInt32(bitPattern: link))
    return try dump(request, "list neighbours of link \(link)") { Neighbour($0) }
  }

  /// Makes the entry, or takes the place of the one with the same address.
  public mutating func replaceNeighbour(_ neighbour: Neighbour) throws(Errno) {
    var request = Request(
      RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_REPLACE,
      ndmsg(neighbour.address, link: neighbour.linkIndex, state: neighbour.state))
    request.put(NDA_DST, neighbour.address)
    if let mac = neighbour.mac { request.put(NDA_LLADDR, mac.bytes) }
    try execute(request, "set neighbour \(neighbour.address) of link \(neighbour.linkIndex)")
  }

  /// Has the kernel do as if it had a packet for `address` (NTF_USE of linux/neighbour.h): one it does not know, or where
  /// nobody answered, it asks for now; one that is stale it asks for after the link's `delay_first_probe_time`, unless it
  /// hears of it before. Returns at once; a `NetworkMonitor` tells what comes of it.
  ///
  /// Not for permanent entries: the kernel would take that from them. The kernel asks from an address of the link of its
  /// own: for IPv6 it must have a link-local one, or else nothing is sent, and the entry fails.
  public mutating func useNeighbour(_ address: IPAddress, link: Int32) throws(Errno) {
    var header = ndmsg(address, link: link, state: Neighbour.State(rawValue: 0))
    header.ndm_flags = UInt8(NTF_USE)
    var request = Request(RTM_NEWNEIGH, flags: NLM_F_CREATE, header)
    request.put(NDA_DST, address)
    try execute(request, "use neighbour \(address) of link \(link)")
  }

  /// ENOENT where there is no such entry.
  public mutating func removeNeighbour(_ address: IPAddress, link: Int32) throws(Errno) {
    var request = Request(RTM_DELNEIGH, flags: 0, ndmsg(address, link: link, state: Neighbour.State(rawValue: 0)))
    request.put(NDA_DST, address)
    try execute(request, "remove neighbour \(address) of link \(link)")
  }

  /// Removes what was learned of `address`, or of all: as `ip neigh flush`, not the permanent entries. None is no error.
  public mutating func flushNeighbours(link: Int32, address: IPAddress? = nil) throws(Errno) {
    for neighbour in try neighbours(link: link)
    where neighbour.state != .permanent && neighbour.state != .noARP
      && neighbour.address == address ?? neighbour.address
    {
      do {
        try removeNeighbour(neighbour.address, link: link)
      } catch {
        // ENOENT: it aged out in between.
        guard error.code == ENOENT else { throw error }
      }
    }
  }
}

extension ndmsg {
  fileprivate init(_ address: IPAddress, link: Int32, state: Neighbour.State) {
    self.init()
    ndm_family = address.family.rawValue
    ndm_ifindex = link
    ndm_state = state.rawValue
  }
}

extension Neighbour {
  /// Of RTM_NEWNEIGH or RTM_DELNEIGH; nil for a bridge's table of MAC addresses, which goes by the same messages.
  init?(_ message: Message) {
    guard message.type == RTM_NEWNEIGH || message.type == RTM_DELNEIGH, let header = message.family(ndmsg.self),
      AddressFamily(rawValue: header.ndm_family) != nil
    else { return nil }
    var address: IPAddress?
    var mac: MACAddress?
    for attribute in message.attributes(after: ndmsg.self) {
      switch attribute.type {
      case NDA_DST: address = IPAddress(bytes: attribute.bytes)
      case NDA_LLADDR: mac = MACAddress(bytes: attribute.bytes)
      default: continue
      }
    }
    guard let address else { return nil }
    self.init(linkIndex: header.ndm_ifindex, address: address, mac: mac, state: State(rawValue: header.ndm_state))
  }
}
