import Captures
import Foundation
import Policies
import Support
import Testing

@testable import Replay

@Suite("Captures are replayed")
struct CaptureTests {
  /// By hand, from what tcpdump says of the frames: see `SampleCapture.twelve`.
  @Test("a learning switch: verdicts, ports, addresses")
  func golden() throws {
    let report = try Bed(SampleCapture.twelve).replay(learning())
    #expect(report.frames == 12 && report.bytes == 538 && report.source.start == 1_700_000_000_000_000_000)
    #expect(report.source.duration == 1_708_999_000 && report.differences == nil && report.source.error == nil)
    let policy = report.policies[0]
    #expect([policy.forwarded, policy.flooded, policy.dropped] == [4, 5, 3])
    #expect(policy.reasons == ["link_local_control": 1, "invalid_source": 1, "same_port": 1])
    // Five floods to four ports each.
    #expect(policy.copies == 24)
    #expect(policy.ports.map(\.name) == ["p0", "p1", "p2", "p3", "gateway"])
    #expect(policy.ports.map(\.rxFrames) == [5, 2, 4, 1, 0])
    #expect(policy.ports.map(\.txFrames) == [6, 6, 2, 5, 5])
    #expect(policy.ports[2].txBytes == 84)
    #expect(policy.macTable.map(\.mac) == ["a", "b", "c", "d"].map { "02:00:00:00:00:0" + $0 })
    #expect(policy.macTable.map(\.port) == ["p0", "p1", "p2", "p3"])
    #expect(policy.macTable.map(\.age) == [0, 1, 1, 0])
    #expect(policy.isConserved)
  }

