import ControlModel
import Foundation
import Support
import Testing

@testable import martlet

/// What a bench asks of the daemon, and how it shows what it found. `SystemTests` has one that measures.
@Suite(.serialized) struct BenchTests {
  private let line = CommandLine()

  private static let figures = BenchFigures(
    network: "lab", seconds: 1.5, congestionControl: "cubic",
    tcp: [.init(streams: 1, bitsPerSecond: 23_456_789_012), .init(streams: 4, bitsPerSecond: 1_000_000_000)],
    udp: .init(payload: 18, sentPerSecond: 512_345, receivedPerSecond: 401_049),
    roundTrip: .init(payload: 64, count: 9000, p50: 41.25, p99: 90, p999: 210.5))

  /// A sandbox whose namespace is gone by the time that it is entered.
  private func loseSandboxes() {
    var sandbox = Sample.sandboxes[0]
    sandbox.netns = "/run/netns/martlet-no-such"
    line.service.shownSandboxes = [sandbox]
  }

  @Test func whatWasMadeIsTakenAwayAfterAFailure() throws {
    loseSandboxes()
    #expect(line.run("bench") == 1)
    #expect(line.errors == "martlet: cannot open /run/netns/martlet-no-such: No such file or directory\n")
    #expect(line.output.isEmpty)
    guard case .createNetwork(let request) = line.service.calls.first else {
      Issue.record("a network comes first")
      return
    }
    #expect(request.noGateway == true)
    #expect(request.subnets == nil)
    let name = request.name
    let hosts = ["\(name)-client", "\(name)-server"]
    let made = hosts.flatMap { host -> [StandInService.Call] in
      [
        .createSandbox(SandboxRequest(name: host)), .connect(name, ConnectRequest(sandbox: host)),
        .endpoint(Sample.endpoint.id), .sandbox(Sample.sandboxes[0].id),
      ]
    }
    let removed = hosts.reversed().flatMap { host -> [StandInService.Call] in
      [.disconnect(name, host), .removeSandbox(host)]
    }
    #expect(Array(line.service.calls.dropFirst()) == made + removed + [.removeNetwork(name)])
  }

  @Test func aNetworkThatIsThereStays() {
    loseSandboxes()
    #expect(line.run("bench --network lab") == 1)
    let networks = line.service.calls.filter {
      switch $0 {
      case .createNetwork, .removeNetwork: true
      default: false
      }
    }
    #expect(networks.isEmpty)
    #expect(line.service.calls.contains { if case .connect("lab", _) = $0 { true } else { false } })
  }

  @Test func namesDiffer() {
    let names = (0..<2).compactMap { _ -> String? in
      line.service.refusal = ControlError(.exhausted, "no subnet is free")
      #expect(line.run("bench") == 1)
      #expect(line.errors == "martlet: no subnet is free\n")
      guard case .createNetwork(let request) = line.service.calls.last else { return nil }
      return request.name
    }
    #expect(Set(names).count == 2)
    // What was refused is not there to be removed.
    #expect(line.service.calls.count == 2)
  }

  @Test func anAnswerThatIsLostMayHaveMadeIt() {
    line.service.refusal = ControlError(.unreachable, "no answer")
    #expect(line.run("bench --json") == 1)
    guard case .createNetwork(let request) = line.service.calls.first else {
      Issue.record("a network comes first")
      return
    }
    #expect(line.service.calls.dropFirst() == [.removeNetwork(request.name)])
    #expect(
      line.errors == #"{"error":{"code":"unreachable","message":"left behind: network \#(request.name): no answer"}}"#
        + "\n"
        + #"{"error":{"code":"unreachable","message":"no answer"}}"# + "\n")
  }

  @Test func table() {
    #expect(
      Table(Self.figures).text == """
        MEASUREMENT               RESULT    UNIT
        TCP, 1 stream             23.5      Gbit/s
        TCP, 4 streams            1.0       Gbit/s
        UDP, 18 bytes, sent       512.3     k/s
        UDP, 18 bytes, received   401.0     k/s
        request/response, p50     41.25     us
        request/response, p99     90.0      us
        request/response, p99.9   210.5     us

        """)
  }

  @Test func json() throws {
    let text = try JSONValue(encoding: Self.figures).compact
    #expect(
      text == #"{"congestion_control":"cubic","network":"lab","#
        + #""round_trip":{"count":9000,"p50_us":41.25,"p999_us":210.5,"p99_us":90,"payload":64},"seconds":1.5,"#
        + #""tcp":[{"bits_per_second":23456789012,"streams":1},{"bits_per_second":1000000000,"streams":4}],"#
        + #""udp":{"payload":18,"received_per_second":401049,"sent_per_second":512345}}"#)
  }

  @Test func loadProgramIsBesideThisOneOrOnPath() throws {
    let root = FileManager.default.temporaryDirectory.appending(path: "martlet-bench-\(UUID())").path
    defer { try? FileManager.default.removeItem(atPath: root) }
    for directory in ["own", "path", "none"] {
      try FileManager.default.createDirectory(atPath: "\(root)/\(directory)", withIntermediateDirectories: true)
    }
    func makeProgram(_ path: String) {
      #expect(FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o755]))
    }
    makeProgram("\(root)/path/martlet-load")
    let onPath = try LoadProgram.find(beside: "\(root)/own/martlet", path: "\(root)/none:\(root)/path")
    #expect(onPath.path == "\(root)/path/martlet-load")
    #expect(throws: ControlError.self) { try LoadProgram.find(beside: "\(root)/own/martlet", path: "\(root)/none") }
    #expect(throws: ControlError.self) { try LoadProgram.find(beside: nil, path: nil) }
    makeProgram("\(root)/own/martlet-load")
    let beside = try LoadProgram.find(beside: "\(root)/own/martlet", path: "\(root)/none:\(root)/path")
    #expect(beside.path == "\(root)/own/martlet-load")
  }

  @Test func signalWakesWhoWaits() throws {
    let interruption = Interruption()
    var files: [pollfd] = []
    #expect(try !interruption.wait(for: &files, until: .now))
    // It stays with this thread until the wait.
    pthread_kill(pthread_self(), SIGTERM)
    #expect { try interruption.wait(for: &files, until: .now + .seconds(60)) } throws: {
      ($0 as? Interruption.Signalled)?.number == SIGTERM
    }
  }
}
