import Foundation
import Netlink
import SystemCalls
import Testing
import Wire

/// With a real peer at the other end of a cable.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct NeighbourUseTests {
  struct Shown: Decodable, Hashable {
    let dst: String
    var lladdr: String?
    let state: [String]
  }

  private static let peerMAC = "02:00:00:00:00:02"

  /// v0 here with 10.1.0.1 and fd01::1, its peer with 10.1.0.2 and fd01::2.
  private func withPeer(_ body: (TestNamespace, inout RouteSocket, _ link: Int32) throws -> Void) throws {
    try withNamespaces(2) { namespaces in
      let (here, there) = (namespaces[0], namespaces[1])
      try Command.run(
        "ip", "-n", here.name, "link", "add", "v0", "type", "veth", "peer", "name", "v0", "address", Self.peerMAC,
        "netns", there.name)
      for (namespace, number) in [(here, 1), (there, 2)] {
        try namespace.ip(batch: [
          "link set v0 addrgenmode none up", "addr add 10.1.0.\(number)/24 dev v0",
          "addr add fd01::\(number)/64 dev v0 nodad", "addr add fe80::\(number)/64 dev v0 nodad",
        ])
      }
      let namespace = try NetworkNamespace(path: here.path)
      for family in ["ipv4", "ipv6"] {
        // One question, answered or not, after a tenth of the usual time.
        try namespace.setSysctl("\(family)/neigh/v0/delay_first_probe_time", to: "1")
        try namespace.setSysctl("\(family)/neigh/v0/mcast_solicit", to: "1")
        try namespace.setSysctl("\(family)/neigh/v0/retrans_time_ms", to: "100")
      }
      var socket = try RouteSocket(in: namespace)
      let link = try #require(try socket.link(named: "v0")).index
      try waitUntil { try socket.link(index: link)?.hasCarrier == true }
      try body(here, &socket, link)
    }
  }

  private func shown(_ namespace: TestNamespace, _ address: String) throws -> Shown? {
    try namespace.show(Shown.self, "neigh", "show", "dev", "v0", "to", address).first
  }

  @Test(arguments: ["10.1.0.2", "fd01::2"])
  func unknownNeighbourBecomesReachable(_ text: String) throws {
    try withPeer { here, socket, link in
      let address = try #require(IPAddress(text))
      #expect(try shown(here, text) == nil)
      try socket.useNeighbour(address, link: link)
      try waitUntil { try shown(here, text)?.lladdr != nil }
      #expect(try shown(here, text) == Shown(dst: text, lladdr: Self.peerMAC, state: ["REACHABLE"]))
      let found = try socket.neighbours(link: link).filter { $0.address == address }
      #expect(found == [Neighbour(linkIndex: link, address: address, mac: MACAddress(Self.peerMAC), state: .reachable)])
      #expect(found.map(\.isValid) == [true])
    }
  }

  /// The kernel asks, and finds another MAC address than the stale entry's.
  @Test(arguments: ["10.1.0.2", "fd01::2"])
  func staleNeighbourIsAsked(_ text: String) throws {
    try withPeer { here, socket, link in
      try here.ip("neigh", "add", text, "dev", "v0", "lladdr", Self.peerMAC, "nud", "stale")
      #expect(try shown(here, text)?.state == ["STALE"])
      try socket.useNeighbour(try #require(IPAddress(text)), link: link)
      #expect(try shown(here, text)?.state != ["STALE"])
      try waitUntil { try shown(here, text)?.state == ["REACHABLE"] }
    }
  }

  @Test func unansweredNeighbourFailsAndIsAskedAgain() throws {
    try withPeer { here, socket, link in
      let address = try #require(IPAddress("10.1.0.77"))
      for _ in 1...2 {
        let log = EventLog()
        let monitor = try NetworkMonitor(
          in: NetworkNamespace(path: here.path), neighbourLinks: [link], handler: log.append)
        try socket.useNeighbour(address, link: link)
        try log.wait(for: .neighbour(Neighbour(linkIndex: link, address: address, mac: nil, state: .failed)))
        monitor.stop()
        #expect(try shown(here, "10.1.0.77") == Shown(dst: "10.1.0.77", state: ["FAILED"]))
      }
    }
  }

  @Test func linkThatIsNotThereIsRefused() throws {
    try withPeer { _, socket, link in
      var thrown: Errno?
      do throws(Errno) { try socket.useNeighbour(.v4(.any), link: link + 4711) } catch { thrown = error }
      #expect(thrown?.code == ENODEV)
    }
  }
}
