import ArgumentParser
import Captures
import ControlModel

/// `martlet trace`: why a frame goes where it goes.
struct TraceCommand: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "trace",
    abstract: "Say what the switch would do with a frame, step by step, and why.",
    discussion: """
      Nothing changes by it: no address is learned, nothing is counted or sent, unless --send says so. --explain-drop shows \
      the last frames that went nowhere, of each burst a few, with what would become of each now.

        martlet trace lab --in web --frame $(cat frame.hex)
        martlet trace lab --in web --pcap odd.pcap
        martlet trace lab --next --filter 'udp port 53'
        martlet trace lab --explain-drop 5
      """)

  /// Frames of a capture that are traced by one call.
  static let framesMax = 1000
  /// Longer ones are segments that a kernel has left whole: by themselves they would seem too long.
  static let wholeFrameMax = 9018

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String

  @Option(
    name: .customLong("in"),
    help: "The port by which the frame comes in: an endpoint, its sandbox, an interface, gateway, or vtep=ADDRESS.",
    completion: Names.forwardingPorts)
  var port: String?

  @Option(help: "The frame from its Ethernet header on, without the check sequence: hexadecimal digits.")
  var frame: String?

  @Option(
    help: "A capture whose frames are traced, one after the other.", completion: .file(extensions: ["pcap", "pcapng"]))
  var pcap: String?

  @Option(help: "Of the capture, only the frame of this number, counted from 1.") var number: Int?

  @Flag(help: "Wait for the next frame that comes in, by --in or by any port.") var next = false

  @Option(
    name: [.customShort("f"), .long],
    help: ArgumentHelp(
      "Of these, the first that matches: 'icmp and host 10.0.0.2' (pcap-filter(7)).", valueName: "expression"))
  var filter: String?

  @Flag(help: "Afterwards the frame goes its way, as if it had come by the port.") var send = false

  @Option(help: "Show so many of the last frames that were dropped, and why.") var explainDrop: Int?

  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws {
    guard filter == nil || next else { throw ValidationError("--filter goes with --next") }
    if next {
      guard frame == nil, pcap == nil, !send, explainDrop == nil else {
        throw ValidationError("--next waits for a frame: it takes none, and neither --send nor --explain-drop")
      }
      return
    }
    if let explainDrop {
      guard frame == nil, pcap == nil, !send, explainDrop > 0 else {
        throw ValidationError("--explain-drop takes a number from 1, and no frame")
      }
      return
    }
    guard port != nil else { throw ValidationError("by which port does the frame come? --in PORT says it") }
    guard (frame == nil) != (pcap == nil) else { throw ValidationError("give a frame: --frame HEX or --pcap FILE") }
    guard number == nil || pcap != nil && number! > 0 else {
      throw ValidationError("--number counts a capture's frames from 1")
    }
  }

  func perform(on service: any ControlService, output: Output) throws {
    if let explainDrop { return try explainDrops(explainDrop, service, output) }
    if next { return try traceNext(service, output) }
    guard let port else { return }
    let frames = try frame.map { [(number: 1, digits: $0)] } ?? capturedFrames()
    var traces: [Trace] = []
    for frame in frames {
      let digits = frame.digits.filter { !$0.isWhitespace && $0 != ":" }
      let trace = try service.trace(
        network: network, TraceRequest(port: port, frame: digits, send: send ? true : nil))
      if output.json {
        traces.append(trace)
      } else {
        if frames.count > 1 { output.line("frame \(frame.number)") }
        Self.show(trace, output)
      }
    }
    if output.json { try output.value(traces) }
  }

  /// What it meets is what it has met, but for what has changed since: its source is known, as a rule.
  private func traceNext(_ service: any ControlService, _ output: Output) throws {
    let interruption = Interruption()
    let request = CaptureRequest(port: port, direction: .in, filter: filter)
    let id = try service.startCapture(network: network, request).id
    defer { try? service.endCapture(id) }
    while !interruption.isThere {
      let frames = try service.capturedFrames(id, waits: true).frames
      let found = frames.first { $0.event == .in && $0.length == $0.bytes.count && $0.length <= Self.wholeFrameMax }
      guard let found else { continue }
      let digits = Self.hexadecimal([UInt8](found.bytes).span.bytes)
      let trace = try service.trace(network: network, TraceRequest(port: found.port, frame: digits))
      if output.json { return try output.value([trace]) }
      output.line(FrameSummary.text([UInt8](found.bytes).span.bytes))
      return Self.show(trace, output)
    }
  }

  private func capturedFrames() throws -> [(number: Int, digits: String)] {
    var frames: [(number: Int, digits: String)] = []
    do throws(CaptureError) {
      var reader = try CaptureReader(path: pcap ?? "")
      var count = 0
      while let packet = try reader.next(), frames.count < Self.framesMax {
        count += 1
        if let number, number != count { continue }
        frames.append((count, Self.hexadecimal(packet.bytes)))
      }
    } catch {
      throw ControlError(.invalid, error.description)
    }
    guard !frames.isEmpty else {
      throw ControlError(.invalid, number.map { "\(pcap ?? "") has no frame \($0)" } ?? "\(pcap ?? "") has no frame")
    }
    return frames
  }

  private static func hexadecimal(_ bytes: RawSpan) -> String {
    bytes.withUnsafeBytes { $0.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
  }

  private func explainDrops(_ count: Int, _ service: any ControlService, _ output: Output) throws {
    let drops = try service.drops(network: network).filter { port == nil || $0.port == port }.suffix(count)
    if output.json { return try output.value(Array(drops)) }
    if drops.isEmpty { output.line("no frame was dropped at the port it came in by, as far back as it is known") }
    for drop in drops {
      let age = (drop.ageSeconds * 10).rounded() / 10
      output.line("\(age) s ago, by port \(drop.port), \(drop.length) bytes: \(drop.reason)")
      output.line("  \(drop.frame)")
      // Of a frame that was longer than what was kept its packet would seem cut.
      guard drop.length * 2 == drop.frame.count,
        let trace = try? service.trace(network: network, TraceRequest(port: drop.port, frame: drop.frame))
      else { continue }
      for step in trace.steps { output.line("  now: \(step)") }
    }
  }

  static func show(_ trace: Trace, _ output: Output) {
    for step in trace.steps { output.line("  \(step)") }
    if let rewritten = trace.rewritten { output.line("  rewritten: \(rewritten)") }
    let ports = trace.copies.map { copy in
      copy.port + (copy.tag.map { " (tag \($0))" } ?? "") + (copy.mirror ? " (mirror)" : "")
    }
    let drop = trace.drop.map { ": \($0)" } ?? ""
    output.line("=> \(trace.outcome)\(drop)" + (ports.isEmpty ? "" : " by \(ports.joined(separator: ", "))"))
  }
}
