import ControlModel
import Support
import Testing

@testable import martlet

@Suite("Capture and mirror")
struct CaptureTests {
  private let line = CommandLine()

  @Test("a capture is asked for as typed, printed a line a frame, and ended")
  func capture() {
    #expect(
      line.run(
        [
          "capture", "lab", "--port", "a", "--direction", "in", "--filter", "icmp or arp", "--drops", "-s", "64", "-c",
          "3",
        ]
      ) == 0, "\(line.errors)")
    let request = CaptureRequest(port: "a", direction: .in, filter: "icmp or arp", drops: true, snaplen: 64)
    #expect(line.service.calls.first == .startCapture("lab", request))
    #expect(line.service.calls.last == .endCapture(Sample.captureID))
    #expect(
      line.output == """
        22:00:00.000001 in   a 98 bytes: 02:00:00:00:00:01 > 02:00:00:00:00:02, 10.0.0.2 > 10.0.0.3 ICMP type 8
        22:00:00.000002 drop a 9000 bytes: 02:00:00:00:00:01 > 02:00:00:00:00:02, EtherType 0x88b5 (oversize)
        22:00:00.000001 in   a 98 bytes: 02:00:00:00:00:01 > 02:00:00:00:00:02, 10.0.0.2 > 10.0.0.3 ICMP type 8

        """)
    #expect(line.errors == "3 frames captured, 3 lost as the capture was too slow\n")
    #expect(line.run("capture lab -c 1 --json") == 0)
    #expect(line.service.calls.contains(.startCapture("lab", CaptureRequest())))
    #expect(line.output.hasPrefix(#"{"bytes":""#) && line.output.split(separator: "\n").count == 1)
    #expect(line.run("capture lab --snaplen 0") == 64)
    #expect(line.run("capture lab -c 0") == 64)
  }

  @Test("a capture that cannot go on is ended all the same")
  func failure() {
    line.service.refuses = {
      if case .capturedFrames = $0 { ControlError(.notFound, "no capture") } else { nil }
    }
    #expect(line.run("capture lab") == 1)
    #expect(line.errors == "martlet: no capture\n")
    #expect(line.service.calls.last == .endCapture(Sample.captureID))
  }

  @Test("mirrors are added, listed and removed")
  func mirrors() {
    #expect(line.run("mirror add lab --from a --to vtep=192.0.2.9 --direction out") == 0, "\(line.errors)")
    #expect(
      line.service.calls.last == .addMirror("lab", MirrorRequest(from: "a", to: "vtep=192.0.2.9", direction: .out)))
    #expect(line.run("mirror add lab --from a --to b") == 0)
    #expect(line.service.calls.last == .addMirror("lab", MirrorRequest(from: "a", to: "b")))
    #expect(line.run("mirror rm lab --from a --to b") == 0)
    #expect(line.service.calls.last == .removeMirror("lab", "a", "b"))
    #expect(line.run("mirror ls lab") == 0)
    #expect(line.service.calls.last == .mirrors("lab"))
    #expect(line.output.contains("510000000000   lab       a         b         both        up"))
    #expect(line.run("mirror add lab --from a") == 64)
  }
}
