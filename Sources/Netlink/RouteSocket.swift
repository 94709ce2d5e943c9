import CLibmnl
import SystemCalls

/// A socket to rtnetlink (rtnetlink(7)) of one network namespace, in which it stays wherever its thread goes.
///
/// Each call sends one request and waits for the kernel's answer. Calls are `mutating`: the compiler keeps a socket to
/// one thread at a time. An error carries what was asked, and the kernel's own words where it gave any.
public struct RouteSocket: ~Copyable, Sendable {
  private var netlink: NetlinkSocket

  /// A socket in the calling thread's namespace.
  public init() throws(Errno) { netlink = try NetlinkSocket(NETLINK_ROUTE) }

  /// A socket in `namespace`.
  public init(in namespace: borrowing NetworkNamespace) throws(Errno) {
    netlink = try NetlinkSocket(NETLINK_ROUTE, in: namespace)
  }

  var descriptor: Int32 { netlink.descriptor }

  /// Asks for a change; returns when the kernel has made it.
  mutating func execute(_ request: borrowing Request, _ operation: @autoclosure () -> String) throws(Errno) {
    try netlink.execute(request, operation())
  }

  /// Asks for one object; nil where the kernel says `absent`, an error number.
  mutating func get<Object>(
    _ request: borrowing Request, absent: Int32, _ operation: @autoclosure () -> String,
    parse: (Message) -> Object?
  ) throws(Errno) -> Object? {
    try netlink.get(request, absent: absent, operation(), parse: parse)
  }

  /// Asks for a table.
  mutating func dump<Object>(
    _ request: borrowing Request, _ operation: @autoclosure () -> String, parse: (Message) -> Object?
  ) throws(Errno) -> [Object] {
    try netlink.dump(request, operation(), parse: parse)
  }
}
