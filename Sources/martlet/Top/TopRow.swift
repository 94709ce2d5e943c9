import ControlModel

/// What happens at a port, or on a network: a second's worth.
struct TopRates: Encodable, Equatable {
  var rxFrames = 0.0
  var rxBits = 0.0
  var txFrames = 0.0
  var txBits = 0.0
  var drops = 0.0

  var bits: Double { rxBits + txBits }

  enum CodingKeys: String, CodingKey {
    case rxFrames = "rx_frames_per_s"
    case rxBits = "rx_bits_per_s"
    case txFrames = "tx_frames_per_s"
    case txBits = "tx_bits_per_s"
    case drops = "drops_per_s"
  }
}

/// A line of the table.
struct TopRow: Encodable, Equatable {
  var network: String
  /// A sandbox's name, else a port's kind; of a whole network nil, as the two below.
  var port: String?
  var interface: String?
  /// Tells it from others whose names are the same.
  var id: String?
  /// nil: it is new, or its counters have begun anew.
  var rates: TopRates?
  /// Bits a second, of the last samples, the oldest first.
  var history: [Double] = []
}

/// Samples of the counters, one after the other: makes rates of them.
struct TopHistory {
  /// As many as a sparkline shows.
  static let samplesMax = 20

  private struct Track {
    var totals: TopRates
    var rates: TopRates?
    var history: [Double] = []
  }

  /// A network, or a port of one.
  private struct Key: Hashable {
    var network: String
    var kind: String?
    var name: String?
  }

  private var tracks: [Key: Track] = [:]
  private var last: Duration?
  private var statistics = Statistics(networks: [])

  /// - Parameter time: from any start; later than that of the sample before.
  mutating func add(_ statistics: Statistics, at time: Duration) {
    let seconds = last.map { (time - $0) / .seconds(1) } ?? 0
    var next: [Key: Track] = [:]
    for network in statistics.networks {
      // A network counts no bytes: they are its ports', of which each may begin anew.
      var ports = TopRates()
      for port in network.ports {
        let key = Key(network: network.name, kind: port.kind, name: port.name)
        let track = track(key, TopRates(port.counters), seconds)
        ports.rxBits += track.rates?.rxBits ?? 0
        ports.txBits += track.rates?.txBits ?? 0
        next[key] = track
      }
      let key = Key(network: network.name)
      next[key] = track(key, TopRates(network), seconds, bits: ports)
    }
    // What has gone is forgotten.
    (tracks, last, self.statistics) = (next, time, statistics)
  }

  /// - Parameter bits: rates that are known already.
  private func track(_ key: Key, _ totals: TopRates, _ seconds: Double, bits: TopRates? = nil) -> Track {
    guard let before = tracks[key], seconds > 0, var rates = totals.rates(since: before.totals, over: seconds) else {
      return Track(totals: totals)
    }
    if let bits { (rates.rxBits, rates.txBits) = (bits.rxBits, bits.txBits) }
    let history = (before.history + [rates.bits]).suffix(Self.samplesMax)
    return Track(totals: totals, rates: rates, history: Array(history))
  }

  var ports: [TopRow] {
    statistics.networks.flatMap { network in
      network.ports.map { port in
        let track = tracks[Key(network: network.name, kind: port.kind, name: port.name)]
        return TopRow(
          network: network.name, port: port.sandbox ?? port.kind, interface: port.interface, id: port.name,
          rates: track?.rates, history: track?.history ?? [])
      }
    }
  }

  var networks: [TopRow] {
    statistics.networks.map { network in
      let track = tracks[Key(network: network.name)]
      return TopRow(network: network.name, rates: track?.rates, history: track?.history ?? [])
    }
  }
}

extension TopRates {
  /// As totals: bits and frames so far.
  fileprivate init(_ counters: Counters) {
    self.init(
      rxFrames: Double(counters.rxFrames), rxBits: Double(counters.rxBytes) * 8, txFrames: Double(counters.txFrames),
      txBits: Double(counters.txBytes) * 8, drops: Double(counters.drops.values.reduce(0, &+)))
  }

  fileprivate init(_ network: NetworkStatistics) {
    self.init(
      rxFrames: Double(network.rxFrames), txFrames: Double(network.txFrames),
      drops: Double(network.drops.values.reduce(0, &+)))
  }

  /// nil: one of the counters has gone back, as when the daemon began anew.
  fileprivate func rates(since before: TopRates, over seconds: Double) -> TopRates? {
    let fields: [WritableKeyPath<TopRates, Double>] = [\.rxFrames, \.rxBits, \.txFrames, \.txBits, \.drops]
    var rates = TopRates()
    for field in fields {
      guard self[keyPath: field] >= before[keyPath: field] else { return nil }
      rates[keyPath: field] = (self[keyPath: field] - before[keyPath: field]) / seconds
    }
    return rates
  }
}
