import ArgumentParser
import Captures
import ControlModel
import Foundation
import Glibc

struct CaptureCommand: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "capture",
    abstract: "Capture a network's frames as the switch sees them, and why it drops some.",
    discussion: """
      A frame that is forwarded is captured at the port it comes in by (in) and at each that it leaves by (out); one that is \
      dropped, with its reason. Without -w there is a line for each frame. `-w -` is for wireshark -k -i - and tcpdump -r -. \
      It ends with -c, ^C, or its reader.
      """)

  private static let countRange = 1...Int(Int32.max)
  /// Answers taken at the end: what the daemon holds still.
  private static let lastAnswersMax = 64

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @Option(
    help: "A sandbox, an endpoint's id, an interface, gateway or vtep=ADDRESS. Default: all ports.",
    completion: Names.forwardingPorts)
  var port: String?
  @Option(help: "What comes from ports, what goes to them, or both.") var direction = FrameDirection.both
  @Option(
    name: [.customShort("f"), .long],
    help: ArgumentHelp("What tcpdump takes: 'icmp and host 10.0.0.2' (pcap-filter(7)).", valueName: "expression"))
  var filter: String?
  @Flag(help: "Only frames that are dropped.") var drops = false
  @Option(name: [.customShort("s"), .long], help: ArgumentHelp("Bytes kept of each frame.", valueName: "bytes"))
  var snaplen: Int?
  @Option(name: [.customShort("c"), .long], help: "End after so many frames.") var count: Int?
  @Option(
    name: [.customShort("w"), .long], help: ArgumentHelp("A pcapng file; -: standard output.", valueName: "file"),
    completion: .file(extensions: ["pcapng"]))
  var write: String?
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws {
    guard count.map(Self.countRange.contains) ?? true else {
      throw ValidationError("--count must be 1 to \(Self.countRange.upperBound)")
    }
    guard snaplen.map(CaptureLimits.snapLength.contains) ?? true else {
      let range = CaptureLimits.snapLength
      throw ValidationError("--snaplen must be \(range.lowerBound) to \(range.upperBound) bytes")
    }
  }

  var request: CaptureRequest {
    CaptureRequest(
      port: port, direction: direction == .both ? nil : direction, filter: filter, drops: drops ? true : nil,
      snaplen: snaplen)
  }

  func perform(on service: any ControlService, output: Output) throws {
    // Before there is anything to be ended.
    let interruption = Interruption()
    // What is refused writes no file.
    let id = try service.startCapture(network: network, request).id
    defer { try? service.endCapture(id) }
    var sink = try FrameSink(write, snapLength: snaplen, output)
    // A reader that has gone is seen where it is written to.
    signal(SIGPIPE, SIG_IGN)
    var lost: UInt64 = 0
    while !sink.isFull(count) && sink.hasReader && !interruption.isThere {
      let answer = try service.capturedFrames(id, waits: true)
      lost = answer.lost
      try sink.take(answer.frames, count)
    }
    for _ in 0..<Self.lastAnswersMax where !sink.isFull(count) && sink.hasReader {
      guard let answer = try? service.capturedFrames(id, waits: false) else { break }
      lost = answer.lost
      if answer.frames.isEmpty { break }
      try sink.take(answer.frames, count)
    }
    output.writeError("\(sink.count) frames captured, \(lost) lost as the capture was too slow\n")
  }
}

extension FrameDirection: ExpressibleByArgument {}

/// Where captured frames go.
private struct FrameSink: ~Copyable {
  private let output: Output
  private let descriptor: Int32?
  private var writer: CaptureWriter?
  /// Numbers of the file's interfaces, by port.
  private var interfaces: [String: Int] = [:]
  private(set) var count = 0

  init(_ path: String?, snapLength: Int?, _ output: Output) throws(ControlError) {
    self.output = output
    guard let path else {
      descriptor = nil
      return
    }
    let file = path == "-" ? dup(STDOUT_FILENO) : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw ControlError(.system, "\(path): \(String(cString: strerror(errno)))") }
    descriptor = file
    writer = CaptureWriter(to: file, snapLength: snapLength ?? CaptureLimits.snapLength.upperBound)
  }

  deinit { if let descriptor { close(descriptor) } }

  func isFull(_ limit: Int?) -> Bool { limit.map { count >= $0 } ?? false }

  /// Of a pipe; whatever else it is has one.
  var hasReader: Bool {
    var file = pollfd(fd: descriptor ?? STDOUT_FILENO, events: 0, revents: 0)
    return poll(&file, 1, 0) <= 0 || Int32(file.revents) & POLLERR == 0
  }

  mutating func take(_ frames: [SwitchedFrame], _ limit: Int?) throws(ControlError) {
    for frame in frames {
      if isFull(limit) { break }
      count += 1
      if writer != nil {
        try save(frame)
      } else if output.json {
        try output.value(frame)
      } else {
        output.line(frame.line)
      }
    }
    guard hasReader else { return }
    do throws(CaptureError) { try writer?.flush() } catch {
      if hasReader { throw ControlError(.system, error.description) }
    }
  }

  private mutating func save(_ frame: SwitchedFrame) throws(ControlError) {
    do throws(CaptureError) {
      let interface: Int
      if let known = interfaces[frame.port] {
        interface = known
      } else {
        interface = try writer!.addInterface(frame.port)
        interfaces[frame.port] = interface
      }
      let bytes = [UInt8](frame.bytes)
      try writer!.add(
        bytes.span.bytes, originalLength: frame.length, interface: interface, nanoseconds: frame.time,
        direction: frame.event == .in || frame.event == .drop ? .inbound : .outbound,
        comment: frame.reason.map { "dropped: \($0)" } ?? "")
    } catch {
      if hasReader { throw ControlError(.system, error.description) }
    }
  }
}

extension SwitchedFrame {
  /// Time of day (UTC), what became of it, port, length, headers.
  fileprivate var line: String {
    let seconds = time_t(time / 1_000_000_000)
    var parts = tm()
    var now = seconds
    gmtime_r(&now, &parts)
    func padded(_ number: some BinaryInteger, _ width: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let clock =
      "\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2)).\(padded(time / 1000 % 1_000_000, 6))"
    let fate = event == .in ? "in  " : event == .out ? "out " : "drop"
    let summary = FrameSummary.text([UInt8](bytes).span.bytes)
    return "\(clock) \(fate) \(port) \(length) bytes: \(summary)" + (reason.map { " (\($0))" } ?? "")
  }
}
