import ControlModel
import FoundationEssentials
import Glibc
import Testing

/// A host with an uplink, on which Docker has Martlet for its network driver, and a machine outside, as in `UplinkBed`.
///
/// It starts once for all tests of the suite `Docker`. Each begins with a host that has neither container nor network, and
/// `withDocker` looks that it is so again when the test ends.
final class DockerBed: @unchecked Sendable {
  /// The driver's name, which is that of its socket. MARTLET_DOCKER_DRIVER=bridge judges the tests themselves, by Docker's own
  /// driver without netfilter.
  static let driver = getenv("MARTLET_DOCKER_DRIVER").map { String(cString: $0) } ?? ownDriver
  private static let ownDriver = "martlet"

  /// What the machine outside knows as a name server.
  static let outsideName = (name: "known.example", address: "192.0.2.53")

  let daemon: Daemon
  let engine: DockerEngine
  private let outside: Namespace
  /// The host's interfaces and the daemon's networks, as they are without Docker's.
  private var bare: [String] = []
  /// Has what one test starts, and ends it with the test.
  fileprivate(set) var testbed: Testbed

  var host: Namespace { Namespace(name: daemon.namespace.name, testbed: testbed) }
  var machine: Namespace { Namespace(name: outside.name, testbed: testbed) }

  fileprivate init(_ testbed: Testbed) throws {
    self.testbed = testbed
    daemon = try testbed.makeDaemon()
    outside = try testbed.makeNamespace("out")
    try UplinkBed.makeWire(from: daemon.namespace, to: outside)
    // Docker asks it for names that it does not know itself.
    try outside.serve("dnsserver.py", Self.outsideName.name, Self.outsideName.address)
    let engine = try DockerEngine(namespace: daemon.namespace, directory: testbed.directory + "/docker")
    self.engine = engine
    testbed.atEnd { engine.takeDown() }
    daemon.wrapper = engine.wrapper
    if Self.driver == Self.ownDriver {
      daemon.dockerPlugin = "\(DockerEngine.pluginDirectory)/\(Self.driver).sock"
    }
    try daemon.start()
    try daemon.martlet("uplink", "set", UplinkBed.near)
    try engine.start()
    try engine.importImage()
    bare = try traces()
  }

  // MARK: Docker's commands

  @discardableResult
  func docker(_ words: String...) throws -> String { try engine.command(words) }

  /// A command that must fail; what it says.
  func refusal(_ words: String...) throws -> String {
    let outcome = try engine.attempt(words)
    guard outcome.status != 0 else {
      throw Failure("docker \(words.joined(separator: " ")) was not refused: \(outcome.output)")
    }
    return outcome.complaint
  }

  /// Makes a network of Martlet's.
  func network(_ name: String, _ options: String...) throws {
    try engine.command(["network", "create", "--driver", Self.driver] + options + [name])
  }

  /// Starts a container that waits.
  @discardableResult
  func container(_ name: String, on network: String, _ options: String...) throws -> Container {
    try engine.command(Self.start(name, on: network, options))
    return try Container(name, bed: self)
  }

  static func start(_ name: String, on network: String, _ options: [String]) -> [String] {
    ["run", "--detach", "--name", name, "--network", network, "--stop-signal", "KILL"] + options
      + [DockerEngine.image, "sleep", "infinity"]
  }

  /// The ids of endpoints that Docker has for what runs.
  func endpointsOfEngine() throws -> Set<String> {
    let containers = try docker("ps", "--quiet").split(separator: "\n").map(String.init)
    if containers.isEmpty { return [] }
    let format = "{{range .NetworkSettings.Networks}}{{println .EndpointID}}{{end}}"
    let lines = try engine.command(["inspect", "--format", format] + containers)
    return Set(lines.split(separator: "\n").map(String.init))
  }

  // MARK: Martlet's view

  func endpoints() throws -> [Endpoint] { try daemon.ask([Endpoint].self, "endpoint", "ls") }

  func publications() throws -> [Publication] { try daemon.ask([Publication].self, "publish", "ls") }

  /// The record of one of Docker's networks.
  func record(_ network: String) throws -> Network {
    let id = try docker("network", "inspect", "--format", "{{.Id}}", network)
    return try daemon.network("docker-" + id.prefix(12))
  }

  // MARK: What is left

  /// What containers and networks leave in the host's namespace and in the daemon, if they leave anything.
  private func traces() throws -> [String] {
    try host.configuration().split(separator: "\n").map(String.init)
      + daemon.ask([Network].self, "network", "ls").map { "network \($0.name)" }
      + daemon.ask([Sandbox].self, "sandbox", "ls").map { "sandbox \($0.name)" }
      + endpoints().map { "endpoint \($0.id)" } + publications().map { "publication of \($0.endpoint)" }
      + ["\(daemon.tapDescriptors) descriptors of TAPs"]
  }

