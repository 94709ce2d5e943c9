import Captures
import Datapath
import Glibc
import Wire

/// What left by each port, and what was dropped, as pcapng files in a directory: `port-NAME.pcapng` and `drops.pcapng`, with two policies
/// in its folders `a` and `b`. Comments say where a frame came from and why it went there.
final class ReplayCaptures {
  /// Files are opened to write a stretch, and closed again: there may be more of them than a process may have open.
  private final class File {
    private let path: String
    var writer = CaptureWriter()
    private var isNew = true

    init(_ path: String) { self.path = path }

    func flush() throws(CaptureError) {
      let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (isNew ? O_TRUNC : O_APPEND), 0o644)
      guard descriptor >= 0 else { throw CaptureError.system(path) }
      defer { close(descriptor) }
      isNew = false
      let bytes = writer.takeBytes()
      var written = 0
      while written < bytes.count {
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written) }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { throw CaptureError.system(path) }
        written += count
      }
    }

    func flushWhereFull() throws(CaptureError) {
      if writer.pendingLength >= CaptureWriter.pendingLengthMax { try flush() }
    }
  }

  private let names: [String]
  /// Of each policy: of each port, and the drops.
  private var files: [[File]] = []

  init(directory: String, letters: [String], ports: [String]) throws(CaptureError) {
    names = ports
    try Self.makeDirectory(directory)
    for letter in letters {
      let folder = letter.isEmpty ? directory : directory + "/" + letter
      try Self.makeDirectory(folder)
      var taken: Set<String> = []
      var files: [File] = []
      for (index, port) in ports.enumerated() {
        var name = Self.fileName(port)
        while !taken.insert(name).inserted { name += "-\(index)" }
        files.append(File("\(folder)/port-\(name).pcapng"))
        _ = try files[index].writer.addInterface(port)
      }
      let drops = File(folder + "/drops.pcapng")
      for port in ports { _ = try drops.writer.addInterface(port) }
      self.files.append(files + [drops])
    }
  }

  func write(
    _ policy: Int, _ arrival: Arrival, _ bytes: UnsafeRawPointer, _ contender: Contender, at nanoseconds: UInt64
  ) throws(CaptureError) {
    let verb: String
    switch contender.treatment {
    case .forwarded: verb = "forwarded"
    case .flooded: verb = "flooded"
    case .dropped(let reason):
      verb = "copied"
      let frame = RawSpan(_unsafeStart: bytes, byteCount: arrival.length)
      let drops = files[policy][names.count]
      try drops.writer.add(
        frame, originalLength: arrival.originalLength, interface: Int(arrival.port), nanoseconds: nanoseconds,
        direction: .inbound, comment: "dropped: \(reason.name)")
      try drops.flushWhereFull()
    }
    for copy in contender.output.copies {
      // As many bytes are missing as were when it came.
      let missing = arrival.originalLength - arrival.length
      let comment = verb + " from " + names[Int(arrival.port)] + (copy.changed == nil ? "" : ", changed")
      let file = files[policy][Int(copy.port)]
      try contender.output.withBytes(of: copy) { bytes throws(CaptureError) in
        let frame = RawSpan(_unsafeBytes: bytes)
        try file.writer.add(
          frame, originalLength: bytes.count + missing, interface: 0, nanoseconds: nanoseconds, direction: .outbound,
          comment: comment)
      }
      try file.flushWhereFull()
    }
  }

  func finish() throws(CaptureError) {
    for file in files.joined() { try file.flush() }
  }

  private static func makeDirectory(_ path: String) throws(CaptureError) {
    guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw CaptureError.system(path) }
  }

  /// A port's name is a capture's word: no separator, nothing that the shell takes.
  private static func fileName(_ name: String) -> String {
    let kept = name.utf8.prefix(64).map { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
        byte
      default: UInt8(ascii: "_")
      }
    }
    return String(decoding: kept, as: UTF8.self)
  }
}
