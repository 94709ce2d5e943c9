import ControlModel
import Foundation
import Support
import Testing

@testable import LivePage

@Suite("Live page: what it is told") struct PageSourceTests {
  private let service = StandInService()
  private let source = StandInSource()
  private let clock = StandInClock()
  private var id: String { Sample.networks[0].id }

  private func page() -> PageSource { PageSource(service, source) { [clock] in clock.now } }

  private func read(_ bytes: [UInt8]) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
  }

  @Test("a state has networks, ports with names and addresses, and everything that is counted")
  func shape() throws {
    let state = try read(try page().state())
    #expect(Set(state.keys) == ["version", "time", "networks", "networks_more", "uplink", "carriers", "sessions"])
    let networks = try #require(state["networks"] as? [[String: Any]])
    #expect(networks.map { $0["name"] as? String } == ["lab", "plain"])
    let lab = networks[0]
    #expect(lab["policy"] as? String == "storm-control" && networks[1]["policy"] == nil)
    #expect(lab["routed"] as? Bool == true && lab["subnets"] as? [String] == ["10.0.0.0/24", "fd00::/64"])
    let counts = try #require(lab["counts"] as? [String: Any])
    #expect(counts["flooded_copies"] as? Int == 1 && counts["mac_limit"] as? Int == 8192)
    #expect((counts["total"] as? [String: Any])?["rx_bytes"] as? Int == 1000)
    let ports = try #require(lab["ports"] as? [[String: Any]])
    // What is counted, and then what is down.
    #expect(ports.map { $0["kind"] as? String } == ["gateway", "vtep", "endpoint", "interface", "interface"])
    let endpoint = ports[2]
    #expect(endpoint["label"] as? String == "web" && endpoint["addresses"] as? [String] == ["10.0.0.2", "fd00::2"])
    #expect(endpoint["state"] as? String == "down" && endpoint["detail"] as? String == "its interface is gone")
    #expect((endpoint["counters"] as? [String: Any])?["drops"] as? [String: Int] == ["runt": 1])
    // Without a switch nothing is counted.
    #expect(networks[1]["counts"] == nil && networks[1]["routed"] as? Bool == false)
    #expect((state["uplink"] as? [String: Any])?["addresses"] as? [String] == ["192.0.2.1", "2001:db8::1"])
    #expect((state["sessions"] as? [String: Any])?["limit"] as? Int == 100)
  }

  @Test("the tables have the MAC table, and sessions of the network's endpoints only")
  func tables() throws {
    service.shownNetworks = [Sample.networks[0], Sample.networks[1]].map { network in
      var network = network
      // Of two sessions, one is from this address.
      if network.name == "lab" { network.endpoints[0].addresses = ["fd00::2/64"] }
      return network
    }
    let tables = try read(try page().tables(of: id))
    #expect(tables["network"] as? String == id && (tables["mac_table"] as? [Any])?.count == 4)
    let sessions = try #require(tables["sessions"] as? [[String: Any]])
    #expect(sessions.map { $0["inside"] as? String } == ["[fd00::2]:5353"])
    #expect(tables["mac_table_more"] as? Int == 0 && tables["sessions_more"] as? Int == 0)
    let none = try read(try page().tables(of: Sample.networks[1].id))
    #expect((none["mac_table"] as? [Any])?.isEmpty == true && (none["sessions"] as? [Any])?.isEmpty == true)
    let error = #expect(throws: ControlError.self) { try page().tables(of: "nowhere") }
    #expect(error?.code == .notFound)
  }

  @Test("however many look, the service is asked once a second")
  func shared() throws {
    let page = page()
    let first = try page.state()
    for _ in 0..<100 { #expect(try page.state() == first) }
    for _ in 0..<100 { _ = try page.tables(of: id) }
    #expect(source.calls == 1)
    #expect(service.calls == [.uplink, .networks, .policies, .forwardingEntries(id), .sessions(SessionFilter())])
    clock.advance(by: .seconds(1))
    #expect(try page.state() != first)
    // Names and addresses are kept for longer.
    #expect(source.calls == 2 && service.calls.count == 5)
    clock.advance(by: PageLimits.topologyLifetime)
    _ = try page.state()
    #expect(service.calls.suffix(3) == [.uplink, .networks, .policies])
  }

  @Test("a port that comes or goes is seen at once")
  func newcomer() throws {
    let page = page()
    _ = try page.state()
    source.shown.networks[0].ports.removeLast()
    clock.advance(by: .seconds(1))
    _ = try page.state()
    #expect(service.calls == [.uplink, .networks, .policies, .uplink, .networks, .policies])
  }

  @Test("what takes long is asked for so much more rarely, and holds up nothing else")
  func cost() throws {
    let (clock, id) = (clock, id)
    let slow = StandInService { call in
      if call == .networks || call == .forwardingEntries(id) { clock.advance(by: .seconds(2)) }
    }
    let page = PageSource(slow, source) { clock.now }
    let (state, tables) = (try page.state(), try page.tables(of: id))
    #expect(slow.calls.count == 5)
    clock.advance(by: .seconds(37))
    source.shown.networks[0].ports.removeLast()
    #expect(try page.state() != state)
    #expect(try page.tables(of: id) == tables)
    #expect(slow.calls.count == 5)
    clock.advance(by: .seconds(5))
    _ = (try page.state(), try page.tables(of: id))
    #expect(slow.calls.count == 10)
  }

  @Test("an error is told, and forgotten")
  func errors() throws {
    let page = page()
    source.refusal = ControlError(.system, "the disk is full")
    let error = #expect(throws: ControlError.self) { try page.state() }
    #expect(error?.message == "the disk is full")
    source.refusal = nil
    _ = try page.state()
    // That no uplink is set is none.
    service.refuses = { call in call == .uplink ? ControlError(.notFound, "no uplink is set") : nil }
    source.shown.uplink = nil
    clock.advance(by: PageLimits.topologyLifetime)
    #expect(try read(try page.state())["uplink"] == nil)
  }

  @Test("tables are kept of a few networks only")
  func tablesAreBounded() throws {
    service.shownNetworks = (0..<2 * PageLimits.tablesMax).map { number in
      var network = Sample.networks[1]
      (network.id, network.name) = ("id\(number)", "net\(number)")
      return network
    }
    let page = page()
    for _ in 0..<3 {
      for network in service.shownNetworks {
        _ = try page.tables(of: network.id)
        clock.advance(by: .milliseconds(1))
      }
    }
    let calls = service.calls.count { $0 == .sessions(SessionFilter()) }
    // Each has been forgotten when it is asked for again.
    #expect(calls == 3 * service.shownNetworks.count)
  }
}
