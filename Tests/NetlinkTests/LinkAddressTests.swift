import Foundation
import SystemCalls
import Testing
import Wire

@testable import Netlink

@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct LinkAddressTests {
  /// An address as `ip -j addr` shows it.
  struct Shown: Decodable, Hashable {
    let local: String
    let prefixlen: Int
    var broadcast: String?
    let scope: String
    var tentative: Bool?
    var nodad: Bool?
  }
  struct ShownLink: Decodable {
    let addresses: [Shown]
    enum CodingKeys: String, CodingKey { case addresses = "addr_info" }
  }

  private func shown(_ link: String, in namespace: TestNamespace) throws -> [Shown] {
    try namespace.show(ShownLink.self, "addr", "show", link).flatMap(\.addresses)
  }

  private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }

  @Test func bothFamiliesRoundTrip() throws {
    try withTAPs { other, socket, tap0, tap1 in
      let given = try ["10.1.0.2/24", "10.2.0.1/31", "fd00::2/64"].map(prefix)
      for address in given { try socket.addAddress(address, link: tap0, noDAD: true) }
      try socket.addAddress(try prefix("10.9.0.1/16"), link: tap1)
      #expect(Set(try socket.addresses(link: tap0).map(\.prefix)) == Set(given))
      #expect(try socket.addresses().count == 4)
      #expect(
        Set(try shown("tap0", in: other)) == [
          Shown(local: "10.1.0.2", prefixlen: 24, broadcast: "10.1.0.255", scope: "global"),
          Shown(local: "10.2.0.1", prefixlen: 31, scope: "global"),
          Shown(local: "fd00::2", prefixlen: 64, scope: "global", nodad: true),
        ])
      for address in given { try socket.removeAddress(address, link: tap0) }
      #expect(try shown("tap0", in: other).isEmpty)
      #expect(try socket.addresses(link: tap0).isEmpty)
      var thrown: Errno?
      do throws(Errno) { try socket.removeAddress(given[0], link: tap0) } catch { thrown = error }
      #expect(thrown?.code == EADDRNOTAVAIL)
    }
  }

  /// Without carrier, duplicate address detection cannot end.
  @Test func detectionOfDuplicatesIsLeftOutOnRequestOnly() throws {
    try withTAPs { other, socket, tap0, tap1 in
      try socket.addAddress(try prefix("fd00::1/64"), link: tap0, noDAD: true)
      try socket.addAddress(try prefix("fd00::1/64"), link: tap1)
      #expect(try socket.addresses(link: tap0).map(\.isTentative) == [false])
      #expect(try socket.addresses(link: tap1).map(\.isTentative) == [true])
      #expect(try shown("tap1", in: other).map(\.tentative) == [true])
    }
  }

  @Test func addressGivenTwiceIsRefusedInTheKernelsWords() throws {
    try withTAPs { other, socket, tap0, _ in
      let address = try prefix("10.1.0.2/24")
      try socket.addAddress(address, link: tap0)
      let words = try #require(try other.attempt(["ip", "addr", "add", "10.1.0.2/24", "dev", "tap0"]).kernelWords)
      var thrown: Errno?
      do throws(Errno) { try socket.addAddress(address, link: tap0) } catch { thrown = error }
      #expect(thrown == Errno(EEXIST, "add address 10.1.0.2/24 to link \(tap0) (\(words))"))
      do throws(Errno) { try socket.addAddress(address, link: 4711) } catch { thrown = error }
      #expect(thrown?.code == ENODEV)
    }
  }

  /// The kernel fills a dump datagram by datagram as they are received, and flags what changed in between.
  @Test func interruptedDumpIsBegunAnew() throws {
    try withTAPs { other, socket, tap0, tap1 in
      try other.ip(batch: (0..<2000).map { "addr add 10.\($0 / 250).\($0 % 250).1/32 dev tap0" })
      var intruder = try RouteSocket(in: NetworkNamespace(path: other.path))
      let late = try prefix("192.168.0.1/24")
      var seen = 0
      let all = try socket.dump(Request(addressesOf: nil), "list addresses") { _ in
        seen += 1
        if seen == 1 { try? intruder.addAddress(late, link: tap1) }
        return seen
      }
      #expect(all.count == 2001)
      #expect(seen > all.count, "the kernel did not see the change: the test shows nothing")
    }
  }

  @Test func dumpThatIsAlwaysInterruptedIsGivenUp() throws {
    try withTAPs { other, socket, tap0, tap1 in
      try other.ip(batch: (0..<2000).map { "addr add 10.\($0 / 250).\($0 % 250).1/32 dev tap0" })
      var intruder = try RouteSocket(in: NetworkNamespace(path: other.path))
      let late = try prefix("192.168.0.1/24")
      var seen = 0
      var thrown: Errno?
      do throws(Errno) {
        _ = try socket.dump(Request(addressesOf: nil), "list addresses") { _ in
          if seen % 500 == 0 {
            try? intruder.addAddress(late, link: tap1)
            try? intruder.removeAddress(late, link: tap1)
          }
          seen += 1
          return seen
        }
      } catch { thrown = error }
      #expect(thrown == Errno(EAGAIN, "list addresses, which changes all the time"))
      // The socket is none the worse for it.
      #expect(try socket.addresses(link: tap0).count == 2000)
    }
  }
}
