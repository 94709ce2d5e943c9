import Foundation
import Support
import Testing

@testable import martlet

@Suite("martlet replay")
struct ReplayTests {
  private let line = CommandLine()
  private let directory: TemporaryDirectory
  private var capture: String { directory.path + "/in.pcap" }

  init() throws {
    directory = try TemporaryDirectory()
    try Data(SampleCapture.twelve.prefix(240)).write(to: URL(fileURLWithPath: capture))
  }

  @Test("says what a policy did, in words")
  func text() throws {
    try Data(SampleCapture.twelve).write(to: URL(fileURLWithPath: capture))
    #expect(line.run("replay --pcap \(capture) --policy learning --against learning") == 0)
    #expect(
      line.output == """
        capture \(capture): 12 frames, 538 bytes in 1.708999 s

        FRAMES                 A LEARNING   B LEARNING
        forwarded              4            4
        flooded                5            5
        dropped                3            3
          invalid_source       1            1
          link_local_control   1            1
          same_port            1            1
        copies that left       24           24
        addresses learned      4            4

        PORT      IN        BYTES     OUT A LEARNING   BYTES     OUT B LEARNING   BYTES
        p0        5         200       6                296       6                296
        p1        2         96        6                296       6                296
        p2        4         200       2                84        2                84
        p3        1         42        5                242       5                242
        gateway   0         0         5                242       5                242

        A learning has learned
        MAC                 PORT      AGE
        02:00:00:00:00:0a   p0        0 s
        02:00:00:00:00:0b   p1        1 s
        02:00:00:00:00:0c   p2        1 s
        02:00:00:00:00:0d   p3        0 s

        B learning has learned
        MAC                 PORT      AGE
        02:00:00:00:00:0a   p0        0 s
        02:00:00:00:00:0b   p1        1 s
        02:00:00:00:00:0c   p2        1 s
        02:00:00:00:00:0d   p3        0 s

        no frame was treated differently

        """)
  }

  @Test("says what of a capture was not as one would think")
  func caveats() throws {
    try Data(SampleCapture.twoInterfaces).write(to: URL(fileURLWithPath: capture))
    #expect(line.run("replay --pcap \(capture) --policy learning") == 0)
    #expect(line.output.contains(" s\nframes behind later ones, replayed at their time: 1\n\nFRAMES"))
  }

  @Test("writes the report and a picture where it is told to; a model is replayed the same every time")
  func files() throws {
    let files = ["report", "plot", "again"].map { directory.path + "/" + $0 }
    let model = "replay --model storm --frames 500 --ports 3 --rate 1000 --seed 4 --policy learning"
    #expect(line.run("\(model) --report \(files[0]) --plot \(files[1]) --write \(directory.path)/out") == 0)
    #expect(line.run("--json \(model) --report \(files[2])") == 0)
    let report = try Data(contentsOf: URL(fileURLWithPath: files[0]))
    #expect(try report == Data(contentsOf: URL(fileURLWithPath: files[2])))
    let printed = try JSONDecoder().decode(JSONValue.self, from: Data(line.output.utf8))
    #expect(try printed == JSONDecoder().decode(JSONValue.self, from: report))
    #expect(try String(contentsOfFile: files[1], encoding: .utf8).hasPrefix("<svg xmlns"))
    #expect(FileManager.default.fileExists(atPath: directory.path + "/out/port-p2.pcapng"))
  }

  @Test("what was read of a capture that is cut is told, and that it is cut")
  func cut() {
    #expect(line.run("replay --pcap \(capture) --policy learning") == 1)
    #expect(line.output.hasPrefix("capture \(capture): 3 frames, "))
    #expect(line.errors.hasPrefix("martlet: \(capture): packet 4 cannot be read: truncated dump file"))
    #expect(line.errors.split(separator: "\n").count == 1)
  }

  @Test(
    "what cannot be done is said in one line",
    arguments: [
      ("--pcap /nowhere/in.pcap --policy learning", "/nowhere/in.pcap: No such file or directory"),
      ("--model uniform --policy no-such", "no-such is neither a file nor a policy"),
      ("--model uniform --policy learning -o colour=red", "policy learning: no parameter is called colour"),
      ("--model uniform --frames 9 --policy learning --against-option a=b --against learning", "policy learning: "),
      ("--model uniform --frames 9 --policy learning --report /nowhere/report", "/nowhere/report: No such file"),
      ("--model uniform --frames 9 --policy learning --write /nowhere/out", "/nowhere/out: No such file"),
    ])
  func refused(_ arguments: String, _ words: String) {
    #expect(line.run("replay " + arguments) == 1)
    #expect(
      line.errors.hasPrefix("martlet: " + words) && line.errors.split(separator: "\n").count == 1, "\(line.errors)")
    #expect(line.output.isEmpty)
  }

  @Test(
    "wrong usage",
    arguments: [
      "", "--policy learning", "--pcap x", "--pcap x --model uniform --policy learning",
      "--model hail --policy learning",
      "--pcap x --frames 3 --policy learning", "--model scan --ports-by src-mac --policy learning",
      "--model scan --ports 1 --policy learning", "--model scan --ports 1025 --policy learning",
      "--model scan --rate 0 --policy learning", "--model scan --frames -1 --policy learning",
      "--model scan --policy learning --against-option a=b", "--model scan --policy learning -o a",
      "--pcap x --ports-by colour --policy learning", "--model scan --policy learning --differences -1",
    ])
  func usage(_ arguments: String) {
    #expect(line.run("replay " + arguments) == 64)
    #expect(line.errors.contains("\nUsage: martlet replay ") && line.output.isEmpty)
  }
}
