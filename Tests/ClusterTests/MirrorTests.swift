import Etcd
import Foundation
import Support
import Testing
import Wire

@testable import Cluster

struct MirrorTests {
  private let keys = try! ClusterKeys(prefix: "/martlet")

  private func put(_ endpoint: ClusterEndpoint, at revision: Int64) -> WatchEvent {
    .put(
      KeyValue(
        key: keys.endpoint(endpoint.id, of: endpoint.network), value: StoredEndpoint(endpoint).data,
        createRevision: revision, modRevision: revision, version: 1, lease: nil))
  }

  private func delete(_ id: String, at revision: Int64) -> WatchEvent {
    .delete(keys.endpoint(id, of: "n1"), modRevision: revision)
  }

  @Test func whoCameLastHasTheAddress() {
    var mirror = Mirror(keys: keys)
    let (a, b) = (ClusterEndpoint.sample("a", 5, host: "h1"), ClusterEndpoint.sample("b", 5, host: "h2"))
    #expect(mirror.apply([put(a, at: 1)]) == [.endpoint(.added(a))])
    #expect(mirror.apply([put(b, at: 2)]) == [.endpoint(.changed(b, from: a))])
    // The one that is hidden goes without a word; the one that is shown gives way to it.
    var hidden = a
    hidden.aliases = []
    #expect(mirror.apply([put(hidden, at: 3)]) == [.endpoint(.changed(hidden, from: b))])
    #expect(mirror.apply([delete("b", at: 4)]) == [])
    #expect(mirror.apply([put(b, at: 5), delete("a", at: 6), put(a, at: 7)]) == [.endpoint(.changed(a, from: hidden))])
    #expect(mirror.apply([delete("a", at: 8)]) == [.endpoint(.changed(b, from: a))])
    #expect(mirror.apply([delete("b", at: 9), put(a, at: 10)]) == [.endpoint(.changed(a, from: b))])
    #expect(mirror.apply([put(a, at: 11)]) == [])
    #expect(mirror.replace(with: []) == [.endpoint(.gone(a))])
  }

  @Test func networksAndHostsFrameTheirEndpoints() {
    var mirror = Mirror(keys: keys)
    let endpoint = ClusterEndpoint.sample("a", 5, host: "h")
    let host = ClusterHost(name: "h", vteps: [], identity: "i")
    func value(_ key: String, _ data: Data) -> KeyValue {
      KeyValue(key: key, value: data, createRevision: 1, modRevision: 1, version: 1, lease: nil)
    }
    let all = [
      value(keys.endpoint("a", of: "n1"), StoredEndpoint(endpoint).data), value(keys.host("h"), StoredHost(host).data),
      value(keys.network("n1"), StoredNetwork(network).data),
    ]
    #expect(
      mirror.replace(with: all) == [.network(.added(network)), .host(.added(host)), .endpoint(.added(endpoint))])
    #expect(mirror.replace(with: all) == [])
    #expect(
      mirror.apply(all.map { .delete($0.key, modRevision: 2) }) == [
        .endpoint(.gone(endpoint)), .host(.gone(host)), .network(.gone(network)),
      ])
  }

  /// Whatever comes, in whatever batches: who follows the changes one by one has what a mirror has that reads all at
  /// once, and no address is shown twice.
  @Test(arguments: 0..<6 as Range<UInt64>) func changesLeadToWhatIsThere(_ seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var mirror = Mirror(keys: keys)
    var stored: [String: KeyValue] = [:]
    var followed: Set<String> = []
    var revision: Int64 = 0
    func text(_ endpoint: ClusterEndpoint) -> String { "\(endpoint)" }
    for _ in 0..<150 {
      var events: [WatchEvent] = []
      for _ in 0...generator.below(4) {
        revision += 1
        let id = "e\(generator.below(8))"
        if generator.below(3) == 0 {
          events.append(delete(id, at: revision))
          stored[keys.endpoint(id, of: "n1")] = nil
        } else {
          var endpoint = ClusterEndpoint.sample(id, 2 + generator.below(5), host: "h\(generator.below(3))")
          if generator.below(2) == 0 { endpoint.addresses.append(IPAddress("10.1.0.\(2 + generator.below(5))")!) }
          let event = put(endpoint, at: revision)
          events.append(event)
          if case .put(let value) = event { stored[value.key] = value }
        }
      }
      let changes =
        generator.below(4) == 0
        ? mirror.replace(with: stored.values.sorted { $0.key < $1.key }) : mirror.apply(events)
      for case .endpoint(let change) in changes {
        switch change {
        case .added(let new): #expect(followed.insert(text(new)).inserted)
        case .changed(let new, let old):
          #expect(followed.remove(text(old)) != nil)
          followed.insert(text(new))
        case .gone(let old): #expect(followed.remove(text(old)) != nil)
        }
      }
      var fresh = Mirror(keys: keys)
      _ = fresh.replace(with: Array(stored.values))
      #expect(Set(fresh.allEndpoints.map(text)) == followed)
      #expect(Set(mirror.allEndpoints.map(text)) == followed)
      let addresses = mirror.allEndpoints.flatMap { Set($0.addresses) }
      #expect(addresses.count == Set(addresses).count)
    }
  }

  @Test func whatIsStoredIsWhatIsRead() throws {
    var endpoint = ClusterEndpoint.sample("e", 7, host: "h")
    endpoint.addresses.append(IPAddress("fd00::7")!)
    #expect(
      String(decoding: StoredEndpoint(endpoint).data, as: UTF8.self)
        == #"{"addresses":["10.1.0.7","fd00::7"],"aliases":["www"],"host":"h","mac":"02:00:00:00:00:07","name":"web-e","#
        + #""services":[{"port":80,"transport":"tcp"}],"version":1,"vtep":"192.0.2.1"}"#)
    #expect(try StoredEndpoint.read(StoredEndpoint(endpoint).data, ["n1", "e"]) == endpoint)
    var bare = ClusterEndpoint(id: "e", network: "n1", mac: nil, addresses: [], name: "")
    #expect(try StoredEndpoint.read(StoredEndpoint(bare).data, ["n1", "e"]) == bare)
    bare.addresses = Array(repeating: IPAddress("fd00::7")!, count: 65)
    #expect(throws: UnreadableValue.self) { try StoredEndpoint.read(StoredEndpoint(bare).data, ["n1", "e"]) }
    var full = network
    full.vni = 0xFF_FFFF
    full.subnets[0].range = IPPrefix("10.1.2.0/24")!
    #expect(try StoredNetwork.read(StoredNetwork(full).data, ["n1"]) == full)
    full.vni = 1 << 24
    #expect(throws: UnreadableValue.self) { try StoredNetwork.read(StoredNetwork(full).data, ["n1"]) }
    full.vni = nil
    full.subnets[0].gateway = IPAddress("10.2.0.1")!
    #expect(throws: UnreadableValue.self) { try StoredNetwork.read(StoredNetwork(full).data, ["n1"]) }
  }
}
