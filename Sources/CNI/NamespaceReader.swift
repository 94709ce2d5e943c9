import Glibc
import Netlink
import SystemCalls
import Wire

/// What a container's network namespace holds.
public struct NamespaceContents: Equatable, Sendable {
  public struct Interface: Equatable, Sendable {
    public var name: String
    public var mac: MACAddress?
    public var isUp: Bool
    public var addresses: [IPPrefix]

    public init(name: String, mac: MACAddress?, isUp: Bool, addresses: [IPPrefix]) {
      (self.name, self.mac, self.isUp, self.addresses) = (name, mac, isUp, addresses)
    }
  }
  public var interfaces: [Interface]
  /// Destinations in the main table.
  public var routes: [IPPrefix]

  public init(interfaces: [Interface], routes: [IPPrefix]) {
    (self.interfaces, self.routes) = (interfaces, routes)
  }
}

public protocol NamespaceReader: Sendable {
  /// nil: no network namespace is there.
  func contents(at path: String) throws(CNIError) -> NamespaceContents?
  /// Whether it is this process's own. False where none is there.
  func isOwn(_ path: String) -> Bool
}

/// As the kernel has it.
public struct KernelNamespaceReader: NamespaceReader {
  public init() {}

  public func contents(at path: String) throws(CNIError) -> NamespaceContents? {
    do throws(Errno) {
      let namespace = try NetworkNamespace(path: path)
      var socket = try RouteSocket(in: namespace)
      let addresses = try socket.addresses()
      let interfaces = try socket.links().map { link in
        NamespaceContents.Interface(
          name: link.name, mac: link.mac, isUp: link.isUp,
          addresses: addresses.filter { $0.linkIndex == link.index }.map(\.prefix))
      }
      let table = Route.Table.main
      let routes = try socket.routes(.ipv4, table: table) + socket.routes(.ipv6, table: table)
      return NamespaceContents(
        interfaces: interfaces, routes: routes.filter { $0.kind == .unicast }.map(\.destination))
    } catch let error where [ENOENT, ENOTDIR, EINVAL].contains(error.code) {
      return nil
    } catch {
      throw CNIError(.ioFailure, "\(error)")
    }
  }

  public func isOwn(_ path: String) -> Bool {
    do throws(Errno) {
      return try NetworkNamespace(path: path).identity == NetworkNamespace.current().identity
    } catch {
      return false
    }
  }
}
