import ControlModel
import FoundationEssentials
import Glibc
import Support

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
  /// nil: the daemons are in no cluster.
  let etcd: EtcdServer?

  /// - Parameters:
  ///   - isProxied: `pluginproxy.py` stands before each daemon.
  ///   - isCluster: the daemons are a cluster, with an etcd.
  init(_ testbed: Testbed, isProxied: Bool = false, isCluster: Bool = false) throws {
    let etcd = try isCluster ? Self.startEtcd(testbed) : nil
    self.etcd = etcd
    let plugin = testbed.directory + "/plugin"
    let tool = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined() + "/tools/docker-plugin"
    try testbed.run([tool, "--busybox", DockerEngine.peers + "/bin/busybox", plugin])
    nodes = try Self.addresses.enumerated().map { index, address in
      let daemon = try testbed.makeDaemon("h\(index + 1)")
      let directory = testbed.directory + "/h\(index + 1)"
      let engine = try DockerEngine(namespace: daemon.namespace, directory: directory + "/docker")
      testbed.atEnd { engine.takeDown() }
      daemon.wrapper = engine.wrapper
      let socket = directory + "/swarm.sock"
      try daemon.configure(["docker-swarm: \(socket)"] + Self.clusterSection(etcd, host: index + 1))
      let proxy =
        isProxied ? CallProxy(engine, at: directory + "/proxy.sock", driver: socket, directory: directory) : nil
      return Node(
        daemon: daemon, engine: engine, address: address, socket: proxy?.socket ?? socket, proxy: proxy)
    }
    let hosts = nodes.map(\.daemon.namespace)
    try hosts[0].batch("link add \(Self.wire) type veth peer name \(Self.wire) netns \(hosts[1].name)")
    for (host, address) in zip(hosts, Self.addresses) {
      try host.batch("address add \(address)/24 dev \(Self.wire)", "link set \(Self.wire) up")
    }
    if let etcd { try Self.connect(etcd, hosts) }
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

  // MARK: The cluster

  private static let etcdAddress = "10.99.0.1"

  private static func startEtcd(_ testbed: Testbed) throws -> EtcdServer {
    let place = try TestNamespace()
    try place.ip("address", "add", etcdAddress + "/32", "dev", "lo")
    let etcd = try EtcdServer(in: place, address: etcdAddress)
    testbed.atEnd { etcd.kill() }
    try etcd.start()
    return etcd
  }

  /// By a wire for each host.
  private static func connect(_ etcd: EtcdServer, _ hosts: [Namespace]) throws {
    for (number, host) in zip(1..., hosts) {
      let (near, far) = ("10.99.\(number).1", "10.99.\(number).2")
      try etcd.namespace.ip("link", "add", "m\(number)", "type", "veth", "peer", "name", "m0", "netns", host.name)
      try etcd.namespace.ip("address", "add", near + "/30", "dev", "m\(number)")
      try etcd.namespace.ip("link", "set", "m\(number)", "up")
      try host.batch("address add \(far)/30 dev m0", "link set m0 up", "route add \(etcdAddress) via \(near)")
    }
  }

  private static func clusterSection(_ etcd: EtcdServer?, host number: Int) -> [String] {
    guard let etcd else { return [] }
    return [
      "cluster:", "  endpoints: \(etcd.endpoint)", "  host-name: h\(number)", "  vtep: \(addresses[number - 1])",
      "  lease-seconds: 2",
    ]
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
func withSwarm(
  isProxied: Bool = false, isCluster: Bool = false, _ body: (SwarmBed) throws -> Void
) throws {
  try withTestbed { testbed in
    let bed = try SwarmBed(testbed, isProxied: isProxied, isCluster: isCluster)
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