  /// The kernel has no part in it: no bridge, no veth but the wire's, no netfilter rule in the host's namespace.
  func expectNoKernelBridge() throws {
    guard Self.driver == Self.ownDriver else { return }
    for kind in ["bridge", "veth"] {
      let links = try host.run("ip", "-o", "link", "show", "type", kind).split(separator: "\n").map(String.init)
      #expect(links.filter { !$0.contains(" \(UplinkBed.near)@") }.isEmpty)
    }
    #expect(try host.run("nft", "list", "ruleset").isEmpty)
  }

  /// Removes containers and networks, and looks that nothing of them is left.
  func clear() throws {
    let containers = try docker("ps", "--all", "--quiet").split(separator: "\n").map(String.init)
    if !containers.isEmpty { try engine.command(["rm", "--force", "--volumes"] + containers) }
    try docker("network", "prune", "--force")
    try eventually("nothing is left but \(bare): \((try? traces()) ?? [])", within: .seconds(10)) {
      try traces() == bare
    }
  }
}

/// A container that runs, as it was when it was last started.
struct Container {
  let name: String
  let pid: pid_t
  /// Its network, for programs of the host.
  let namespace: Namespace

  init(_ name: String, bed: DockerBed) throws { try self.init(name, of: bed.engine, testbed: bed.testbed) }

  init(_ name: String, of engine: DockerEngine, testbed: Testbed) throws {
    self.name = name
    let text = try engine.command(["inspect", "--format", "{{.State.Pid}}", name])
    guard let pid = pid_t(text), pid > 0 else { throw Failure("container \(name) does not run") }
    self.pid = pid
    namespace = Namespace(name: name, testbed: testbed, path: "/proc/\(pid)/ns/net")
  }

  /// Runs a program of the image in it, without Docker's help: its network and its files.
  func attempt(_ words: String...) throws -> Program.Outcome {
    try Program(["nsenter", "--target=\(pid)", "--mount", "--net", "--"] + words).end()
  }

  @discardableResult
  func run(_ words: String...) throws -> String {
    let outcome = try Program(["nsenter", "--target=\(pid)", "--mount", "--net", "--"] + words).end()
    guard outcome.status == 0 else { throw Failure("\(words) in \(name): \(outcome.complaint)\(outcome.output)") }
    return outcome.output
  }

  /// Its addresses of one interface, without prefix length and link-local ones.
  func addresses(_ interface: String = "eth0") throws -> [String] {
    let lines = try namespace.run("ip", "-o", "addr", "show", "dev", interface, "scope", "global")
    return lines.split(separator: "\n").map { line in
      String(line.split(separator: " ")[3].prefix { $0 != "/" })
    }
  }

  /// What Docker's resolver knows a name's addresses to be. Empty: it knows none.
  func lookUp(_ name: String, type: String = "a") throws -> [String] {
    // Before the first `Name:` is the server's own address.
    let lines = try attempt("nslookup", "-type=\(type)", name).output.split(separator: "\n").drop {
      !$0.hasPrefix("Name:")
    }
    return lines.filter { $0.hasPrefix("Address: ") }.map { String($0.dropFirst("Address: ".count)) }.sorted()
  }

  /// What it knows an address's names to be.
  func lookUpNames(of address: String) throws -> [String] {
    let lines = try attempt("nslookup", address).output.split(separator: "\n").filter { $0.contains("name = ") }
    return lines.compactMap { $0.split(separator: " ").last.map(String.init) }
  }

  /// Whether the name is known, and what has it answers.
  func reaches(_ name: String) throws -> Bool { try attempt("ping", "-c", "1", "-W", "2", name).status == 0 }
}

// MARK: One bed for all tests

/// Has one bed for the tests of a suite, made for the first of them. A test that leaves it unclean costs the next a new one.
struct SharedDocker: SuiteTrait, TestScoping {
  @TaskLocal fileprivate static var place: Place?

  fileprivate final class Place: @unchecked Sendable {
    private var kept: (testbed: Testbed, bed: DockerBed)?

    func bed() throws -> DockerBed {
      if let kept { return kept.bed }
      let testbed = try Testbed()
      do {
        let bed = try DockerBed(testbed)
        kept = (testbed, bed)
        return bed
      } catch {
        testbed.takeDown()
        throw error
      }
    }

    func takeDown() {
      kept?.testbed.takeDown()
      kept = nil
    }
  }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let place = Place()
    defer { place.takeDown() }
    try await Self.$place.withValue(place) { try await function() }
  }
}

/// A test with Docker, in the suite `Docker`. Nothing of it may be left when it ends.
func withDocker(_ body: (DockerBed) throws -> Void) throws {
  guard let place = SharedDocker.place else { throw Failure("this is no test of the suite Docker") }
  let bed = try place.bed()
  try withTestbed { testbed in
    bed.testbed = testbed
    do {
      try body(bed)
      try bed.expectNoKernelBridge()
      try bed.clear()
    } catch {
      let logs = "martletd: \(bed.daemon.log.suffix(3000))\ndockerd: \(bed.engine.log.suffix(3000))"
      place.takeDown()
      throw Failure("\(error)\n\(logs)")
    }
  }
}
