import Foundation
import Netlink
import SystemCalls
import Testing

@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct TrafficControlTests {
  /// A queueing discipline as `tc -j qdisc` shows it.
  struct Shown: Decodable, Equatable {
    let kind: String
    let root: Bool?
  }

  @Test func replacesTheRoot() throws {
    try withTAPs { other, socket, tap0, _ in
      func shown() throws -> [Shown] { try other.show(Shown.self, program: "tc", "qdisc", "show", "dev", "tap0") }
      #expect(try shown().first?.kind != "noqueue")
      try socket.replaceRootQueueing(link: tap0, kind: "noqueue")
      #expect(try shown() == [Shown(kind: "noqueue", root: true)])

      var thrown: Errno?
      do throws(Errno) { try socket.replaceRootQueueing(link: tap0, kind: "nosuchkind") } catch { thrown = error }
      #expect(thrown?.code == ENOENT)
      #expect(try shown() == [Shown(kind: "noqueue", root: true)])
    }
  }
}
