import CLinux
import ControlModel
import Glibc
import Netlink
import SystemCalls
import Wire

/// The scope of a link-local address (RFC 4007, 11).
enum HostScope {
  /// An interface's index, by name or number; 0 where there is none.
  static func index(of zone: String) -> UInt32 { UInt32(zone) ?? if_nametoindex(zone) }
}

extension KernelHostNetwork {
  /// RFC 1035, 4.2.
  private static let namePort: UInt16 = 53
  private static let backlog: Int32 = 128

  public func openNameSockets(
    at address: IPAddress, in namespace: NamespaceReference
  ) throws(ControlError) -> NameSockets {
    let opened = try open(namespace)
    var end = martlet_make_socket_address(address.bytes, address.isIPv6 ? 1 : 0, Self.namePort)
    let what = "open port \(Self.namePort) of \(address)"
    do throws(Errno) {
      return try opened.run { () throws(Errno) in
        let datagrams = try check(martlet_relay_bind_datagrams(&end, 0), what)
        let streams = try check(martlet_relay_listen(&end, 0, Self.backlog), what)
        return NameSockets(datagrams: FileDescriptor(owning: datagrams), streams: FileDescriptor(owning: streams))
      }
    } catch let error where error.code == EADDRINUSE {
      throw ControlError(
        .conflict, "port \(Self.namePort) of \(address) is already in use by \(user(ofNamesAt: address, in: opened))")
    } catch {
      throw ControlError(error)
    }
  }

  private func user(ofNamesAt address: IPAddress, in namespace: borrowing NetworkNamespace) -> String {
    for transport in [TransportProtocol.udp, .tcp] {
      let users = (try? PortUser.users(of: Self.namePort, protocol: transport, in: namespace)) ?? []
      if let user = users.first(where: { $0.processID != nil && ($0.address.isUnspecified || $0.address == address) }) {
        return "\(user.processName ?? "a program") (pid \(user.processID!))"
      }
    }
    return "a program"
  }
}
