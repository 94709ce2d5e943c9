import FoundationEssentials
import Glibc

/// A container runtime as far as CNI goes: plugins, configurations, and containers that are namespaces. It runs where the daemon
/// does.
struct CNIRuntime {
  struct Answer: Decodable {
    struct Interface: Decodable {
      var name: String
      var mac: String?
      var sandbox: String?
      var mtu: Int?
    }
    struct Address: Decodable {
      var address: String
      var gateway: String?
      var interface: Int?
      var version: String?
    }
    struct Route: Decodable {
      var dst: String
      var gw: String?
    }
    var cniVersion: String?
    var code: Int?
    var msg: String?
    var interfaces: [Interface]?
    var ips: [Address]?
    var routes: [Route]?
    var supportedVersions: [String]?
  }

  struct Outcome {
    var status: Int32
    var text: String
    var answer: Answer?
  }

  let daemon: Daemon
  /// With `martlet`, and those of Debian's containernetworking-plugins where they were unpacked.
  let plugins: String
  private let directory: String

  private var host: Namespace { daemon.namespace }

  init(_ daemon: Daemon) throws {
    self.daemon = daemon
    directory = daemon.namespace.testbed.directory + "/cni"
    plugins = directory + "/bin"
    let manager = FileManager.default
    try manager.createDirectory(atPath: plugins, withIntermediateDirectories: true)
    try manager.createSymbolicLink(atPath: plugins + "/martlet", withDestinationPath: Binaries.path("martlet-cni"))
    for name in Self.othersPlugins where Self.hasPlugin(name) {
      try manager.createSymbolicLink(atPath: "\(plugins)/\(name)", withDestinationPath: Self.path(name))
    }
  }

  private static let othersPlugins = ["host-local", "static", "tuning"]

  private static func path(_ name: String) -> String { DockerEngine.peers + "/usr/lib/cni/" + name }

  static func hasPlugin(_ name: String) -> Bool { access(path(name), X_OK) == 0 }
  static let hasLibrary =
    access("/usr/bin/go", X_OK) == 0 && access("/usr/share/gocode/src/github.com/containernetworking/cni", R_OK) == 0

  /// A plugin's configuration: of the network `lan`, with further fields as JSON.
  func configuration(_ version: String, _ fields: String = #""subnet": "10.71.0.0/24""#) -> String {
    #"{"cniVersion": "\#(version)", "name": "lan", "type": "martlet", "socket": "\#(daemon.socket)", \#(fields)}"#
  }

  /// Runs the plugin by hand, as libcni does.
  ///
  /// - Parameter namespace: nil: the container's is gone.
  func start(
    _ command: String, _ configuration: String, _ container: String = "c", in namespace: String?,
    interface: String = "eth0", arguments: String = ""
  ) throws -> Program {
    try host.start(
      [
        "env", "CNI_COMMAND=\(command)", "CNI_CONTAINERID=\(container)", "CNI_NETNS=\(namespace ?? "")",
        "CNI_IFNAME=\(interface)", "CNI_PATH=\(plugins)", "CNI_ARGS=\(arguments)", plugins + "/martlet",
      ], input: configuration)
  }

  func call(
    _ command: String, _ configuration: String, _ container: String = "c", in namespace: Namespace?,
    interface: String = "eth0", arguments: String = ""
  ) throws -> Outcome {
    let program = try start(
      command, configuration, container, in: namespace?.path, interface: interface, arguments: arguments)
    return Self.outcome(try program.end())
  }

  static func outcome(_ outcome: Program.Outcome) -> Outcome {
    let answer = try? JSONDecoder().decode(Answer.self, from: Data(outcome.output.utf8))
    return Outcome(status: outcome.status, text: outcome.output + outcome.complaint, answer: answer)
  }

  /// A call that must succeed.
  @discardableResult
  func succeed(
    _ command: String, _ configuration: String, _ container: String = "c", in namespace: Namespace?,
    interface: String = "eth0", arguments: String = ""
  ) throws -> Outcome {
    let outcome = try call(
      command, configuration, container, in: namespace, interface: interface, arguments: arguments)
    guard outcome.status == 0 else {
      throw Failure("\(command) \(container): \(outcome.text)\n\(daemon.log.suffix(2000))")
    }
    return outcome
  }

  /// The result of an ADD as it comes back with the next command.
  static func with(_ result: Outcome, _ configuration: String) -> String {
    configuration.dropLast() + #", "prevResult": \#(result.text)}"#
  }

  // MARK: By libcni

  /// Builds `cnirunner.go`, which needs Debian's Go and libcni, and nothing from elsewhere.
  func buildRunner() throws {
    try host.testbed.run([
      "env", "GO111MODULE=off", "GOPATH=/usr/share/gocode", "GOCACHE=\(directory)/cache", "GOFLAGS=-p=2",
      "HOME=/nowhere",
      "go", "build", "-o", directory + "/cnirunner", Script.path("cnirunner.go"),
    ])
  }

  /// - Parameter plugins: of the list, as JSON.
  func library(
    _ verb: String, _ version: String, _ plugins: [String], _ container: String, in namespace: String,
    capabilities: String = "", arguments: String = "IgnoreUnknown=1"
  ) throws -> Outcome {
    let list = #"{"cniVersion": "\#(version)", "name": "lan", "plugins": [\#(plugins.joined(separator: ", "))]}"#
    let program = try host.start([
      "env", "CNI_PATH=\(self.plugins)", "CNI_CACHE=\(directory)/results", directory + "/cnirunner", verb, list,
      container, namespace, "eth0", capabilities, arguments,
    ])
    return Self.outcome(try program.end())
  }
}

/// A test with a daemon and a runtime beside it.
func withRuntime(_ body: (CNIRuntime) throws -> Void) throws { try withDaemon { try body(CNIRuntime($0)) } }
