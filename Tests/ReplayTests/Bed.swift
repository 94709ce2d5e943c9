import Captures
import Datapath
import Foundation
import Policies
import Support
import Wire

@testable import Replay

/// Everything to everybody.
struct Hub: LoadablePolicy {
  static let name = "hub"
  static let summary = "flood"

  init?(_ parameters: inout PolicyParameters) {}
  init() {}

  mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict { .flood }
}

/// Nothing to anybody.
struct Wall: LoadablePolicy {
  static let name = "wall"
  static let summary = "drop"

  init?(_ parameters: inout PolicyParameters) {}
  init() {}

  mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict { .drop(.storm) }
}

/// Sends each frame to the last port twice, with a tag and from another address, mirrors what it drops, and counts.
struct Editor: LoadablePolicy {
  static let name = "editor"
  static let summary = "change frames"
  var counterNames: [String] { ["seen", "milliseconds"] }
  private var last: UInt16 = 0

  init?(_ parameters: inout PolicyParameters) {}
  init() {}

  mutating func portsChanged(_ ports: [PolicyPort]) { last = ports.last!.index }

  mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    view.count(0)
    view.count(1, view.nanoseconds / 1_000_000)
    if frame.destination.isGroup {
      view.mirror(to: last)
      return .drop(.policy)
    }
    _ = view.rewrite(.sourceMAC(MACAddress(bits: 0x0200_0000_00EE)))
    let first = view.targetCount
    view.add(PolicyTarget(last, .set(VLANTag(type: .vlan, control: 42))))
    view.add(PolicyTarget(last))
    return view.targets(since: first)
  }
}

func installed(_ policy: some LoadablePolicy) -> InstalledPolicy { InstalledPolicy(policy, workers: 1) }

func learning() throws -> InstalledPolicy { try PolicyCatalog.policy(named: "learning")!.make([:], workers: 1) }

/// A directory with one capture in it.
struct Bed {
  let directory: TemporaryDirectory
  var path: String { directory.path + "/in.pcap" }

  init(_ bytes: [UInt8]) throws {
    directory = try TemporaryDirectory()
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  func replay(
    _ policies: InstalledPolicy..., ports: PortChoice? = nil, portCount: Int? = nil, to name: String? = nil
  ) throws -> ReplayReport {
    try Replay.run(
      .capture(path: path, ports: ports, portCount: portCount), policies: policies,
      directory: name.map { directory.path + "/" + $0 })
  }

  /// Frames of a capture that was written: length, original length, and tcpdump's words.
  func lines(of name: String) throws -> [String] {
    let (process, output) = (Process(), Pipe())
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["tcpdump", "-n", "-e", "-t", "-r", "-"]
    process.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"]
    // Opened here: tcpdump drops root's rights before it opens a file.
    process.standardInput = FileHandle(forReadingAtPath: directory.path + "/" + name)
    (process.standardOutput, process.standardError) = (output, FileHandle.nullDevice)
    try process.run()
    let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    // It shows the bytes of what it does not know, further in.
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init).filter { !$0.hasPrefix("\t") }
  }
}

/// A frame of a capture that a test makes.
struct Made {
  var from: UInt8
  var to: UInt8
  var seconds: UInt64
  var interface = 0
  var direction = CaptureDirection.unknown

  /// Hosts are 02:00:00:00:00:NN; 0xFF is everybody.
  var bytes: [UInt8] {
    let target: [UInt8] = to == 0xFF ? [UInt8](repeating: 0xFF, count: 6) : [2, 0, 0, 0, 0, to]
    return target + [2, 0, 0, 0, 0, from, 0x88, 0xB5] + [UInt8](repeating: 0x5A, count: 46)
  }

  static func capture(_ frames: [Made], interfaces: [String] = ["lan"]) throws -> [UInt8] {
    var writer = CaptureWriter()
    for name in interfaces { _ = try writer.addInterface(name) }
    for frame in frames {
      let bytes = frame.bytes
      try writer.add(
        bytes.span.bytes, interface: frame.interface, nanoseconds: frame.seconds * 1_000_000_000,
        direction: frame.direction)
    }
    return writer.takeBytes()
  }
}

extension PolicyReport {
  /// Nothing comes from nowhere and nothing is lost.
  var isConserved: Bool {
    let frames = forwarded + flooded + dropped
    return frames + floodedCopies == copies + engineDrops && reasons.values.reduce(0, +) == dropped
      && ports.map(\.rxFrames).reduce(0, +) == frames && ports.map(\.txFrames).reduce(0, +) == copies
      && (0..<3).map { kind in timeline.map { $0[kind] }.reduce(0, +) } == [forwarded, flooded, dropped]
  }
}
