import Testing

/// An Ethernet frame as a test sends it, good or bad, byte for byte.
struct RawFrame: Hashable {
  /// Local experimental, which no stack answers (IEEE 802, 9.2.4).
  static let experimental: UInt16 = 0x88B5
  /// Without the check sequence (IEEE 802.3, 3.2.8).
  static let lengthMinimum = 60

  var bytes: [UInt8]

  init(bytes: [UInt8]) { self.bytes = bytes }

  /// - Parameter tags: TPID and tag control information of each, outermost first.
  init(
    to destination: String, from source: String, tags: [(UInt16, UInt16)] = [], type: UInt16 = experimental,
    payload: [UInt8] = []
  ) {
    bytes = Self.address(destination) + Self.address(source)
    for (protocolID, control) in tags { bytes += Self.bigEndian(protocolID) + Self.bigEndian(control) }
    bytes += Self.bigEndian(type) + payload
    bytes += [UInt8](repeating: 0, count: max(0, Self.lengthMinimum - bytes.count))
  }

  var hexadecimal: String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0xF)]] })
  }

  private static func address(_ text: String) -> [UInt8] { text.split(separator: ":").map { UInt8($0, radix: 16)! } }
  private static func bigEndian(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }
}

extension Namespace {
  /// Sends the frames by an interface, in order.
  func send(_ frames: [RawFrame], by interface: String = "eth0") throws {
    let lines = frames.map(\.hexadecimal).joined(separator: "\n")
    try start(Script.words("frames.py") + [interface], input: lines).succeed()
  }
}

/// What tcpdump(1) sees come in at an interface.
struct Capture {
  private static let fileHeaderLength = 24
  private static let recordHeaderLength = 16

  private let program: Program

  init(at namespace: Namespace, interface: String = "eth0") throws {
    let program = try namespace.start(
      "tcpdump", "-i", interface, "-Q", "in", "-w", "-", "-U", "--immediate-mode", "-n", "-Z", "root")
    try eventually("tcpdump listens") { program.complaintSoFar.contains("listening on") }
    self.program = program
  }

  /// The frames so far (the format of pcap-savefile(5), of a machine with this one's byte order).
  var frames: [RawFrame] {
    let bytes = program.outputBytes
    var frames: [RawFrame] = []
    var place = Self.fileHeaderLength
    while place + Self.recordHeaderLength <= bytes.count {
      let length = bytes.withUnsafeBytes { Int($0.loadUnaligned(fromByteOffset: place + 8, as: UInt32.self)) }
      place += Self.recordHeaderLength
      guard place + length <= bytes.count else { break }
      frames.append(RawFrame(bytes: Array(bytes[place..<place + length])))
      place += length
    }
    return frames
  }

  /// Waits until a frame has come. What was sent before it has come then too, or never will: a flow keeps its order.
  func wait(for frame: RawFrame) throws {
    try eventually("the frame \(frame.hexadecimal) arrives") { frames.contains(frame) }
  }
}

/// Each of the frames has come once; with one worker in their order. Frames with other tags are other flows, and two workers keep
/// an order only within a flow.
func expectArrival(
  of frames: [RawFrame], in capture: Capture, workers: Int, sourceLocation: SourceLocation = #_sourceLocation
) {
  let arrived = capture.frames.filter(frames.contains)
  if workers == 1 {
    #expect(arrived == frames, sourceLocation: sourceLocation)
  } else {
    #expect(arrived.count == frames.count && Set(arrived) == Set(frames), sourceLocation: sourceLocation)
  }
}
