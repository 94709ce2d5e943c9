import CLibmnl
import Glibc
import SystemCalls
import Wire

/// A socket that has a local port (linux/inet_diag.h), and the process that holds it.
public struct PortUser: Hashable, Sendable {
  /// 0.0.0.0 or :: where it takes all.
  public let address: IPAddress
  public let port: UInt16
  /// The interface to which it is bound (SO_BINDTODEVICE), if any.
  public let linkIndex: Int32?
  /// It is bound to :: for IPv6 alone (IPV6_V6ONLY); otherwise :: takes IPv4's port too.
  public let isIPv6Only: Bool
  /// Of the socket, as `/proc/PID/fd` shows it; 0 where no process holds it (an orphaned or a kernel's socket).
  public let inode: UInt64
  /// nil where none was found: in another PID namespace, or hidden from us.
  public internal(set) var processID: Int32?
  /// At most 15 bytes (`/proc/PID/comm`).
  public internal(set) var processName: String?
}

extension PortUser {
  /// Sockets of both families that keep `port` from others in `namespace`: TCP's that listen or are bound, UDP's that are
  /// bound or connected. Not single connections of TCP. Those that are bound but do not listen are seen since Linux 6.8.
  ///
  /// Walks /proc for the processes: milliseconds, or 0.15 s on a host with ten thousand open descriptors. ENOENT where the
  /// kernel has no inet_diag.
  public static func users(
    of port: UInt16, protocol transport: TransportProtocol, in namespace: borrowing NetworkNamespace
  ) throws(Errno) -> [PortUser] {
    let states: SocketStates = transport == .tcp ? [.listen, .close, .boundInactive] : .all
    var socket = try NetlinkSocket(NETLINK_SOCK_DIAG, in: namespace)
    var users: [PortUser] = []
    for family in AddressFamily.allCases {
      let request = Request(socketsOf: family, transport, states, port: port)
      users += try socket.dump(request, "list sockets of port \(port)") { PortUser($0) }
        // UDP's filter and TCP's do not agree on what 0 stands for.
        .filter { $0.port == port }
    }
    let processes = SocketHolder.find(Set(users.map(\.inode)))
    for index in users.indices {
      guard let process = processes[users[index].inode] else { continue }
      users[index].processID = process.processID
      users[index].processName = process.name
    }
    return users
  }

  /// All local ports that sockets of `namespace` have, on whatever address: bound, listening, connected, or closing. What
  /// a translator must not take on an address that it shares with the host. ENOENT where the kernel has no inet_diag.
  public static func boundPorts(
    protocol transport: TransportProtocol, in namespace: borrowing NetworkNamespace
  ) throws(Errno) -> Set<UInt16> {
    var socket = try NetlinkSocket(NETLINK_SOCK_DIAG, in: namespace)
    var ports: Set<UInt16> = []
    for family in AddressFamily.allCases {
      let request = Request(socketsOf: family, transport, .all, port: nil)
      ports.formUnion(
        try socket.dump(request, "list sockets") { message in
          message.socket.map { UInt16(bigEndian: $0.id.idiag_sport) }
        })
    }
    // 0: a socket that has none yet.
    ports.remove(0)
    return ports
  }
}

/// A bit for each state (TCP_* of net/tcp_states.h, which UDP uses as well: connected or not).
struct SocketStates: OptionSet {
  let rawValue: UInt32
  static let all = SocketStates(rawValue: .max)
  static let close = SocketStates(rawValue: 1 << 7)
  static let listen = SocketStates(rawValue: 1 << 10)
  /// Bound, but not listening. Kernels before 6.8 do not look at the bit.
  static let boundInactive = SocketStates(rawValue: 1 << 13)
}

extension Request {
  /// `port` nil stands for all.
  fileprivate init(
    socketsOf family: AddressFamily, _ transport: TransportProtocol, _ states: SocketStates, port: UInt16?
  ) {
    var header = inet_diag_req_v2()
    header.sdiag_family = family.rawValue
    header.sdiag_protocol = transport.rawValue
    header.idiag_states = states.rawValue
    header.id.idiag_sport = (port ?? 0).bigEndian
    self.init(Int(SOCK_DIAG_BY_FAMILY), flags: 0, header)
  }
}

extension Message {
  fileprivate var socket: inet_diag_msg? { type == Int(SOCK_DIAG_BY_FAMILY) ? family(inet_diag_msg.self) : nil }
}

extension PortUser {
  fileprivate init?(_ message: Message) {
    guard let socket = message.socket, let family = AddressFamily(rawValue: socket.idiag_family),
      let address = withUnsafeBytes(
        of: socket.id.idiag_src, { IPAddress(bytes: $0.prefix(family.everything.address.bytes.count)) })
    else { return nil }
    let linkIndex = Int32(bitPattern: socket.id.idiag_if)
    self.init(
      address: address.withoutMapping, port: UInt16(bigEndian: socket.id.idiag_sport),
      linkIndex: linkIndex == 0 ? nil : linkIndex,
      isIPv6Only: message.attributes(after: inet_diag_msg.self)
        .contains { $0.type == INET_DIAG_SKV6ONLY && $0.uint8 == 1 },
      inode: UInt64(socket.idiag_inode))
  }
}

extension IPAddress {
  /// The IPv4 address in ::ffff:0:0/96 (RFC 4291, 2.5.5.2), by which a socket of IPv6 is bound to it.
  fileprivate var withoutMapping: IPAddress {
    guard isIPv6, bits >> 32 == 0xFFFF else { return self }
    return .v4(IPv4Address(bits: UInt32(truncatingIfNeeded: bits)))
  }
}
