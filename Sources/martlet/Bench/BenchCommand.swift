import ArgumentParser
import ControlModel
import Glibc

struct BenchCommand: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure throughput, rate and latency between two sandboxes that are made for it.",
    discussion: """
      Makes a network without a gateway and two sandboxes, and takes them away again, also when interrupted. For each \
      number of streams, TCP as fast as it goes, counted at the receiver; UDP as fast as it goes; TCP requests of 64 bytes, each \
      sent when the last was answered, the ends on two CPUs. Nothing else should run meanwhile; `tools/bench` of the sources \
      compares with other switches.
      """)

  private static let payloadLimit = 65_000
  private static let streamLimit = 256
  private static let secondsLimit = 3600.0

  @Option(help: "How long each measurement takes.") var seconds = 3.0
  @Option(help: "TCP connections at the same time; give it once for each measurement. Default: 1 and 4.")
  var streams: [Int] = []
  @Option(help: "Bytes in each UDP datagram; 18 make the shortest frame over IPv4.") var payload = 18
  @Option(help: "TCP's congestion control.") var congestionControl = "cubic"
  @Option(help: "Measure on this network instead of one made for it.", completion: Names.networks) var network: String?
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws {
    guard seconds > 0, seconds <= Self.secondsLimit else {
      throw ValidationError("--seconds must be above 0 and at most \(Int(Self.secondsLimit))")
    }
    guard streams.allSatisfy((1...Self.streamLimit).contains) else {
      throw ValidationError("--streams must be 1 to \(Self.streamLimit)")
    }
    guard (1...Self.payloadLimit).contains(payload) else {
      throw ValidationError("--payload must be 1 to \(Self.payloadLimit)")
    }
  }

  func perform(on service: any ControlService, output: Output) throws {
    let program = try LoadProgram.find()
    let interruption = Interruption()
    var bed = BenchBed(
      service: service, name: "bench-\(getpid())-\(String(UInt32.random(in: .min ... .max), radix: 16))")
    let figures = Result { try measure(with: program, on: &bed, interruption, progress: output) }
    let cleanup = Result { () throws(ControlError) in try bed.takeDown() }
    do {
      try show(figures.get(), output)
    } catch let signal as Interruption.Signalled {
      if case .failure(let error) = cleanup { output.report(error) }
      output.report(ControlError(.system, "interrupted: \(String(cString: strsignal(signal.number)))"))
      // As shells say it.
      throw ExitCode(128 + signal.number)
    } catch {
      if case .failure(let error) = cleanup { output.report(error) }
      throw error
    }
    try cleanup.get()
  }

  private func measure(
    with program: LoadProgram, on bed: inout BenchBed, _ interruption: Interruption, progress: Output
  ) throws -> BenchFigures {
    func say(_ what: String) { if isatty(STDERR_FILENO) == 1 { progress.writeError("\(what)\n") } }
    let network = try network ?? bed.makeNetwork()
    let run = BenchRun(
      program: program, client: try bed.makeHost("client", on: network),
      server: try bed.makeHost("server", on: network),
      seconds: seconds, congestionControl: congestionControl, interruption: interruption)
    var tcp: [BenchFigures.Stream] = []
    for streams in streams.isEmpty ? [1, 4] : streams {
      say("measuring TCP, streams: \(streams)")
      tcp.append(try run.tcp(streams: streams))
    }
    say("measuring UDP")
    let udp = try run.udp(payload: payload)
    say("measuring request/response")
    return BenchFigures(
      network: network, seconds: seconds, congestionControl: congestionControl, tcp: tcp, udp: udp,
      roundTrip: try run.roundTrip())
  }

  private func show(_ figures: BenchFigures, _ output: Output) throws(ControlError) {
    if output.json { try output.value(figures) } else { output.write(Table(figures).text) }
  }
}
