import ControlModel
import FoundationEssentials
import Glibc

/// Two hosts on one wire, each with martletd and with a dockerd that finds it by the managed plugin. The dockerds are a swarm, and the
/// first one is its manager.
///
///     tasks -- host 192.0.2.1 -- wire -- 192.0.2.2 host -- tasks
final class SwarmBed {
  static let plugin = "martlet-swarm"
  static let driver = plugin + ":latest"
  static let wire = "u0"
  static let addresses = ["192.0.2.1", "192.0.2.2"]
  /// Where no registry is, so that Docker does not look for one beyond.
  static let image = "127.0.0.1:1/box"

  struct Node {
    let daemon: Daemon
    let engine: DockerEngine
    let address: String
    /// Where the plugin looks for the driver.
    let socket: String
    let proxy: CallProxy?

    /// All containers of the node, which are all a swarm's tasks. One that ends meanwhile is left out.
    func tasks() throws -> [Container] {
      try engine.command(["ps", "--quiet"]).split(separator: "\n").compactMap {
        try? Container(String($0), of: engine, testbed: engine.namespace.testbed)
      }
    }

    func networks() throws -> [Network] { try daemon.ask([Network].self, "network", "ls") }

    /// What the swarm's networks leave behind, if they leave anything.
    func traces() throws -> [String] {
      try networks().map { "network \($0.name)" }
        + daemon.ask([Sandbox].self, "sandbox", "ls").map { "sandbox \($0.name)" }
        + daemon.ask([Endpoint].self, "endpoint", "ls").map { "endpoint \($0.id)" }
        + daemon.ask([Publication].self, "publish", "ls").map { "publication of \($0.endpoint)" }
        + engine.namespace.linkNames().filter { $0.hasPrefix("mt") || $0.hasPrefix("tap") }
    }
  }

  let nodes: [Node]
  var manager: Node { nodes[0] }
  var worker: Node { nodes[1] }
  private let plugin: String

  /// - Parameter isProxied: `pluginproxy.py` stands before each daemon.
  init(_ testbed: Testbed, isProxied: Bool = false) throws {
    plugin = testbed.directory + "/plugin"
    let tool = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined() + "/tools/docker-plugin"
    try testbed.run([tool, "--busybox", DockerEngine.peers + "/bin/busybox", plugin])
    nodes = try Self.addresses.enumerated().map { index, address in
      let daemon = try testbed.makeDaemon("h\(index + 1)")
      let directory = testbed.directory + "/h\(index + 1)"
      let engine = try DockerEngine(namespace: daemon.namespace, directory: directory + "/docker")
      testbed.atEnd { engine.takeDown() }
      daemon.wrapper = engine.wrapper
      let socket = directory + "/swarm.sock"
      try daemon.configure("docker-swarm: \(socket)")
      let proxy = isProxied ? CallProxy(engine, driver: socket, directory: directory) : nil
      return Node(
        daemon: daemon, engine: engine, address: address, socket: proxy?.socket ?? socket, proxy: proxy)
    }
    let hosts = nodes.map(\.daemon.namespace)
    try hosts[0].batch("link add \(Self.wire) type veth peer name \(Self.wire) netns \(hosts[1].name)")
    for (host, address) in zip(hosts, Self.addresses) {
      try host.batch("address add \(address)/24 dev \(Self.wire)", "link set \(Self.wire) up")
    }
    for node in nodes {
      try node.daemon.start()
      try node.proxy?.start()
      try node.engine.start()
      try node.engine.importImage()
      try node.engine.command(["tag", DockerEngine.image, Self.image])
      try node.engine.command(["plugin", "create", Self.plugin, plugin])
      try node.engine.command(["plugin", "set", Self.plugin, "SOCKET=" + node.socket])
      try node.engine.command(["plugin", "enable", Self.plugin])
    }
    // A node that is silent for three of these is down.
    try docker("swarm", "init", "--advertise-addr", manager.address, "--dispatcher-heartbeat", "1s")
    try join()
  }

  // MARK: The swarm

  /// A command at the manager.
  @discardableResult
  func docker(_ words: String...) throws -> String { try manager.engine.command(words) }

  /// The worker comes to the swarm.
  func join() throws {
    let token = try docker("swarm", "join-token", "--quiet", "worker")
    try worker.engine.command([
      "swarm", "join", "--token", token, "--advertise-addr", worker.address, manager.address + ":2377",
    ])
    try waitForNodes(2)
  }

