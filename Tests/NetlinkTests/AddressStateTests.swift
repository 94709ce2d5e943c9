import Foundation
import Netlink
import SystemCalls
import Testing
import Wire

@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct AddressStateTests {
  /// What `ip -j addr` says of an address; a flag that is not set is left out.
  struct Shown: Decodable, Hashable {
    let local: String
    let scope: String
    var deprecated: Bool?
    var temporary: Bool?
    var secondary: Bool?
    var dadfailed: Bool?
  }
  struct ShownLink: Decodable {
    let addresses: [Shown]
    enum CodingKeys: String, CodingKey { case addresses = "addr_info" }
  }

  @Test func statesAreThoseThatIPShows() throws {
    try withTAPs { other, socket, tap0, _ in
      try other.ip(batch: [
        "addr add 10.1.0.2/24 dev tap0", "addr add 10.1.0.3/24 dev tap0", "addr add 10.2.0.2/24 dev tap0 scope link",
        "addr add 169.254.0.9/32 dev tap0 scope host", "addr add 10.3.0.1/24 dev tap0 preferred_lft 0 valid_lft 1000",
        "addr add fe80::9/64 dev tap0 nodad", "addr add fd01::2/64 dev tap0 nodad",
        "addr add fd01::3/64 dev tap0 preferred_lft 0 nodad",
      ])
      let shown = try other.show(ShownLink.self, "addr", "show", "tap0").flatMap(\.addresses)
      let scopes: [LinkAddress.Scope: String] = [.universe: "global", .link: "link", .host: "host"]
      let found = try socket.addresses(link: tap0).map {
        Shown(
          local: "\($0.prefix.address)", scope: scopes[$0.scope] ?? "?", deprecated: $0.isDeprecated ? true : nil,
          temporary: $0.isTemporary ? true : nil, secondary: $0.isSecondary ? true : nil,
          dadfailed: $0.isDuplicate ? true : nil)
      }
      #expect(found.count == 8)
      #expect(Set(found) == Set(shown))
      #expect(found.filter { $0.deprecated == true }.map(\.local).sorted() == ["10.3.0.1", "fd01::3"])
      #expect(found.filter { $0.secondary == true }.map(\.local) == ["10.1.0.3"])
    }
  }

  /// A second end of the cable has the address already; a third address is made by the kernel for privacy.
  @Test func duplicatesAndTemporaryOnesAreMarked() throws {
    try withNamespaces(2) { namespaces in
      let (here, there) = (namespaces[0], namespaces[1])
      try Command.run(
        "ip", "-n", here.name, "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", there.name)
      try there.ip(batch: ["link set v0 addrgenmode none up", "addr add fd01::2/64 dev v0 nodad"])
      try here.ip(batch: ["link set v0 addrgenmode none up"])
      let namespace = try NetworkNamespace(path: here.path)
      try namespace.setSysctl("ipv6/conf/v0/use_tempaddr", to: "2")
      try here.ip(batch: ["addr add fd01::2/64 dev v0", "addr add fd02::2/64 dev v0 mngtmpaddr nodad"])
      var socket = try RouteSocket(in: namespace)
      let link = try #require(try socket.link(named: "v0")).index
      var addresses: [LinkAddress] = []
      try waitUntil {
        addresses = try socket.addresses(link: link)
        return addresses.contains(where: \.isDuplicate)
      }
      #expect(addresses.filter(\.isDuplicate).map { "\($0.prefix)" } == ["fd01::2/64"])
      let temporary = addresses.filter(\.isTemporary)
      #expect(temporary.count == 1)
      #expect(temporary.allSatisfy { IPPrefix("fd02::/64")!.contains($0.prefix.address) })
    }
  }
}
