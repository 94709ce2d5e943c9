import Foundation
import Netlink
import SystemCalls
import Testing
import Wire

@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct RouteTests {
  /// A route as `ip -j -d route` shows it.
  struct Shown: Decodable, Hashable {
    let dst: String
    var gateway: String?
    var dev: String?
    var type: String?
    var `protocol`: String?
    var metric: UInt32?
    var scope = "global"
  }

  private func shown(_ family: String, table: String, in namespace: TestNamespace) throws -> Set<Shown> {
    Set(try namespace.show(Shown.self, family, "route", "show", "table", table))
  }

  private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }

  /// A TAP with 10.1.0.2/24 and fd00::2/64.
  private func withTAP(_ body: (TestNamespace, inout RouteSocket, Int32) throws -> Void) throws {
    try withTAPs { other, socket, link, _ in
      try other.ip("addr", "add", "10.1.0.2/24", "dev", "tap0")
      try other.ip("addr", "add", "fd00::2/64", "dev", "tap0", "nodad")
      try body(other, &socket, link)
    }
  }

  @Test func version4RoundTrips() throws {
    try withTAP { other, socket, link in
      let gateway = try #require(IPAddress("10.1.0.1"))
      let given = [
        Route(destination: AddressFamily.ipv4.everything, gateway: gateway, linkIndex: link, table: 4711),
        Route(destination: try prefix("10.7.0.0/16"), linkIndex: link, table: 4711, metric: 50),
        Route(destination: try prefix("10.8.0.0/16"), table: 4711, metric: 7, kind: .prohibit),
        Route(destination: try prefix("10.9.0.1/32"), table: 4711, origin: .boot, kind: .blackhole),
      ]
      #expect(try socket.routes(.ipv4, table: 4711).isEmpty)
      for route in given { try socket.addRoute(route) }
      #expect(Set(try socket.routes(.ipv4, table: 4711)) == Set(given))
      #expect(
        try shown("-4", table: "4711", in: other) == [
          Shown(dst: "default", gateway: "10.1.0.1", dev: "tap0", type: "unicast", protocol: "static"),
          Shown(dst: "10.7.0.0/16", dev: "tap0", type: "unicast", protocol: "static", metric: 50, scope: "link"),
          Shown(dst: "10.8.0.0/16", type: "prohibit", protocol: "static", metric: 7),
          Shown(dst: "10.9.0.1", type: "blackhole", protocol: "boot"),
        ])
      for route in given { try socket.removeRoute(route) }
      #expect(try shown("-4", table: "4711", in: other).isEmpty)
      var thrown: Errno?
      do throws(Errno) { try socket.removeRoute(given[0]) } catch { thrown = error }
      #expect(thrown?.code == ESRCH)
    }
  }

  @Test func version6RoundTrips() throws {
    try withTAP { other, socket, link in
      let gateway = try #require(IPAddress("fd00::1"))
      let given = [
        Route(destination: AddressFamily.ipv6.everything, gateway: gateway, linkIndex: link, table: 4711, metric: 9),
        Route(destination: try prefix("fd07::/32"), linkIndex: link, table: 4711, metric: 50),
      ]
      #expect(try socket.routes(.ipv6, table: 4711).isEmpty)
      for route in given { try socket.addRoute(route) }
      #expect(Set(try socket.routes(.ipv6, table: 4711)) == Set(given))
      #expect(
        try shown("-6", table: "4711", in: other) == [
          Shown(dst: "default", gateway: "fd00::1", dev: "tap0", type: "unicast", protocol: "static", metric: 9),
          Shown(dst: "fd07::/32", dev: "tap0", type: "unicast", protocol: "static", metric: 50),
        ])
      for route in given { try socket.removeRoute(route) }
      #expect(try shown("-6", table: "4711", in: other).isEmpty)
    }
  }

  /// IPv6 puts a route that leads nowhere on the loopback, and makes a metric of none.
  @Test func version6FillsIn() throws {
    try withTAP { other, socket, _ in
      let given = Route(destination: try prefix("fd08::/32"), table: 4711, kind: .prohibit)
      try socket.addRoute(given)
      var filled = given
      (filled.linkIndex, filled.metric) = (Link.loopbackIndex, 1024)
      #expect(try socket.routes(.ipv6, table: 4711) == [filled])
      #expect(
        try shown("-6", table: "4711", in: other) == [
          Shown(dst: "fd08::/32", dev: "lo", type: "prohibit", protocol: "static", metric: 1024)
        ])
      try socket.removeRoute(given)
      #expect(try socket.routes(.ipv6, table: 4711).isEmpty)
    }
  }

  @Test func tablesAreKeptApart() throws {
    try withTAP { other, socket, link in
      let route = Route(destination: AddressFamily.ipv4.everything, linkIndex: link)
      try socket.addRoute(route)
      let main = try socket.routes(.ipv4, table: Route.Table.main)
      let connected = Route(
        destination: try prefix("10.1.0.0/24"), linkIndex: link, origin: .kernel, preferredSource: IPAddress("10.1.0.2")
      )
      #expect(main == [route, connected])
      let local = try socket.routes(.ipv4, table: Route.Table.local)
      #expect(local.map(\.kind) == [.local, .broadcast])
      #expect(try socket.routes(.ipv4).count == main.count + local.count)
      #expect(try shown("-4", table: "all", in: other).count == main.count + local.count)
    }
  }

  @Test func addRefusesWhatReplaceReplaces() throws {
    try withTAP { other, socket, link in
      func route(_ gateway: String) -> Route {
        Route(destination: AddressFamily.ipv4.everything, gateway: IPAddress(gateway), linkIndex: link)
      }
      try socket.replaceRoute(route("10.1.0.1"))
      var thrown: Errno?
      do throws(Errno) { try socket.addRoute(route("10.1.0.9")) } catch { thrown = error }
      #expect(thrown?.code == EEXIST)
      #expect(try shown("-4", table: "main", in: other).compactMap(\.gateway) == ["10.1.0.1"])
      try socket.replaceRoute(route("10.1.0.9"))
      #expect(try shown("-4", table: "main", in: other).compactMap(\.gateway) == ["10.1.0.9"])
    }
  }

  @Test func gatewayOutOfReachIsRefusedInTheKernelsWords() throws {
    try withTAP { other, socket, link in
      let attempt = try other.attempt(["ip", "route", "add", "default", "via", "10.99.0.1", "dev", "tap0"])
      let words = try #require(attempt.kernelWords)
      let route = Route(destination: AddressFamily.ipv4.everything, gateway: IPAddress("10.99.0.1"), linkIndex: link)
      var thrown: Errno?
      do throws(Errno) { try socket.addRoute(route) } catch { thrown = error }
      #expect(thrown?.operation == "add route 0.0.0.0/0 via 10.99.0.1 on link \(link) in table 254 (\(words))")
    }
  }
}
