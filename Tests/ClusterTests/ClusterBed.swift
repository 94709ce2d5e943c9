import Cluster
import Etcd
import Foundation
import Logging
import Support
import Synchronization
import Testing
import Wire

/// An etcd of its own for each test, and hosts beside it in one network namespace.
final class ClusterBed {
  static let skip: Comment = "needs root, and etcd, which tools/test unpacks"

  let namespace: TestNamespace
  let server: EtcdServer
  private var hosts: [TestHost] = []

  static func run(body: (ClusterBed) throws -> Void) throws {
    let bed = try ClusterBed()
    try bed.server.start()
    defer {
      for host in bed.hosts { host.cluster.stop() }
      bed.server.kill()
    }
    try body(bed)
  }

  private init() throws {
    namespace = try TestNamespace()
    // On loopback, where hosts of other namespaces reach it too.
    try namespace.ip("address", "add", "\(Self.address)/32", "dev", "lo")
    server = try EtcdServer(in: namespace, address: Self.address)
  }

  static let address = "10.99.0.1"

  /// A host that has not joined.
  func host(
    _ name: String, identity: String? = nil, in place: TestNamespace? = nil, leaseSeconds: Int = 3,
    _ change: (inout ClusterConfiguration) -> Void = { _ in }
  ) throws -> TestHost {
    var configuration = ClusterConfiguration(
      etcd: EtcdConfiguration(endpoints: [server.endpoint]),
      host: ClusterHost(name: name, vteps: [IPAddress("192.0.2.1")!], identity: identity ?? name))
    configuration.leaseSeconds = leaseSeconds
    change(&configuration)
    let host = TestHost(
      cluster: try (place ?? namespace).inside { [configuration] in
        try Cluster(configuration, logger: Logger(label: name))
      })
    hosts.append(host)
    return host
  }

  /// One that has.
  func joined(
    _ name: String, identity: String? = nil, in place: TestNamespace? = nil, leaseSeconds: Int = 3,
    endpoints: [ClusterEndpoint] = []
  ) throws -> TestHost {
    let host = try host(name, identity: identity, in: place, leaseSeconds: leaseSeconds)
    try host.join(endpoints)
    return host
  }

  /// A network namespace with a way to etcd, that `cut` cuts.
  func distantPlace(_ number: Int) throws -> TestNamespace {
    let place = try TestNamespace()
    try namespace.ip("link", "add", "to\(number)", "type", "veth", "peer", "name", "veth0", "netns", place.name)
    try namespace.ip("address", "add", "10.99.\(number).1/30", "dev", "to\(number)")
    try place.ip("address", "add", "10.99.\(number).2/30", "dev", "veth0")
    try namespace.ip("link", "set", "to\(number)", "up")
    try place.ip("link", "set", "veth0", "up")
    try place.ip("route", "add", "\(Self.address)/32", "via", "10.99.\(number).1")
    return place
  }

  func cut(_ number: Int) throws { try namespace.ip("link", "set", "to\(number)", "down") }
  func heal(_ number: Int) throws { try namespace.ip("link", "set", "to\(number)", "up") }

  /// A client beside the clusters.
  func client() throws -> EtcdClient {
    try namespace.inside {
      try EtcdClient(EtcdConfiguration(endpoints: [server.endpoint]), logger: Logger(label: "test"))
    }
  }

  /// The keys below a part of the prefix, as etcdctl prints them.
  func keys(_ part: String) throws -> [String] {
    try server.control("get", "--prefix", "/martlet/\(part)", "--keys-only").split(separator: "\n").map {
      String($0.dropFirst("/martlet/\(part)".count))
    }
  }
}

/// A host, and what it was told.
final class TestHost: ClusterConsumer {
  let cluster: Cluster
  private let changes = Mutex<[ClusterChange]>([])
  private let statuses = Mutex<[ClusterStatus]>([])

  init(cluster: Cluster) { self.cluster = cluster }

  func take(_ changes: [ClusterChange]) { self.changes.withLock { $0 += changes } }
  func statusChanged(_ status: ClusterStatus) { statuses.withLock { $0.append(status) } }

  var told: [ClusterChange] { changes.withLock { $0 } }
  var toldStatuses: [ClusterStatus] { statuses.withLock { $0 } }
  func forgetTold() { changes.withLock { $0 = [] } }

  func start(_ endpoints: [ClusterEndpoint] = []) { cluster.start(endpoints: endpoints, consumer: self) }

  func join(_ endpoints: [ClusterEndpoint] = []) throws {
    start(endpoints)
    try settle()
  }

  /// Waits until all it has is in etcd, and it knows what etcd has.
  func settle(sourceLocation: SourceLocation = #_sourceLocation) throws {
    try eventually("\(cluster.trouble ?? "") \(cluster.status)", sourceLocation: sourceLocation) {
      cluster.trouble == nil && cluster.status == .connected
    }
  }

  /// Where it knows the endpoint to be.
  func place(of id: String) -> String? { cluster.endpoints.first { $0.id == id }?.host }

  var isCutOff: Bool { if case .cutOff = cluster.status { true } else { false } }
}

extension ClusterEndpoint {
  /// On network n1, with the last byte of its addresses.
  static func sample(_ id: String, _ last: Int = 2, host: String = "") -> ClusterEndpoint {
    ClusterEndpoint(
      id: id, network: "n1", mac: MACAddress(bits: 0x0200_0000_0000 | UInt64(last)),
      addresses: [IPAddress("10.1.0.\(last)")!], name: "web-\(id)", aliases: ["www"],
      services: [.init(port: 80, transport: "tcp")], host: host, vtep: IPAddress("192.0.2.1")!)
  }
}

let network = ClusterNetwork(
  id: "n1", name: "lan", subnets: [.init(IPPrefix("10.1.0.0/16")!, gateway: IPAddress("10.1.0.1")!)],
  options: ["mtu": "1450"])

/// Waits until `condition` holds, thirty seconds at most.
func eventually(
  _ words: @autoclosure () -> Comment, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () throws -> Bool
) throws {
  let end = ContinuousClock.now + .seconds(30)
  while try !condition() {
    try #require(ContinuousClock.now < end, words(), sourceLocation: sourceLocation)
    usleep(5000)
  }
}
