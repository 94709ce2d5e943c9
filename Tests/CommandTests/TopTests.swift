import ControlModel
import Foundation
import Support
import Testing

@testable import martlet

@Suite struct TopTests {
  private static func port(_ name: String, _ counters: Counters, sandbox: String? = nil) -> PortStatistics {
    PortStatistics(kind: "endpoint", name: name, sandbox: sandbox ?? name, interface: "eth0", counters: counters)
  }

  private static func statistics(_ ports: PortStatistics..., drops: UInt64 = 0) -> Statistics {
    let frames = ports.reduce(0) { $0 + $1.counters.rxFrames }
    return Statistics(networks: [
      NetworkStatistics(
        name: "lab", rxFrames: frames, txFrames: 0, floodedCopies: 0, drops: ["runt": drops], fdbEntries: 0,
        ports: ports)
    ])
  }

  /// Port a sends 100 frames of 1000 bytes in half a second, b gets them.
  private static var busy: TopHistory {
    var history = TopHistory()
    history.add(statistics(port("b", Counters(txFrames: 7)), port("a", Counters(rxBytes: 50))), at: .seconds(3))
    history.add(
      statistics(
        port("b", Counters(txFrames: 107, txBytes: 100_000, drops: ["queue_full": 1])),
        port("a", Counters(rxFrames: 100, rxBytes: 100_050)), drops: 3), at: .milliseconds(3500))
    return history
  }

  @Test func ratesAreOfTheTimeThatPassed() throws {
    let rows = TopView().rows(of: Self.busy)
    #expect(rows.map(\.port) == ["a", "b"])
    #expect(rows[0].rates == TopRates(rxFrames: 200, rxBits: 1_600_000))
    #expect(rows[1].rates == TopRates(txFrames: 200, txBits: 1_600_000, drops: 2))
    #expect(rows[1].history == [1_600_000])
    let networks = TopView(unit: .network).rows(of: Self.busy)
    // Frames of the network itself, bits of its ports.
    let lab = TopRates(rxFrames: 200, rxBits: 1_600_000, txBits: 1_600_000, drops: 6)
    #expect(networks == [TopRow(network: "lab", rates: lab, history: [3_200_000])])
  }

  @Test func whatIsNewOrBeganAnewHasNoRate() {
    var history = Self.busy
    history.add(
      Self.statistics(Self.port("a", Counters(rxFrames: 1)), Self.port("c", Counters(rxFrames: 9))), at: .seconds(4))
    #expect(history.ports.map(\.rates) == [nil, nil])
    #expect(history.ports.map(\.history) == [[], []])
    // As has the network: it counted fewer frames than before.
    #expect(history.networks.map(\.rates) == [nil])
    // b, which had gone, is new.
    history.add(Self.statistics(Self.port("b", Counters(txFrames: 500))), at: .seconds(5))
    #expect(history.ports.map(\.rates) == [nil])
  }

  @Test func aPortThatGoesTakesNothingFromItsNetwork() {
    var history = Self.busy
    var next = Self.statistics(Self.port("a", Counters(rxFrames: 100, rxBytes: 101_050)), drops: 3)
    next.networks[0].rxFrames = 300
    history.add(next, at: .milliseconds(4500))
    #expect(history.networks.map(\.rates) == [TopRates(rxFrames: 200, rxBits: 8000)])
  }

  @Test func historyIsBounded() {
    var history = TopHistory()
    for number in 0..<100 {
      history.add(
        Self.statistics(Self.port("a", Counters(rxBytes: UInt64(number * number)))), at: .seconds(number))
    }
    #expect(history.ports[0].history.count == TopHistory.samplesMax)
    // 99 * 99 - 98 * 98 bytes.
    #expect(history.ports[0].history.last == 1576)
  }

