import Foundation
import Netlink
import SystemCalls
import Testing
import Wire

/// What a router needs to know of a route, of routes that iproute2 made.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct RoutePathTests {
  private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }

  private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

  /// tap0 with 10.1.0.2/24 and fd01::2/64, tap1 with 10.2.0.2/24 and fd02::2/64.
  private func withAddressedTAPs(
    _ body: (TestNamespace, inout RouteSocket, _ tap0: Int32, _ tap1: Int32) throws -> Void
  ) throws {
    try withTAPs { other, socket, tap0, tap1 in
      try other.ip(batch: [
        "addr add 10.1.0.2/24 dev tap0", "addr add fd01::2/64 dev tap0 nodad",
        "addr add 10.2.0.2/24 dev tap1", "addr add fd02::2/64 dev tap1 nodad",
      ])
      try body(other, &socket, tap0, tap1)
    }
  }

  @Test func version4HasEveryField() throws {
    try withAddressedTAPs { other, socket, tap0, tap1 in
      try other.ip(batch: [
        "route add 10.10.0.0/16 via inet6 fd01::9 dev tap0 table 77",
        "route add 10.11.0.0/16 via 10.1.0.9 mtu 1400 src 10.2.0.2 metric 5 table 77",
        "route add 10.12.0.0/16 via 192.0.2.1 dev tap0 onlink table 77",
        "route add 10.13.0.0/16 table 77 nexthop via 10.1.0.9 weight 2 nexthop via inet6 fd02::9 dev tap1 weight 255"
          + " nexthop via 192.0.2.1 dev tap0 onlink",
        "route add multicast 232.0.0.0/8 dev tap0 table 77",
        "route add throw 10.14.0.0/16 table 77",
        "route add unreachable 10.15.0.0/16 table 77",
      ])
      let expected = [
        Route(
          destination: try prefix("10.10.0.0/16"), gateway: try address("fd01::9"), linkIndex: tap0, table: 77,
          origin: .boot),
        Route(
          destination: try prefix("10.11.0.0/16"), gateway: try address("10.1.0.9"), linkIndex: tap0, table: 77,
          origin: .boot, metric: 5, preferredSource: try address("10.2.0.2"), mtu: 1400),
        Route(
          destination: try prefix("10.12.0.0/16"), gateway: try address("192.0.2.1"), linkIndex: tap0, table: 77,
          origin: .boot, isOnLink: true),
        Route(
          destination: try prefix("10.13.0.0/16"), table: 77, origin: .boot,
          multipath: [
            NextHop(gateway: try address("10.1.0.9"), linkIndex: tap0, weight: 2),
            NextHop(gateway: try address("fd02::9"), linkIndex: tap1, weight: 255),
            NextHop(gateway: try address("192.0.2.1"), linkIndex: tap0, isOnLink: true),
          ]),
        Route(
          destination: try prefix("232.0.0.0/8"), linkIndex: tap0, table: 77, origin: .boot, kind: .multicast),
        Route(destination: try prefix("10.14.0.0/16"), table: 77, origin: .boot, kind: .throw),
        Route(destination: try prefix("10.15.0.0/16"), table: 77, origin: .boot, kind: .unreachable),
      ]
      let found = try socket.routes(.ipv4, table: 77)
      for route in expected { #expect(found.contains(route), "\(route)") }
      #expect(found.count == expected.count, "\(found)")
      let hops = Dictionary(uniqueKeysWithValues: found.map { ($0.destination.description, $0.nextHops.count) })
      #expect(
        hops == [
          "10.10.0.0/16": 1, "10.11.0.0/16": 1, "10.12.0.0/16": 1, "10.13.0.0/16": 3, "232.0.0.0/8": 1,
          "10.14.0.0/16": 0, "10.15.0.0/16": 0,
        ])
    }
  }

  @Test func version6HasEveryField() throws {
    try withAddressedTAPs { other, socket, tap0, tap1 in
      try other.ip(batch: [
        "route add fd11::/64 via fd01::9 mtu 1400 src fd02::2 metric 5 table 77",
        "route add fd12::/64 metric 6 table 77 nexthop via fd01::9 weight 2 nexthop via fd02::9 weight 3",
        "route add throw fd13::/64 metric 7 table 77",
      ])
      let expected = [
        Route(
          destination: try prefix("fd11::/64"), gateway: try address("fd01::9"), linkIndex: tap0, table: 77,
          origin: .boot, metric: 5, preferredSource: try address("fd02::2"), mtu: 1400),
        Route(
          destination: try prefix("fd12::/64"), table: 77, origin: .boot, metric: 6,
          multipath: [
            NextHop(gateway: try address("fd01::9"), linkIndex: tap0, weight: 2),
            NextHop(gateway: try address("fd02::9"), linkIndex: tap1, weight: 3),
          ]),
        Route(
          destination: try prefix("fd13::/64"), linkIndex: Link.loopbackIndex, table: 77, origin: .boot, metric: 7,
          kind: .throw),
      ]
      #expect(Set(try socket.routes(.ipv6, table: 77)) == Set(expected))
      #expect(expected[2].nextHops.isEmpty)
    }
  }

  /// The kernel says where a route with a nexthop object leads, or leaves it at the object's number: the same comes of it.
  @Test(arguments: ["1", "0"])
  func nextHopObjectsAreResolved(compatibility: String) throws {
    try withNamespace { other in
      // Both ends of one cable: nexthop objects want a carrier.
      try other.ip("link", "add", "tap0", "type", "veth", "peer", "name", "tap1")
      try other.ip(batch: [
        "link set lo up", "link set tap0 up", "link set tap1 up", "addr add 10.1.0.2/24 dev tap0",
        "addr add fd01::2/64 dev tap0 nodad", "addr add fd02::2/64 dev tap1 nodad",
      ])
      var socket = try RouteSocket(in: NetworkNamespace(path: other.path))
      let tap0 = try #require(try socket.link(named: "tap0")).index
      let tap1 = try #require(try socket.link(named: "tap1")).index
      try NetworkNamespace(path: other.path).setSysctl("ipv4/nexthop_compat_mode", to: compatibility)
      try other.ip(batch: [
        "nexthop add id 1 via 10.1.0.9 dev tap0", "nexthop add id 2 via fd02::9 dev tap1",
        "nexthop add id 3 group 1,20/2,255", "nexthop add id 4 blackhole",
        "nexthop add id 5 via fd01::9 dev tap0", "nexthop add id 6 group 2,5/5,4",
        "route add 10.10.0.0/16 nhid 1 table 77", "route add 10.11.0.0/16 nhid 2 table 77",
        "route add 10.12.0.0/16 nhid 3 table 77", "route add 10.13.0.0/16 nhid 4 table 77",
        "route add fd10::/64 nhid 6 metric 5 table 77",
      ])
      let (first, second) = (
        NextHop(gateway: try address("10.1.0.9"), linkIndex: tap0),
        NextHop(gateway: try address("fd02::9"), linkIndex: tap1)
      )
      var (often, seldom) = (second, first)
      (often.weight, seldom.weight) = (255, 20)
      let routes = try socket.routes(.ipv4, table: 77)
      #expect(routes.map(\.nextHopID) == [1, 2, 3, 4])
      #expect(routes.map(\.nextHops) == [[first], [second], [seldom, often], []])
      #expect(routes.map(\.kind) == [.unicast, .unicast, .unicast, .blackhole])
      let group = try socket.routes(.ipv6, table: 77)
      var (fifth, other) = (NextHop(gateway: try address("fd01::9"), linkIndex: tap0), second)
      (fifth.weight, other.weight) = (4, 5)
      #expect(group.map { Set($0.nextHops) } == [[fifth, other]])
    }
  }

  @Test func whatWeAddIsWhatIPShows() throws {
    struct Hop: Decodable, Hashable {
      struct Via: Decodable, Hashable { let family, host: String }
      var gateway: String?
      var via: Via?
      let dev: String
      let weight: Int
      let flags: [String]
    }
    struct Shown: Decodable {
      struct Metrics: Decodable, Hashable { let mtu: Int }
      let dst: String
      var prefsrc: String?
      var metrics: [Metrics]?
      var nexthops: [Hop]?
      let flags: [String]
    }
    try withAddressedTAPs { other, socket, tap0, tap1 in
      let given = [
        Route(
          destination: try prefix("10.10.0.0/16"), gateway: try address("192.0.2.1"), linkIndex: tap0, table: 77,
          preferredSource: try address("10.2.0.2"), mtu: 1300, isOnLink: true),
        Route(
          destination: try prefix("10.11.0.0/16"), table: 77,
          multipath: [
            NextHop(gateway: try address("10.1.0.9"), linkIndex: tap0, weight: 4),
            NextHop(gateway: try address("fd02::9"), linkIndex: tap1),
          ]),
      ]
      for route in given { try socket.addRoute(route) }
      #expect(try socket.routes(.ipv4, table: 77) == given)
      let shown = try other.show(Shown.self, "route", "show", "table", "77")
      #expect(shown.map(\.dst) == ["10.10.0.0/16", "10.11.0.0/16"])
      #expect(shown[0].prefsrc == "10.2.0.2")
      #expect(shown[0].metrics == [Shown.Metrics(mtu: 1300)])
      #expect(shown[0].flags.contains("onlink"))
      #expect(
        shown[1].nexthops?.map { "\($0.gateway ?? $0.via?.host ?? "-") \($0.dev) \($0.weight)" } == [
          "10.1.0.9 tap0 4", "fd02::9 tap1 1",
        ])
      for route in given { try socket.removeRoute(route) }
      #expect(try socket.routes(.ipv4, table: 77).isEmpty)
    }
  }

  @Test func severalTablesComeInTheirOrder() throws {
    try withAddressedTAPs { other, socket, _, tap1 in
      try other.ip("route", "add", "10.10.0.0/16", "dev", "tap1", "table", "default")
      try other.ip("route", "add", "10.11.0.0/16", "dev", "tap1", "table", "77")
      let tables = [Route.Table.local, Route.Table.main, Route.Table.default]
      let routes = try socket.routes(.ipv4, tables: tables)
      let local = routes.prefix { $0.table == Route.Table.local }
      #expect(local.map(\.kind) == [.local, .broadcast, .local, .broadcast])
      #expect(local.map(\.scope) == [.host, .link, .host, .link])
      #expect(
        routes.dropFirst(local.count).map { "\($0)" } == [
          "10.1.0.0/24 on link \(tap1 - 1) in table 254", "10.2.0.0/24 on link \(tap1) in table 254",
          "10.10.0.0/16 on link \(tap1) in table 253",
        ])
    }
  }

  /// The kernel keeps routes of links without carrier, and says so where it is told not to use them.
  @Test func deadRoutesAreMarked() throws {
    try withAddressedTAPs { other, socket, _, _ in
      let namespace = try NetworkNamespace(path: other.path)
      #expect(try socket.routes(.ipv4, table: Route.Table.main).map(\.isDead) == [false, false])
      try namespace.setSysctl("ipv4/conf/tap1/ignore_routes_with_linkdown", to: "1")
      #expect(try socket.routes(.ipv4, table: Route.Table.main).map(\.isDead) == [false, true])
    }
  }
}
