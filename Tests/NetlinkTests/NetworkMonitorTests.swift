import Foundation
import Synchronization
import SystemCalls
import Testing
import Wire

@testable import Netlink

@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct NetworkMonitorTests {
  private static let mac = MACAddress("02:42:ac:11:00:02")

  private func withMonitor(
    neighbourLinks: Set<Int32>? = [],
    _ body: (TestNamespace, EventLog, NetworkMonitor, _ tap0: Int32, _ tap1: Int32) throws -> Void
  ) throws {
    try withTAPs { other, _, tap0, tap1 in
      try other.ip(batch: ["link set lo up", "addr add 10.1.0.2/24 dev tap0", "addr add fd01::2/64 dev tap0 nodad"])
      let log = EventLog()
      let monitor = try NetworkMonitor(
        in: NetworkNamespace(path: other.path), neighbourLinks: neighbourLinks, handler: log.append)
      try body(other, log, monitor, tap0, tap1)
    }
  }

  @Test(arguments: [
    ("link add d0 type bridge", NetworkMonitor.Event.links), ("link set tap1 down", .links), ("link del tap1", .links),
    ("addr add 10.9.0.1/32 dev tap1", .addresses), ("addr del 10.1.0.2/24 dev tap0", .addresses),
    ("addr add fd09::1/64 dev tap1 nodad", .addresses), ("addr del fd01::2/64 dev tap0", .addresses),
  ])
  func changesOfLinksAndAddressesAreTold(_ command: String, _ event: NetworkMonitor.Event) throws {
    try withMonitor { other, log, _, _, _ in
      try run(command, in: other)
      try log.wait(for: event)
      // With a link or an address, routes go that the kernel is silent about.
      try log.wait(for: .routes)
      #expect(Set(log.all).subtracting([.links, .addresses, .routes]).isEmpty)
    }
  }

  /// In a namespace whose only link is the loopback, so that nothing else is told.
  @Test(arguments: [
    "route add blackhole 10.7.0.0/16 table 99", "route add blackhole fd07::/64", "nexthop add id 7 blackhole",
    "rule add from 10.3.0.1 table 99", "-6 rule add from fd03::1 table 99",
  ])
  func changesOfRoutesAreTold(_ command: String) throws {
    try withNamespace { other in
      try other.ip("link", "set", "lo", "up")
      let log = EventLog()
      let monitor = try NetworkMonitor(in: NetworkNamespace(path: other.path), handler: log.append)
      try run(command, in: other)
      try log.wait(for: .routes)
      monitor.stop()
      #expect(Set(log.all) == [.routes])
    }
  }

  private func run(_ command: String, in namespace: TestNamespace) throws {
    let attempt = try namespace.attempt(["ip"] + command.split(separator: " ").map(String.init))
    try #require(attempt.status == 0, "\(attempt.complaint)")
  }

  @Test func burstIsToldFewTimes() throws {
    try withMonitor { other, log, _, _, _ in
      let count = 2000
      try other.ip(batch: (0..<count).map { "route add 10.\(64 + $0 / 256).\($0 % 256).0/24 dev tap0" })
      try other.ip("link", "set", "tap1", "down")
      try log.wait(for: .links)
      // One at each fifth of a second while iproute2 is at it.
      #expect(log.all.filter { $0 == .routes }.count < 50)
    }
  }

  @Test func neighboursAreToldOneByOneForTheLinksAskedFor() throws {
    try withMonitor { other, log, monitor, tap0, tap1 in
      func entry(_ link: Int32, _ address: String, _ state: Neighbour.State) throws -> Neighbour {
        Neighbour(linkIndex: link, address: try #require(IPAddress(address)), mac: Self.mac, state: state)
      }
      func add(_ link: String, _ address: String, _ state: String) throws {
        try other.ip("neigh", "replace", address, "lladdr", "\(try #require(Self.mac))", "dev", link, "nud", state)
      }
      try add("tap0", "10.1.0.7", "stale")
      monitor.watchNeighbours(ofLinks: [tap0])
      try add("tap0", "10.1.0.8", "permanent")
      try log.wait(for: .neighbour(try entry(tap0, "10.1.0.8", .permanent)))
      try add("tap1", "10.1.0.9", "stale")
      try add("tap0", "fd01::8", "stale")
      try log.wait(for: .neighbour(try entry(tap0, "fd01::8", .stale)))
      try other.ip("neigh", "del", "fd01::8", "dev", "tap0")
      let gone = NetworkMonitor.Event.neighbourGone(linkIndex: tap0, address: try #require(IPAddress("fd01::8")))
      try log.wait(for: gone)
      monitor.watchNeighbours(ofLinks: nil)
      try add("tap1", "10.1.0.10", "stale")
      try log.wait(for: .neighbour(try entry(tap1, "10.1.0.10", .stale)))
      let told = log.all
      #expect(!told.contains(.neighbour(try entry(tap0, "10.1.0.7", .stale))))
      #expect(!told.contains(.neighbour(try entry(tap1, "10.1.0.9", .stale))))
      #expect(told.firstIndex(of: gone).map { $0 > 0 } == true)
    }
  }

  /// A table of MAC addresses goes by the messages of neighbours, with addresses too where it is a tunnel's.
  @Test func forwardingTableIsNotNeighbours() throws {
    try withMonitor(neighbourLinks: nil) { other, log, _, tap0, _ in
      try other.ip("link", "add", "vx0", "type", "vxlan", "id", "5", "dstport", "4789")
      try Command.run("bridge", "-n", other.name, "fdb", "add", "02:00:00:00:00:09", "dev", "vx0", "dst", "10.1.0.7")
      let mac = try #require(Self.mac)
      try other.ip("neigh", "add", "10.1.0.9", "lladdr", "\(mac)", "dev", "tap0", "nud", "permanent")
      let address = try #require(IPAddress("10.1.0.9"))
      try log.wait(for: .neighbour(Neighbour(linkIndex: tap0, address: address, mac: mac, state: .permanent)))
      for case .neighbour(let neighbour) in log.all { #expect(neighbour.linkIndex == tap0) }
    }
  }

  /// The handler holds the thread while the kernel's buffer fills.
  @Test func lostChangesAreOneOverrun() throws {
    try withTAPs { other, _, tap0, _ in
      let (log, gate) = (EventLog(), DispatchSemaphore(value: 0))
      let neighbours = Atomic<Int>(0)
      let monitor = try NetworkMonitor(in: NetworkNamespace(path: other.path), neighbourLinks: [tap0]) { event in
        guard case .neighbour = event else { return log.append(event) }
        if neighbours.add(1, ordering: .relaxed).oldValue == 0 { gate.wait() }
      }
      let mac = "02:00:00:00:00:09"
      try other.ip("neigh", "add", "10.1.0.9", "lladdr", mac, "dev", "tap0", "nud", "permanent")
      try waitUntil { neighbours.load(ordering: .relaxed) == 1 }
      let changes = ["0a", "0b"].map { "neigh replace 10.1.0.9 lladdr 02:00:00:00:00:\($0) dev tap0 nud permanent" }
      try other.ip(batch: (0..<10_000).flatMap { _ in changes })
      gate.signal()
      try log.wait(for: .overrun)
      #expect(neighbours.load(ordering: .relaxed) < 20_001)
      #expect(log.all.filter { $0 == .overrun }.count == 1)
      // It goes on.
      try other.ip("link", "set", "tap1", "down")
      try log.wait(for: .links)
      monitor.stop()
    }
  }

  @Test func stopEndsTheThread() throws {
    try withMonitor { other, log, monitor, _, _ in
      monitor.stop()
      try other.ip("link", "add", "d0", "type", "bridge")
      monitor.stop()
      let second = EventLog()
      let probe = try NetworkMonitor(in: NetworkNamespace(path: other.path), handler: second.append)
      try other.ip("link", "del", "d0")
      try second.wait(for: .links)
      probe.stop()
      #expect(log.all.isEmpty)
    }
  }

  /// The last reference may go anywhere, in the handler too.
  @Test func goesWithItsLastReference() throws {
    try withTAPs { other, _, _, _ in
      final class Box: Sendable {
        let monitor = Mutex<NetworkMonitor?>(nil)
        let calls = Atomic<Int>(0)
      }
      let box = Box()
      let monitor = try NetworkMonitor(in: NetworkNamespace(path: other.path)) { [weak box] _ in
        box?.calls.add(1, ordering: .relaxed)
        box?.monitor.withLock { $0?.stop() }
        box?.monitor.withLock { $0 = nil }
      }
      box.monitor.withLock { $0 = monitor }
      _ = consume monitor
      let before = threadCount()
      try other.ip("link", "set", "tap1", "down")
      try waitUntil { box.monitor.withLock { $0 == nil } }
      try other.ip("link", "set", "tap1", "up")
      #expect(box.calls.load(ordering: .relaxed) == 1)
      #expect(before > 0)
    }
  }

  private func threadCount() -> Int {
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count) ?? 0
  }
}

@Suite struct BurstTests {
  @Test func endsAfterQuietOrInTheLongRun() {
    var burst = Burst()
    #expect(burst.waitMilliseconds(now: 5) == -1 && !burst.isOver(now: 5))
    burst.add(.routes, now: 1000)
    #expect(burst.waitMilliseconds(now: 1000) == 10 && !burst.isOver(now: 1009) && burst.isOver(now: 1010))
    for now in stride(from: Int64(1005), through: 1195, by: 5) { burst.add(.links, now: now) }
    #expect(burst.waitMilliseconds(now: 1195) == 5 && burst.isOver(now: 1200))
    #expect(burst.take() == [.links, .routes])
    #expect(burst.take().isEmpty && !burst.isOver(now: 1300))
    burst.add([.addresses, .overrun], now: 2000)
    #expect(burst.take() == [.overrun])
  }
}
