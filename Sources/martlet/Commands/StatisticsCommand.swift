import ArgumentParser
import ControlModel
import Glibc

struct StatisticsCommand: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "stats",
    abstract: "Show counters by network and port, and drops by reason.",
    discussion: "rx: frames the switch got from a port; tx: frames it sent to it.")

  private static let watchSeconds: UInt32 = 1

  @Argument(help: "A name or id. Default: all networks.", completion: Names.networks) var network: String?
  @Flag(help: "Show rates, anew every second, until interrupted.")
  var watch = false
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    var sample = try service.statistics(network: network)
    guard watch else { return try show(sample, Table(totals: sample), output) }
    var clock = ContinuousClock.now
    while true {
      sleep(Self.watchSeconds)
      let (before, since) = (sample, clock)
      (sample, clock) = (try service.statistics(network: network), .now)
      // Home, and clear what is below: on a terminal each table takes the last one's place.
      if !output.json { output.write(isatty(STDOUT_FILENO) == 1 ? "\u{1B}[H\u{1B}[J" : "\n") }
      try show(sample, Table(rates: sample, since: before, over: since.duration(to: clock)), output)
    }
  }

  private func show(_ statistics: Statistics, _ ports: Table, _ output: Output) throws(ControlError) {
    if output.json { return try output.value(statistics) }
    output.write(ports.text)
    let drops = Table(drops: statistics)
    if drops.rows.count > 1 { output.write("\n" + drops.text) }
  }
}

extension Table {
  private typealias PortRow = (network: NetworkStatistics, port: PortStatistics)

  private static func ports(of statistics: Statistics) -> [PortRow] {
    statistics.networks.flatMap { network in network.ports.map { (network, $0) } }
  }

  private static var place: [Column<PortRow>] {
    [
      Column("NETWORK", \.network.name),
      Column("PORT") { $0.port.sandbox ?? $0.port.kind },
      Column("INTERFACE", \.port.interface),
    ]
  }

  init(totals statistics: Statistics) {
    self.init(
      Self.ports(of: statistics),
      Self.place + [
        Column("RX FRAMES") { String($0.port.counters.rxFrames) },
        Column("RX BYTES") { String($0.port.counters.rxBytes) },
        Column("TX FRAMES") { String($0.port.counters.txFrames) },
        Column("TX BYTES") { String($0.port.counters.txBytes) },
        Column("DROPS") { String($0.port.counters.drops.values.reduce(0, &+)) },
      ])
  }

  /// A port that is new, or whose counters began anew, has no rate yet.
  init(rates statistics: Statistics, since before: Statistics, over duration: Duration) {
    let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    let earlier = Dictionary(
      Self.ports(of: before).map { ("\($0.network.name)/\($0.port.name)", $0.port.counters) }, uniquingKeysWith: { $1 })
    func rate(_ row: PortRow, _ scale: Double, _ counter: (Counters) -> UInt64) -> String {
      guard let start = earlier["\(row.network.name)/\(row.port.name)"].map(counter) else { return "" }
      let now = counter(row.port.counters)
      return now < start ? "" : String(UInt64((Double(now - start) * scale / seconds).rounded()))
    }
    self.init(
      Self.ports(of: statistics),
      Self.place + [
        Column("RX FRAMES/S") { rate($0, 1, \.rxFrames) },
        Column("RX BITS/S") { rate($0, 8, \.rxBytes) },
        Column("TX FRAMES/S") { rate($0, 1, \.txFrames) },
        Column("TX BITS/S") { rate($0, 8, \.txBytes) },
        Column("DROPS/S") { rate($0, 1) { $0.drops.values.reduce(0, &+) } },
      ])
  }

  init(drops statistics: Statistics) {
    self.init(
      statistics.networks.flatMap { network in
        network.drops.sorted { $0.key < $1.key }.map { (network: network.name, reason: $0.key, count: $0.value) }
      },
      [Column("NETWORK", \.network), Column("DROP REASON", \.reason), Column("FRAMES") { String($0.count) }])
  }
}
