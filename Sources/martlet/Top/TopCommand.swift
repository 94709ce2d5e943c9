import ArgumentParser
import ControlModel
import Glibc

struct TopCommand: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "top",
    abstract: "Watch what ports and networks carry, live.",
    discussion: """
      rx: what the switch gets from a port; tx: what it sends to it. Rates of the last interval; BITS shows the last \
      \(TopHistory.samplesMax) of both directions together, each row to its own scale. The column sorted by is marked. Keys: q or \
      ^C quit, p ports, n networks, < > (or arrows) sort by another column, r reverses. Where there is no terminal, or with \
      --batch or --json, one table after the other is printed, the first when there are rates.
      """)

  static let intervalRange = 0.1...3600.0
  private static let iterationsRange = 1...1_000_000

  @Argument(help: "A name or id. Default: all networks.", completion: Names.networks) var network: String?
  @Option(help: ArgumentHelp("A row for each port, or network.", valueName: "unit")) var by = TopUnit.port
  @Option(help: ArgumentHelp("Sort by this column.", valueName: "column")) var sort = TopColumn.rxBits
  @Flag(help: "The other way round.") var reverse = false
  @Option(help: ArgumentHelp("How long each sample takes.", valueName: "seconds")) var interval = 1.0
  @Option(name: [.customShort("n"), .long], help: "End after so many samples.") var iterations: Int?
  @Flag(name: .shortAndLong, help: "Print plain tables, also on a terminal.") var batch = false
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws {
    guard Self.intervalRange.contains(interval) else {
      throw ValidationError(
        "--interval must be \(Self.intervalRange.lowerBound) to \(Int(Self.intervalRange.upperBound)) seconds")
    }
    guard iterations.map(Self.iterationsRange.contains) ?? true else {
      throw ValidationError("--iterations must be 1 to \(Self.iterationsRange.upperBound)")
    }
  }

  private var view: TopView {
    TopView(unit: by, sort: sort, isReversed: reverse, isUnicode: Terminal.isUnicode)
  }

  func perform(on service: any ControlService, output: Output) throws {
    if batch || output.json || !Terminal.isThere {
      try printTables(service, output)
    } else {
      try watch(service)
    }
  }

  private func printTables(_ service: any ControlService, _ output: Output) throws {
    var history = TopHistory()
    let start = ContinuousClock.now
    history.add(try service.statistics(network: network), at: .zero)
    var count = 0
    while iterations.map({ count < $0 }) ?? true {
      usleep(UInt32(interval * 1_000_000))
      history.add(try service.statistics(network: network), at: start.duration(to: .now))
      let rows = view.rows(of: history)
      if output.json {
        try output.value(rows)
      } else {
        output.write((count > 0 ? "\n" : "") + view.table(of: rows).text)
      }
      count += 1
    }
  }

  private func watch(_ service: any ControlService) throws {
    var (history, view) = (TopHistory(), self.view)
    let start = ContinuousClock.now
    var samples = 0
    var next = start
    // Refused before the screen changes.
    history.add(try service.statistics(network: network), at: .zero)
    let interruption = Interruption()
    let terminal = try Terminal.open()
    while true {
      if next <= .now {
        if samples > 0 { history.add(try service.statistics(network: network), at: start.duration(to: .now)) }
        if let iterations, samples == iterations { return }
        samples += 1
        // Not several at once after a pause.
        next = ContinuousClock.now + .seconds(interval)
      }
      let (width, height) = terminal.size
      terminal.draw(view.screen(of: history, interval: interval, width: width, height: height))
      var files = [pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)]
      do {
        _ = try interruption.wait(for: &files, until: next)
      } catch {
        return
      }
      guard files[0].revents != 0 else { continue }
      guard let typed = terminal.read() else { return }
      for key in TopKey.all(in: typed) where !view.take(key) { return }
    }
  }
}
