import Foundation
import Netlink
import SystemCalls
import Testing
import Wire

@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct RuleTests {
  /// A rule as `ip -j -d rule` shows it.
  struct Shown: Decodable, Hashable {
    let priority: UInt32
    let src: String
    var srclen: Int?
    var dst: String?
    var dstlen: Int?
    var iif: String?
    var table: String?
    var action: String?
    var `protocol`: String?
  }

  @Test(arguments: AddressFamily.allCases)
  func roundTrips(_ family: AddressFamily) throws {
    try withNamespace { other in
      let (source, destination) = family == .ipv6 ? ("fd01::", "fd02::") : ("10.1.0.0", "10.2.0.0")
      let given = [
        Rule(family, priority: 100, inputInterface: "mgw0", action: .lookUp(table: 4711)),
        Rule(
          family, priority: 101, inputInterface: "mgw0", source: IPPrefix("\(source)/24"),
          destination: IPPrefix("\(destination)/23"), action: .prohibit),
        Rule(family, priority: 102, action: .unreachable, origin: .boot),
      ]
      var socket = try RouteSocket(in: NetworkNamespace(path: other.path))
      let before = try socket.rules(family)
      #expect(before.first?.action == .lookUp(table: Route.Table.local))
      for rule in given { try socket.addRule(rule) }
      #expect(try socket.rules(family) == before.prefix(1) + given + before.dropFirst())
      let shown = try other.show(Shown.self, family == .ipv6 ? "-6" : "-4", "rule")
      #expect(
        shown.filter { (100...102).contains($0.priority) } == [
          Shown(priority: 100, src: "all", iif: "mgw0", table: "4711", protocol: "static"),
          Shown(
            priority: 101, src: source, srclen: 24, dst: destination, dstlen: 23, iif: "mgw0", action: "prohibit",
            protocol: "static"),
          Shown(priority: 102, src: "all", action: "unreachable", protocol: "boot"),
        ])

      var thrown: Errno?
      do throws(Errno) { try socket.addRule(given[0]) } catch { thrown = error }
      #expect(thrown?.code == EEXIST)
      for rule in given { try socket.removeRule(rule) }
      #expect(try socket.rules(family) == before)
      do throws(Errno) { try socket.removeRule(given[0]) } catch { thrown = error }
      #expect(thrown?.code == ENOENT)
    }
  }
}
