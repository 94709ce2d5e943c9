import ArgumentParser
import Captures
import ControlModel
import Glibc
import Policies
import Replay

struct ReplayCommand: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Say what a policy does with a capture or a traffic model, and how another one differs.",
    discussion: """
      Needs no daemon. The switch's own engine forwards the frames in simulated time: the same command gives the same report. \
      docs/replay.md says what models send and what the report means.
      """)

  @Option(help: ArgumentHelp("A pcap or pcapng file; - is standard input.", valueName: "file"), completion: .file())
  var pcap: String?
  @Option(help: ArgumentHelp("Made-up traffic in place of a capture.", valueName: "name"))
  var model: TrafficModel.Kind?
  @Option(help: "A model's frames. Default: 100000.") var frames: Int?
  @Option(help: "A model's hosts (default: 8), or a capture's ports at most (default: \(Replay.portCountDefault)).")
  var ports: Int?
  @Option(help: "A model's frames a second. Default: 100000.") var rate: Int?
  @Option(help: "What a model's numbers are drawn from. Default: 1.") var seed: UInt64?
  @Option(
    help: ArgumentHelp(
      "How a capture's frames are told apart. Default: interface where the file names several, else src-mac.",
      valueName: "way"))
  var portsBy: PortChoice?
  @Option(help: ArgumentHelp("What decides: a policy's name, or a file that has one.", valueName: "policy")) var policy:
    String
  @Option(
    name: [.customShort("o"), .customLong("parameter")], help: "A parameter of the policy, as KEY=VALUE.",
    transform: KeyValue.complete)
  var parameters: [KeyValue] = []
  @Option(help: ArgumentHelp("Another policy to compare with.", valueName: "policy")) var against: String?
  @Option(
    name: .customLong("against-option"), help: "A parameter of that one.", transform: KeyValue.complete)
  var againstOptions: [KeyValue] = []
  @Option(help: "Differences shown frame by frame.") var differences = Replay.differencesDefault
  @Option(
    help: ArgumentHelp("Write what leaves as pcapng files, one a port, and what is dropped.", valueName: "directory"),
    completion: .directory)
  var write: String?
  @Option(help: ArgumentHelp("Write the report as JSON.", valueName: "file"), completion: .file()) var report: String?
  @Option(help: ArgumentHelp("Write a picture of it, as SVG.", valueName: "file"), completion: .file())
  var plot: String?
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws {
    guard (pcap == nil) != (model == nil) else { throw ValidationError("give either --pcap or --model") }
    guard model != nil || frames == nil && rate == nil && seed == nil else {
      throw ValidationError("--frames, --rate and --seed are a model's, not a capture's")
    }
    guard pcap != nil || portsBy == nil else { throw ValidationError("--ports-by is a capture's, not a model's") }
    guard against != nil || againstOptions.isEmpty else { throw ValidationError("--against-option needs --against") }
    try check("frames", frames, TrafficModel.framesRange)
    try check("rate", rate, TrafficModel.rateRange)
    try check("ports", ports, model == nil ? 1...Replay.portCountMax : TrafficModel.portsRange)
    try check("differences", differences, 0...Replay.differencesMax)
  }

  private func check(_ name: String, _ value: Int?, _ range: ClosedRange<Int>) throws {
    guard value.map(range.contains) ?? true else {
      throw ValidationError("--\(name) must be \(range.lowerBound) to \(range.upperBound)")
    }
  }

  private var input: ReplayInput {
    guard let kind = model else { return .capture(path: pcap ?? "", ports: portsBy, portCount: ports) }
    var model = TrafficModel(kind)
    model.frames = frames ?? model.frames
    model.ports = ports ?? model.ports
    model.rate = rate ?? model.rate
    model.seed = seed ?? model.seed
    return .model(model)
  }

  func perform(on service: any ControlService, output: Output) throws {
    var policies = [try Self.load(policy, parameters)]
    if let against { policies.append(try Self.load(against, againstOptions)) }
    let found: ReplayReport
    do throws(CaptureError) {
      found = try Replay.run(input, policies: policies, differences: differences, directory: write)
    } catch {
      throw ControlError(.invalid, error.description)
    }
    if let path = report { try store(try JSONValue(encoding: found).pretty() + "\n", at: path) }
    if let path = plot { try store(ReplayChart.svg(found), at: path) }
    if output.json { try output.value(found) } else { output.write(found.text) }
    // What was read before is told all the same.
    if let error = found.source.error { throw ControlError(.invalid, error) }
  }

  private static func load(_ argument: String, _ parameters: [KeyValue]) throws(ControlError) -> InstalledPolicy {
    do throws(PolicyError) {
      return try PolicySource(argument: argument).make(parameters.dictionary ?? [:], workers: 1)
    } catch {
      throw ControlError(.invalid, error.description)
    }
  }

  private func store(_ text: String, at path: String) throws(ControlError) {
    guard let file = fopen(path, "we") else { throw Self.failure(path) }
    let isWritten = fputs(text, file) >= 0
    guard fclose(file) == 0, isWritten else { throw Self.failure(path) }
  }

  private static func failure(_ path: String) -> ControlError {
    ControlError(.system, "\(path): \(String(cString: strerror(errno)))")
  }
}

extension TrafficModel.Kind: ExpressibleByArgument {}
extension PortChoice: ExpressibleByArgument {}