  /// Until so many nodes are ready.
  func waitForNodes(_ count: Int) throws {
    try eventually("\(count) nodes are ready") {
      try docker("node", "ls", "--format", "{{.Status}}").split(separator: "\n").count { $0 == "Ready" } == count
    }
  }

  func network(_ name: String, _ options: String...) throws {
    try manager.engine.command(
      ["network", "create", "--driver", Self.driver, "--attachable"] + options + [name])
  }

  /// Starts a service whose tasks wait, and waits until they run.
  func service(_ name: String, on network: String, replicas: Int) throws {
    try start(name, on: network, replicas: replicas)
    try waitForTasks(replicas, of: name)
  }

  func start(_ name: String, on network: String, replicas: Int, _ options: String...) throws {
    try manager.engine.command(
      [
        "service", "create", "--detach", "--name", name, "--network", network, "--replicas", "\(replicas)",
        "--endpoint-mode", "dnsrr", "--no-resolve-image", "--stop-signal", "KILL", "--restart-delay", "100ms",
        "--update-parallelism", "0", "--update-monitor", "100ms",
      ] + options + [Self.image, "sleep", "infinity"])
  }

  /// How many tasks of the service run, as far as the manager knows.
  func running(_ service: String) throws -> Int {
    let states = try docker(
      "service", "ps", "--filter", "desired-state=running", "--format", "{{.CurrentState}}", service)
    return states.split(separator: "\n").count { $0.hasPrefix("Running") }
  }

  /// Until so many tasks of the service run, and no others, and each node has the endpoints of its own.
  func waitForTasks(_ count: Int, of service: String) throws {
    try eventually("\(count) tasks of \(service) run: \((try? tasks(of: service)) ?? "")") {
      guard try running(service) == count else { return false }
      let containers = try nodes.map { try $0.engine.command(["ps", "--quiet"]).split(separator: "\n").count }
      let endpoints = try nodes.map { try $0.daemon.ask([Endpoint].self, "endpoint", "ls").count }
      return containers == endpoints && containers.reduce(0, +) == count
    }
  }

  /// For people.
  func tasks(of service: String) throws -> String { try docker("service", "ps", "--no-trunc", service) }

  /// Removes services and networks, and looks that nothing of them is left on any node.
  func clear() throws {
    let services = try docker("service", "ls", "--quiet").split(separator: "\n").map(String.init)
    if !services.isEmpty { try manager.engine.command(["service", "rm"] + services) }
    let driver = "driver=" + Self.driver
    try eventually("the networks can be removed") {
      let networks = try docker("network", "ls", "--quiet", "--filter", driver).split(separator: "\n").map(String.init)
      return try networks.isEmpty || manager.engine.attempt(["network", "rm"] + networks).status == 0
    }
    for node in nodes {
      try eventually("nothing is left: \((try? node.traces()) ?? [])") { try node.traces().isEmpty }
    }
  }
}

/// A test with a swarm. Nothing of it may be left when it ends.
func withSwarm(isProxied: Bool = false, _ body: (SwarmBed) throws -> Void) throws {
  try withTestbed { testbed in
    let bed = try SwarmBed(testbed, isProxied: isProxied)
    do {
      try body(bed)
      try bed.clear()
    } catch {
      let logs = bed.nodes.map { node in
        "martletd: \(node.daemon.log.suffix(3000))\ndockerd: \(node.engine.log.suffix(3000))"
      }
      throw Failure("\(error)\n\(logs.joined(separator: "\n"))")
    }
  }
}

/// A way to say what becomes of the next calls: `pluginproxy.py` at the driver's place.
final class CallProxy {
  let socket: String
  private let (engine, driver, plan): (DockerEngine, String, String)
  private var program: Program?

  init(_ engine: DockerEngine, driver: String, directory: String) {
    (self.engine, self.driver) = (engine, driver)
    (socket, plan) = (directory + "/proxy.sock", directory + "/plan")
  }

  func start() throws {
    let words = Script.words("pluginproxy.py") + [socket, driver, plan]
    let program = try engine.namespace.testbed.start(engine.wrapper + words)
    self.program = program
    try eventually("the proxy is ready: \(program.complaintSoFar)") { program.outputSoFar.hasPrefix("ready\n") }
  }

  func plan(_ words: String) throws { try words.write(toFile: plan, atomically: true, encoding: .utf8) }

  /// Whether the plan is still to be carried out.
  var isPlanned: Bool { access(plan, F_OK) == 0 }

  /// The last ones, for people.
  var calls: String { (program?.outputSoFar ?? "").split(separator: "\n").suffix(12).joined(separator: " ") }
}
