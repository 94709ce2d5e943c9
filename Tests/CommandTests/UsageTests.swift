import ControlModel
import FoundationEssentials
import Support
import Testing

@testable import martlet

@Suite struct UsageTests {
  private let line = CommandLine()

  @Test(arguments: [
    "frobnicate", "network frobnicate", "network create", "network create a b", "network create lab --mtu many",
    "network create lab --mtu", "network create lab --frobnicate", "network create lab --gateway-mode open",
    "network create lab --aux-address 10.0.0.9", "network create lab --aux-address =10.0.0.9",
    "network create lab --label =v",
    "network rm", "network inspect", "network ls lab", "network ls --filter name", "network ls --filter colour=red",
    "network ls --format {{.Name", "network ls --format {{Name}}", "network ls --format {{range.A}}",
    "network inspect lab -f x=y",
    "network set lab", "network set", "network set lab --gateway-mode open", "network connect lab",
    "network connect lab web db",
    "network disconnect lab", "network prune now", "network connect lab web -p", "sandbox create",
    "sandbox create a --netns /x --share b", "sandbox exec web", "sandbox exec web --", "sandbox exec web ls",
    "sandbox exec -- ls", "sandbox ls --filter driver=x", "endpoint set e1d0", "endpoint set e1d0 --guard maybe",
    "endpoint set e1d0 --rate-in -1", "endpoint set e1d0 --rate-out 1.5", "endpoint ls --filter mac=x", "fdb show",
    "fdb add lab 02:00:00:00:00:01", "fdb rm lab", "fdb flush", "stats a b", "shutdown --all", "version 1",
    "doctor who", "bench lab", "bench --seconds 0", "bench --streams 0", "bench --payload 65001",
    "publish e1d0", "unpublish", "unpublish e1d0", "publish ls e1d0", "publish ls --filter colour=red", "uplink set",
    "uplink set a b", "uplink show eth0", "session timeouts --set udp", "session timeouts --set udp=soon",
    "session timeouts --set sctp=1", "session translation --mapping symmetric", "session translation --filtering none",
    "session ls --filter colour=red", "session flush now", "overlay set lab --local 192.0.2.1",
    "overlay set lab --vni 1", "overlay set lab --vni x --local y", "overlay set lab --vni 1 --local y --ttl soon",
    "overlay set lab --vni 1 --local y --learning maybe", "overlay unset", "overlay show", "overlay ls lab",
    "overlay ls -f colour=red", "overlay peer add lab", "overlay peer rm lab", "overlay peer ls",
    "--socket", "",
  ])
  func wrongUsage(_ command: String) throws {
    guard !command.isEmpty else {
      // Help, not an error, as docker does.
      #expect(line.run(command) == 0)
      return #expect(line.output.contains("SUBCOMMANDS:"))
    }
    #expect(line.run(command) == 64)
    #expect(line.errors.hasPrefix("martlet: "))
    #expect(line.errors.contains("\nUsage: martlet "))
    #expect(line.output.isEmpty)
    #expect(line.service.calls.isEmpty)
    #expect(line.run("--json \(command)") == 64)
    let error = try JSONDecoder().decode(ErrorBody.self, from: Data(line.errors.utf8)).error
    #expect(error.code == .invalid)
    #expect(!error.message.isEmpty)
    #expect(line.errors.split(separator: "\n").count == 1)
  }

  @Test(arguments: ["--help", "network --help", "help network create", "sandbox exec --help", "--version"])
  func help(_ command: String) {
    #expect(line.run(command) == 0)
    #expect(!line.output.isEmpty)
    #expect(line.errors.isEmpty)
  }

  @Test(arguments: ["bash", "zsh", "fish"])
  func completionScript(_ shell: String) {
    #expect(line.run("--generate-completion-script \(shell)") == 0)
    #expect(line.output.contains("network"))
  }

  /// One line, whichever way the daemon refuses.
  @Test(arguments: [
    "network ls", "network create x", "network rm x", "network inspect x", "network prune", "network set x --mtu 1",
    "network connect x y", "network disconnect x y", "sandbox ls", "sandbox create x", "sandbox rm x",
    "sandbox inspect x",
    "sandbox exec x -- true", "endpoint ls", "endpoint inspect x", "endpoint set x --guard on", "fdb show x",
    "fdb add x y z", "fdb rm x y", "fdb flush x", "stats", "shutdown", "publish x 80", "publish ls", "unpublish x 80",
    "overlay set x --vni 1 --local y", "overlay unset x", "overlay show x", "overlay ls", "overlay peer add x y",
    "overlay peer rm x y", "overlay peer ls x", "uplink set x", "uplink show", "uplink unset", "session ls",
    "session flush", "session timeouts",
    "session timeouts --set udp=1", "session translation", "session translation --mapping endpoint-independent",
  ])
  func refusal(_ command: String) {
    line.service.refusal = ControlError(.conflict, "taken by \"another\"")
    #expect(line.run(command) == 1)
    #expect(line.errors == "martlet: taken by \"another\"\n")
    #expect(line.run("--json \(command)") == 1)
    #expect(line.errors == #"{"error":{"code":"conflict","message":"taken by \"another\""}}"# + "\n")
  }
}
