import ControlModel
import ControlPlane
import Dispatch
import Glibc
import LinuxIO
import Logging
import SFlow
import SystemCalls

/// Sends what ports count, and samples of the frames that they receive, to an sFlow collector.
final class SFlowExporter: Sendable {
  /// How long a sample waits at most. The specification allows a second (sFlow version 5, 4.2).
  private static let intervalMilliseconds = 100
  /// Where no frame is sampled.
  private static let idleIntervalMilliseconds = 1000

  private let queue = DispatchQueue(label: "martletd.sflow")
  /// Only kept: a source lives as long as its value.
  private nonisolated(unsafe) let timer: any DispatchSourceTimer
  private let dataPlane: SwitchDataPlane
  private let round: Round

  /// Begins to send; nil: the configuration has no such section.
  static func start(
    _ section: SFlowSection?, dataPlane: SwitchDataPlane, controlPlane: ControlPlane, logger: Logger
  ) -> SFlowExporter? {
    section.map { SFlowExporter($0, dataPlane: dataPlane, controlPlane: controlPlane, logger: logger) }
  }

  private init(_ section: SFlowSection, dataPlane: SwitchDataPlane, controlPlane: ControlPlane, logger: Logger) {
    self.dataPlane = dataPlane
    let samples =
      section.sampling == 0
      ? nil
      : dataPlane.startSampling(SamplingOptions(rate: UInt32(section.sampling), headerBytes: section.header))
    let round = Round(section, samples, dataPlane: dataPlane, controlPlane: controlPlane, logger: logger)
    self.round = round
    timer = DispatchSource.makeTimerSource(queue: queue)
    timer.setEventHandler { round.run() }
    let interval = samples == nil ? Self.idleIntervalMilliseconds : Self.intervalMilliseconds
    timer.schedule(deadline: .now(), repeating: .milliseconds(interval))
    timer.resume()
    logger.info("sending sFlow to \(section.place)", metadata: ["sampling": "\(section.sampling)"])
  }

  /// Nothing is sent any more when this returns.
  func stop() {
    timer.cancel()
    queue.sync { round.end() }
    dataPlane.stopSampling()
  }
}

/// What is done again and again.
private final class Round: @unchecked Sendable {  // Used on the exporter's queue alone.
  private let section: SFlowSection
  private let samples: FrameSamples?
  private let dataPlane: SwitchDataPlane
  private let controlPlane: ControlPlane
  private let logger: Logger
  private let start = ContinuousClock.now
  private var nextPolling = ContinuousClock.now
  private var socket: DatagramSocket?
  private var agent: Agent?
  private var sent = 0
  private var failures = 0

  init(
    _ section: SFlowSection, _ samples: FrameSamples?, dataPlane: SwitchDataPlane, controlPlane: ControlPlane,
    logger: Logger
  ) {
    (self.section, self.samples) = (section, samples)
    (self.dataPlane, self.controlPlane, self.logger) = (dataPlane, controlPlane, logger)
  }

  func run() {
    connect()
    // Until it is known by which address the agent goes; samples that wait are then old.
    guard var agent else { return samples?.take { _ in } ?? () }
    self.agent = nil
    takeSamples(&agent)
    if section.polling > 0, ContinuousClock.now >= nextPolling {
      nextPolling = .now + .seconds(section.polling)
      takeCounters(&agent)
    }
    let uptime = UInt32(truncatingIfNeeded: Int(start.duration(to: .now) / .milliseconds(1)))
    for datagram in agent.takeDatagrams(uptime: uptime) { send(datagram) }
    self.agent = agent
  }

  func end() {
    logger.info("sFlow: \(sent) datagrams sent, \(failures) not, \(samples?.lost ?? 0) samples lost")
  }

  private func connect() {
    guard socket == nil else { return }
    do throws(Errno) {
      let socket = try DatagramSocket(to: section.collector, port: section.port)
      // Once it is known, it stays.
      if agent == nil { agent = Agent(address: section.agent ?? socket.localAddress) }
      self.socket = socket
    } catch {
      failed(error)
    }
  }

  private func takeSamples(_ agent: inout Agent) {
    guard let samples else { return }
    dataPlane.take(samples) { sample in
      agent.add(
        FlowSample(
          source: sample.port.source, samplingRate: UInt32(section.sampling),
          samplePool: UInt32(truncatingIfNeeded: sample.received), drops: UInt32(truncatingIfNeeded: samples.lost),
          length: sample.frame.length, header: sample.frame.header))
    }
  }

  private func takeCounters(_ agent: inout Agent) {
    guard let ports = try? controlPlane.countedPorts() else { return }
    for port in ports {
      let (counters, discards) = (port.counters, port.discards)
      agent.add(
        CounterSample(
          source: port.port.source, name: port.name, inBytes: counters.rxBytes, inFrames: counters.rxFrames,
          inDiscards: discards.incoming, outBytes: counters.txBytes, outFrames: counters.txFrames,
          outDiscards: discards.outgoing))
    }
    agent.keep(sources: Set(ports.map(\.port.source)))
  }

  private func send(_ datagram: [UInt8]) {
    guard let error = socket == nil ? Errno(ENOTCONN, "send a datagram") : socket?.send(datagram) else {
      sent += 1
      return
    }
    failed(error)
    // The way there may have changed, and the address that sends with it. EAGAIN: only too much was sent at once.
    if error.code != ECONNREFUSED && error.code != EAGAIN { socket = nil }
  }

  /// Counted, and told once: a collector may be away for long.
  private func failed(_ error: Errno) {
    failures += 1
    if failures == 1 {
      logger.warning("sFlow: \(error); the next ones are tried, and failures counted without a word")
    }
  }
}

extension DataPlanePort {
  /// Its ifIndex: 24 bits of a number that is not used twice.
  fileprivate var source: UInt32 { UInt32(truncatingIfNeeded: index) & 0xFF_FFFF }
}
