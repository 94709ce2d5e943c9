import ControlModel
import Support
import Testing

@testable import LivePage

@Suite("Live page: limits") struct LimitTests {
  private func network(_ number: Int, ports: Int) -> (Network, NetworkMeasurements) {
    var network = Sample.networks[1]
    (network.id, network.name) = ("\(number)", "net\(number)")
    let ports = (0..<ports).map { port in
      PortStatistics(
        kind: port == ports - 1 ? "vtep" : "endpoint", name: "\(port)", sandbox: "s\(port)", interface: "eth0",
        counters: Counters(rxBytes: UInt64(port)))
    }
    return (network, NetworkMeasurements(name: network.name, total: Counters(), ports: ports))
  }

  private func state(_ all: [(Network, NetworkMeasurements)]) throws -> PageState {
    let service = StandInService()
    service.shownNetworks = all.map(\.0)
    let measured = Measurements(networks: all.map(\.1))
    return PageState(measured, try Topology(of: service, measured), time: 1)
  }

  @Test("of too many ports the busiest are shown, in their order, with what is no endpoint; the others are a number")
  func ports() throws {
    let count = PageLimits.portsPerNetworkMax + 10
    let shown = try #require(try state([network(0, ports: count)]).networks.first)
    #expect(shown.portsMore == 10 && shown.ports.map(\.name) == (10..<count).map(String.init))
    var (idle, measured) = network(0, ports: count)
    measured.ports[count - 1].counters = Counters()
    measured.ports[0].counters = Counters(txBytes: .max)
    idle.name = "net0"
    let others = try #require(try state([(idle, measured)]).networks.first)
    #expect(others.ports.first?.name == "0" && others.ports.last?.kind == "vtep")
  }

  @Test("of all networks together too")
  func allPorts() throws {
    let networks = try state((0..<6).map { network($0, ports: PageLimits.portsPerNetworkMax) }).networks
    #expect(networks.map(\.ports.count).reduce(0, +) == PageLimits.portsMax)
    #expect(networks[5].ports.isEmpty && networks[5].portsMore == PageLimits.portsPerNetworkMax)
  }

  @Test("networks")
  func networks() throws {
    let state = try state((0..<PageLimits.networksMax + 3).map { network($0, ports: 0) })
    #expect(state.networks.count == PageLimits.networksMax && state.networksMore == 3)
  }

  @Test("MAC entries and sessions")
  func tables() {
    let entries = Array(repeating: Sample.forwardingEntries[0], count: PageLimits.macEntriesMax + 5)
    let sessions = Array(repeating: Sample.sessions[0], count: PageLimits.sessionsMax + 7)
    let tables = PageTables(Sample.networks[0], entries, sessions)
    #expect(tables.macTable.count == PageLimits.macEntriesMax && tables.macTableMore == 5)
    #expect(tables.sessions.count == PageLimits.sessionsMax && tables.sessionsMore == 7)
  }
}