  @Test func theTable() {
    let table = TopView().table(of: TopView().rows(of: Self.busy)).text
    #expect(
      table == """
        NETWORK   PORT      INTERFACE   RX FRAMES/S   RX BITS/S*   TX FRAMES/S   TX BITS/S   DROPS/S   BITS
        lab       a         eth0        200           1.60M        0             0           0         █
        lab       b         eth0        0             0            200           1.60M       2         █

        """)
  }

  @Test(arguments: [
    (TopColumn.network, ["a", "b", "c"]), (.port, ["a", "b", "c"]), (.rxBits, ["c", "a", "b"]),
    (.txFrames, ["b", "a", "c"]), (.drops, ["b", "a", "c"]),
  ]) func sorts(column: TopColumn, names: [String]) {
    var history = TopHistory()
    let ports = ["c", "b", "a"]
    history.add(Statistics(networks: [Self.network(ports.map { Self.port($0, Counters()) })]), at: .zero)
    let after = [
      Self.port("c", Counters(rxBytes: 9)), Self.port("b", Counters(txFrames: 4, drops: ["runt": 1])),
      Self.port("a", Counters(rxBytes: 5)),
    ]
    history.add(Statistics(networks: [Self.network(after)]), at: .seconds(1))
    var view = TopView(sort: column)
    #expect(view.rows(of: history).map(\.port) == names)
    view.isReversed = true
    #expect(view.rows(of: history).map(\.port) == names.reversed())
  }

  private static func network(_ ports: [PortStatistics]) -> NetworkStatistics {
    NetworkStatistics(name: "lab", rxFrames: 0, txFrames: 0, floodedCopies: 0, drops: [:], fdbEntries: 0, ports: ports)
  }

  @Test(arguments: [
    (0, "0"), (0.1, "0.10"), (0.004, "0.00"), (1, "1"), (9.994, "9.99"), (9.996, "10.0"), (99.94, "99.9"),
    (99.96, "100"), (999.4, "999"), (999.6, "1.00k"), (1000, "1k"), (1234, "1.23k"), (12_340, "12.3k"),
    (123_400, "123k"), (1_000_000, "1M"), (2.5e9, "2.50G"), (2.5e12, "2.50T"), (2.5e15, "2500T"), (1e18, "1000000T"),
  ]) func threeDigits(rate: Double, text: String) { #expect(TopView.text(rate) == text) }

  @Test func aSparklineHasItsOwnScale() {
    #expect(TopView.sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8], isUnicode: true) == "▁▂▃▄▅▆▇██")
    #expect(TopView.sparkline([0, 1e9, 2e9], isUnicode: false) == "_=#")
    #expect(TopView.sparkline([0, 0], isUnicode: true) == "▁▁" && TopView.sparkline([], isUnicode: true) == "")
  }

  @Test(arguments: [(80, 24), (80, 6), (40, 5), (10, 3), (1, 1), (0, 0), (300, 100)])
  func aScreenFitsTheTerminal(width: Int, height: Int) {
    let lines = TopView().screen(of: Self.busy, interval: 1, width: width, height: height)
    #expect(lines.count == height && lines.allSatisfy { $0.count <= width && !$0.contains("\n") })
    if height > 4 {
      #expect(lines[2].hasPrefix("NETWORK".prefix(width)) && lines.last?.hasPrefix("q quit".prefix(width)) == true)
    }
    // Two rows and the titles do not fit.
    if height == 6 { #expect(lines[0].contains("1 more below")) }
  }

  @Test func keysChangeTheView() {
    #expect(
      TopKey.all(in: Array("\u{1B}[C\u{1B}[Dx\u{1B}[15~pn\u{1B}OC<>r".utf8)) == [
        .next, .previous, .ports, .networks, .next, .previous, .next, .reverse,
      ])
    #expect(TopKey.all(in: [3]) == [.quit] && TopKey.all(in: Array("\u{1B}".utf8)).isEmpty)
    #expect(TopKey.all(in: Array("\u{1B}[".utf8)).isEmpty)
    var view = TopView()
    func expect(_ key: TopKey, _ unit: TopUnit, _ sort: TopColumn, isReversed: Bool = false) {
      let goesOn = view.take(key)
      #expect(goesOn && view == TopView(unit: unit, sort: sort, isReversed: isReversed), "\(key)")
    }
    expect(.networks, .network, .rxBits)
    expect(.next, .network, .txFrames)
    expect(.previous, .network, .rxBits)
    expect(.previous, .network, .rxFrames)
    expect(.ports, .port, .rxFrames)
    expect(.previous, .port, .port)
    expect(.previous, .port, .network)
    expect(.previous, .port, .drops)
    expect(.next, .port, .network)
    expect(.reverse, .port, .network, isReversed: true)
    let goesOn = view.take(.quit)
    #expect(!goesOn)
  }

  @Test func printsTablesWhereThereIsNoTerminal() throws {
    let line = CommandLine()
    #expect(line.run("top lab -n 2 --interval 0.1 --batch --by network") == 0)
    #expect(line.service.calls == Array(repeating: .statistics("lab"), count: 3))
    #expect(line.output.split(separator: "\n").count { $0.hasPrefix("NETWORK") } == 2)
    #expect(line.run("--json top -n 1 --interval 0.1") == 0)
    let rows = try #require(try JSONSerialization.jsonObject(with: Data(line.output.utf8)) as? [[String: Any]])
    #expect(rows.count == 2 && rows[0]["port"] as? String != nil)
    #expect((rows[0]["rates"] as? [String: Any])?["rx_bits_per_s"] as? Double == 0)
  }

  @Test(arguments: [
    "top a b", "top --interval 0", "top --interval x", "top -n 0", "top --sort age", "top --by sandbox",
  ]) func wrongUsage(line: String) {
    let command = CommandLine()
    #expect(command.run(line) == 64 && command.service.calls.isEmpty)
  }
}
