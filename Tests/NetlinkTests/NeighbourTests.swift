import Foundation
import Netlink
import SystemCalls
import Testing
import Wire

@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct NeighbourTests {
  /// A neighbour as `ip -j neigh` shows it.
  struct Shown: Decodable, Hashable {
    let dst: String
    let lladdr: String?
    let state: [String]
  }

  private static let mac = "02:42:ac:11:00:02"

  private func shown(_ namespace: TestNamespace) throws -> Set<Shown> {
    Set(try namespace.show(Shown.self, "neigh", "show", "dev", "tap0"))
  }

  private func neighbour(_ link: Int32, _ address: String, _ state: Neighbour.State) throws -> Neighbour {
    Neighbour(linkIndex: link, address: try #require(IPAddress(address)), mac: MACAddress(Self.mac), state: state)
  }

  @Test func bothFamiliesRoundTrip() throws {
    try withTAPs { other, socket, tap0, tap1 in
      let given = [
        try neighbour(tap0, "10.1.0.1", .permanent), try neighbour(tap0, "fd00::1", .permanent),
        try neighbour(tap0, "10.1.0.2", .stale),
      ]
      for neighbour in given { try socket.replaceNeighbour(neighbour) }
      try socket.replaceNeighbour(try neighbour(tap1, "10.1.0.1", .permanent))
      #expect(Set(try socket.neighbours(link: tap0)) == Set(given))
      #expect(
        try shown(other) == [
          Shown(dst: "10.1.0.1", lladdr: Self.mac, state: ["PERMANENT"]),
          Shown(dst: "fd00::1", lladdr: Self.mac, state: ["PERMANENT"]),
          Shown(dst: "10.1.0.2", lladdr: Self.mac, state: ["STALE"]),
        ])

      var moved = given[0]
      moved.mac = MACAddress("02:42:ac:11:00:03")
      try socket.replaceNeighbour(moved)
      #expect(try shown(other).contains(Shown(dst: "10.1.0.1", lladdr: "02:42:ac:11:00:03", state: ["PERMANENT"])))
      for neighbour in given { try socket.removeNeighbour(neighbour.address, link: tap0) }
      #expect(try shown(other).isEmpty)
      var thrown: Errno?
      do throws(Errno) { try socket.removeNeighbour(given[0].address, link: tap0) } catch { thrown = error }
      #expect(thrown?.code == ENOENT)
      #expect(try socket.neighbours(link: tap1).count == 1)
    }
  }

  @Test func flushLeavesPermanentOnes() throws {
    try withTAPs { other, socket, tap0, _ in
      let first = try neighbour(tap0, "10.1.0.2", .stale)
      let entries = [first, try neighbour(tap0, "10.1.0.1", .permanent), try neighbour(tap0, "fd00::2", .stale)]
      for neighbour in entries { try socket.replaceNeighbour(neighbour) }
      try socket.flushNeighbours(link: tap0, address: first.address)
      #expect(try shown(other).map(\.dst).sorted() == ["10.1.0.1", "fd00::2"])
      try socket.flushNeighbours(link: tap0)
      #expect(try shown(other).map(\.dst) == ["10.1.0.1"])
      try socket.flushNeighbours(link: tap0)
    }
  }
}