  @Test("another policy: which frames it treats differently, and how")
  func differences() throws {
    let report = try Bed(SampleCapture.twelve).replay(learning(), installed(Hub()))
    let found = try #require(report.differences)
    // What the one forwards, and what is for the port it came from.
    #expect(found.count == 5 && found.first.map(\.number) == [2, 3, 4, 11, 12])
    #expect(
      found.first[1].frame
        == "02:00:00:00:00:0a > 02:00:00:00:00:0b, TCP 10.0.0.1:40000 > 10.0.0.2:80 SYN, 54 bytes")
    #expect(found.first[1].treatments == ["forwarded to p1", "flooded to p1, p2, p3, gateway"])
    #expect(found.first[1].time == 2_000_000 && found.first[1].port == "p0")
    #expect(found.first[4].treatments == ["dropped: same_port", "flooded to p1, p2, p3, gateway"])
    #expect(try Bed(SampleCapture.twelve).replay(learning(), learning()).differences == DifferenceReport())
    // All but what neither is asked about; the last is dropped by both.
    let walled = try #require(try Bed(SampleCapture.twelve).replay(learning(), installed(Wall())).differences)
    #expect(walled.count == 10 && walled.first.last?.treatments == ["dropped: same_port", "dropped: storm"])
  }

  @Test("frames in words")
  func summaries() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/in.pcap"
    try Data(SampleCapture.twelve).write(to: URL(fileURLWithPath: path))
    var reader = try CaptureReader(path: path)
    var words: [String] = []
    while let frame = try reader.next() {
      let summary = FrameSummary.words(frame.bytes, originalLength: frame.originalLength)
      words.append(summary.split(separator: ", ").dropFirst().joined(separator: ", "))
    }
    #expect(
      words == [
        "ARP who has 10.0.0.2, tell 10.0.0.1, 42 bytes", "ARP 10.0.0.2 is at 02:00:00:00:00:0b, 42 bytes",
        "TCP 10.0.0.1:40000 > 10.0.0.2:80 SYN, 54 bytes", "TCP 10.0.0.2:80 > 10.0.0.1:40000 SYN ACK, 54 bytes",
        "UDP 0.0.0.0:68 > 255.255.255.255:67, 43 bytes", "UDP 10.0.0.3:5353 > 224.0.0.251:5353, 43 bytes",
        "ICMPv6 type 128 [fe80::c] > [ff02::1], 62 bytes", "VLAN 7, UDP 10.0.0.3:7 > 10.0.0.4:9, 52 bytes",
        "EtherType 0x8870, 52 bytes", "EtherType 0x9000, 24 bytes", "ICMP type 8 10.0.0.4 > 10.0.0.3, 42 bytes",
        "EtherType 0x9000, 28 bytes",
      ])
  }

  @Test("ports are a pcapng file's interfaces, or told apart by source addresses")
  func ports() throws {
    let bed = try Bed(SampleCapture.twoInterfaces)
    let report = try bed.replay(learning())
    #expect(report.policies[0].ports.map(\.name) == ["va", "vb", "gateway"])
    #expect(report.policies[0].ports.map(\.rxFrames) == [2, 1, 0])
    // The third is of before the second.
    #expect(report.source.disordered == 1 && report.source.duration == 47827637)
    let byMAC = try bed.replay(learning(), ports: .sourceMAC).policies[0]
    #expect(byMAC.ports.map(\.name) == ["p0", "p1", "gateway"] && byMAC.ports.map(\.rxFrames) == [2, 1, 0])
    let byHash = try bed.replay(learning(), ports: .sourceHash, portCount: 5).policies[0]
    #expect(byHash.ports.count == 6 && byHash.ports.map(\.rxFrames).reduce(0, +) == 3)
    let one = try bed.replay(learning(), ports: .sourceMAC, portCount: 1).policies[0]
    #expect(one.ports.map(\.rxFrames) == [3, 0])
    let error = #expect(throws: CaptureError.self) {
      try Bed(SampleCapture.twelve).replay(learning(), ports: .interface)
    }
    #expect(error?.description.hasSuffix("names no interfaces: choose --ports-by src-mac or src-hash") == true)
  }

  @Test("what went out at an interface has come in elsewhere: it is passed over")
  func outbound() throws {
    let frames = [
      Made(from: 1, to: 2, seconds: 1, interface: 0, direction: .inbound),
      Made(from: 1, to: 2, seconds: 1, interface: 1, direction: .outbound),
      Made(from: 2, to: 1, seconds: 2, interface: 1, direction: .inbound),
    ]
    let report = try Bed(Made.capture(frames, interfaces: ["a", "b"])).replay(learning())
    #expect(report.frames == 2 && report.source.outbound == 1)
    #expect(report.policies[0].ports.map(\.rxFrames) == [1, 1, 0])
  }

  @Test("time is the capture's: what was not seen for 300 s is forgotten")
  func ageing() throws {
    func forwarded(after seconds: UInt64) throws -> UInt64 {
      let frames = [Made(from: 1, to: 2, seconds: 1000), Made(from: 2, to: 1, seconds: 1000 + seconds)]
      return try Bed(Made.capture(frames)).replay(learning()).policies[0].forwarded
    }
    #expect(try forwarded(after: 299) == 1)
    #expect(try forwarded(after: 300) == 0)
  }

  @Test("a policy's changes, mirrors and counters; what leaves is written by port, what is dropped with its reason")
  func written() throws {
    let frames = [Made(from: 1, to: 2, seconds: 1000), Made(from: 2, to: 0xFF, seconds: 1002)]
    let bed = try Bed(Made.capture(frames))
    let report = try bed.replay(installed(Editor()), to: "out")
    let policy = report.policies[0]
    #expect([policy.forwarded, policy.flooded, policy.dropped] == [0, 1, 1] && policy.reasons == ["policy": 1])
    #expect(policy.ports.map(\.txFrames) == [0, 0, 3] && policy.ports[2].txBytes == 64 + 60 + 60)
    // The simulated clock begins at a second.
    #expect(policy.counters.map(\.value) == [2, 1000 + 3000] && policy.isConserved)
    #expect(
      try bed.lines(of: "out/port-gateway.pcapng") == [
        "02:00:00:00:00:ee > 02:00:00:00:00:02, ethertype 802.1Q (0x8100), length 64: vlan 42, p 0, "
          + "ethertype Unknown (0x88b5), ",
        "02:00:00:00:00:ee > 02:00:00:00:00:02, ethertype Unknown (0x88b5), length 60: ",
        "02:00:00:00:00:02 > ff:ff:ff:ff:ff:ff, ethertype Unknown (0x88b5), length 60: ",
      ])
    #expect(try bed.lines(of: "out/port-p0.pcapng").isEmpty)
    #expect(try bed.lines(of: "out/drops.pcapng").count == 1)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: bed.directory.path + "/out/drops.pcapng"))
    #expect(bytes.range(of: Data("dropped: policy".utf8)) != nil)
  }

  @Test("twice the same: report, picture and captures byte for byte")
  func determinism() throws {
    let bed = try Bed(SampleCapture.twelve)
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    var reports: [Data] = []
    var pictures: [String] = []
    for name in ["one", "two"] {
      let report = try bed.replay(learning(), installed(Editor()), to: name)
      reports.append(try encoder.encode(report))
      pictures.append(ReplayChart.svg(report))
    }
    #expect(reports[0] == reports[1] && pictures[0] == pictures[1])
    let files = ["port-p0", "port-p1", "port-p2", "port-p3", "port-gateway", "drops"]
    for file in files.flatMap({ ["a/\($0).pcapng", "b/\($0).pcapng"] }) {
      let (one, two) = (bed.directory.path + "/one/" + file, bed.directory.path + "/two/" + file)
      #expect(FileManager.default.contentsEqual(atPath: one, andPath: two), "\(file)")
    }
  }

  @Test("a capture that is cut is replayed as far as it goes, and says so")
  func cut() throws {
    let report = try Bed(Array(SampleCapture.twelve.prefix(300))).replay(learning(), installed(Hub()))
    #expect(report.frames == 4 && report.policies.allSatisfy { $0.isConserved })
    #expect(report.source.error?.contains("packet 5 cannot be read: truncated dump file") == true)
    let empty = try Bed(Array(SampleCapture.twelve.prefix(24))).replay(learning())
    #expect(empty.frames == 0 && empty.policies[0].ports.map(\.name) == ["p0", "gateway"])
  }

  @Test("frames that are too short, too long, or of nobody go nowhere, and nothing is lost")
  func hostile() throws {
    var writer = CaptureWriter()
    let port = try writer.addInterface("a")
    var random = SeededGenerator(seed: 3)
    for index in 0..<200 {
      let length = [0, 13, 14, 60, 1514, 65_553, 65_554, 262_144][random.below(8)]
      var bytes = [UInt8](repeating: 0, count: length)
      for place in bytes.indices.prefix(40) { bytes[place] = UInt8(random.below(256)) }
      try writer.add(bytes.span.bytes, interface: port, nanoseconds: random.next() >> UInt64(2 + index % 40))
    }
    let report = try Bed(writer.takeBytes()).replay(learning(), installed(Editor()), portCount: 7)
    #expect(report.frames == 200 && report.source.error == nil)
    #expect(report.policies.allSatisfy { $0.isConserved && $0.ports.count == 8 })
    #expect(report.policies[0].reasons["runt"]! > 0 && report.policies[0].reasons["oversize"]! > 0)
  }

  @Test("a port's name is no path, and no markup")
  func names() throws {
    let frames = [Made(from: 1, to: 2, seconds: 1), Made(from: 2, to: 1, seconds: 2, interface: 1)]
    let bed = try Bed(Made.capture(frames, interfaces: ["../<&>", ".._<&>"]))
    let report = try bed.replay(learning(), installed(Hub()), to: "out")
    let files = try FileManager.default.contentsOfDirectory(atPath: bed.directory.path + "/out/a").sorted()
    #expect(files == ["drops.pcapng", "port-..____-1.pcapng", "port-..____.pcapng", "port-gateway.pcapng"])
    let picture = ReplayChart.svg(report)
    #expect(picture.contains("&lt;&amp;&gt;: 1</title>") && !picture.contains("<&>"))
  }
}
