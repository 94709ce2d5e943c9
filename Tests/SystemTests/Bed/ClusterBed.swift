import ControlModel
import Support

/// Hosts of one cluster on one wire, each with a way of its own to etcd, which stands in a namespace by itself.
///
///     container -- net -- host 192.0.2.N -- u0 -- wire
///                              10.99.N.2 -- m0 -- 10.99.0.1 etcd
final class ClusterBed {
  static let etcdAddress = "10.99.0.1"
  static let subnet = "10.42.0.0/24"
  /// Of hosts, and so the time until a dead one is noticed.
  static let leaseSeconds = 2

  let etcd: EtcdServer
  let hosts: [Daemon]
  private let etcdPlace: TestNamespace
  private let wire: Namespace

  /// - Parameter count: of hosts, which are called `h1` and so on. They run.
  init(_ testbed: Testbed, hosts count: Int = 3) throws {
    etcdPlace = try TestNamespace()
    try etcdPlace.ip("address", "add", "\(Self.etcdAddress)/32", "dev", "lo")
    etcd = try EtcdServer(in: etcdPlace, address: Self.etcdAddress)
    testbed.atEnd { [etcd] in etcd.kill() }
    try etcd.start()
    wire = try testbed.makeNamespace("wire")
    try wire.batch("link add br0 type bridge", "link set br0 up")
    var hosts: [Daemon] = []
    for number in 1...count {
      let host = try testbed.makeDaemon("h\(number)")
      try wire.batch(
        "link add w\(number) type veth peer name u0 netns \(host.namespace.name)", "link set w\(number) master br0 up")
      try etcdPlace.ip(
        "link", "add", "m\(number)", "type", "veth", "peer", "name", "m0", "netns", host.namespace.name)
      try etcdPlace.ip("address", "add", "10.99.\(number).1/30", "dev", "m\(number)")
      try etcdPlace.ip("link", "set", "m\(number)", "up")
      try host.namespace.batch(
        "address add 192.0.2.\(number)/24 dev u0", "link set u0 up", "address add 10.99.\(number).2/30 dev m0",
        "link set m0 up", "route add \(Self.etcdAddress) via 10.99.\(number).1")
      try host.configure(
        "cluster:", "  endpoints: \(etcd.endpoint)", "  host-name: h\(number)", "  vtep: 192.0.2.\(number)",
        "  lease-seconds: \(Self.leaseSeconds)")
      try host.start()
      hosts.append(host)
    }
    self.hosts = hosts
    for host in hosts { try waitForHosts(count, at: host) }
  }

  /// `net`, of all hosts, made on one of them.
  func makeNetwork(on host: Daemon, _ options: String...) throws {
    try host.command(["network", "create", "net", "--driver", "overlay", "--subnet", Self.subnet] + options)
    for other in hosts { try eventually("the network is everywhere") { try other.hasNetwork("net") } }
  }

  /// A machine on the hosts' wire that is none of them: 192.0.2.100.
  func outside() throws -> Namespace {
    let outside = try wire.testbed.makeNamespace("outside")
    try wire.batch("link add x0 type veth peer name u0 netns \(outside.name)", "link set x0 master br0 up")
    try outside.batch("address add 192.0.2.100/24 dev u0", "link set u0 up")
    return outside
  }

  func waitForHosts(_ count: Int, at host: Daemon) throws {
    try eventually("\(count) hosts are known") {
      let view = try host.cluster
      return view.hosts.count == count && view.state == "connected" && view.detail == nil
    }
  }

  /// Between a host and etcd.
  func cut(_ number: Int) throws { try etcdPlace.ip("link", "set", "m\(number)", "down") }
  func heal(_ number: Int) throws { try etcdPlace.ip("link", "set", "m\(number)", "up") }

  /// Takes the host off the wire that carries tunnels.
  func unplug(_ number: Int) throws { try wire.batch("link set w\(number) down") }
}

extension Daemon {
  var cluster: ClusterView { get throws { try ask(ClusterView.self, "cluster", "show") } }

  func hasNetwork(_ name: String) throws -> Bool {
    try ask([Network].self, "network", "ls").contains { $0.name == name }
  }
}
