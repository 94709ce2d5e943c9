import Cluster
import ControlModel
import Etcd
import Foundation
import Support
import Testing
import Wire

@Suite(.enabled(if: EtcdServer.isThere, ClusterBed.skip))
struct StateTests {
  @Test func whatOneHostHasTheOtherKnows() throws {
    try ClusterBed.run { bed in
      let (a, b) = (try bed.joined("a"), try bed.joined("b"))
      try eventually("they know each other") { a.cluster.hosts.count == 2 && b.cluster.hosts.count == 2 }
      b.forgetTold()
      try a.cluster.createNetwork(network)
      var endpoint = ClusterEndpoint.sample("e1")
      try a.cluster.publish(endpoint)
      endpoint.host = "a"
      try eventually("b knows it") { b.cluster.endpoints == [endpoint] }
      let before = endpoint
      endpoint.aliases = ["www", "db"]
      try a.cluster.publish(endpoint)
      try eventually("b knows the change") { b.cluster.endpoints == [endpoint] }
      var larger = network
      larger.options["mtu"] = "8950"
      try b.cluster.updateNetwork(larger)
      #expect(throws: ControlError.self) { try b.cluster.removeNetwork("n1") }
      a.cluster.withdraw("e1", network: "n1")
      try eventually("it is gone") { b.cluster.endpoints.isEmpty && b.cluster.networks == [larger] }
      try b.cluster.removeNetwork("n1")
      try b.cluster.removeNetwork("n1")
      try eventually("the network is gone") { b.cluster.networks.isEmpty }
      let changes: [ClusterChange] = [
        .network(.added(network)), .endpoint(.added(before)), .endpoint(.changed(endpoint, from: before)),
        .network(.changed(larger, from: network)), .endpoint(.gone(endpoint)), .network(.gone(larger)),
      ]
      // A moment after it is known.
      try eventually("it is told") { b.told == changes }
      // b knew the endpoint before a read that a was told.
      #expect(try bed.keys("claims/").isEmpty)
    }
  }

  @Test func namesOfNetworksAreOneInTheCluster() throws {
    try ClusterBed.run { bed in
      let a = try bed.joined("a")
      try a.cluster.createNetwork(network)
      try a.cluster.createNetwork(network)
      func refuse(_ code: ControlError.Code, _ words: String, _ change: (inout ClusterNetwork) -> Void) {
        var other = network
        change(&other)
        let error = #expect(throws: ControlError.self) { try a.cluster.createNetwork(other) }
        #expect(error?.code == code)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
      }
      refuse(.conflict, "has the name lan") { $0.id = "n2" }
      refuse(.conflict, "different") { $0.options = [:] }
      refuse(.conflict, "claim it first") { ($0.id, $0.name, $0.vni) = ("n2", "wan", 5000) }
      refuse(.invalid, "network name") { $0.name = "a/b" }
      refuse(.invalid, "network id") { $0.id = "" }
      let vni = try a.cluster.claimVNI(network: "n2", wanted: 5000)
      var second = ClusterNetwork(id: "n2", name: "wan", vni: vni)
      try a.cluster.createNetwork(second)
      second.vni = 6000
      #expect(throws: ControlError.self) { try a.cluster.updateNetwork(second) }
      try a.cluster.removeNetwork("n2")
      try a.cluster.removeNetwork("n1")
      #expect(try bed.keys("").filter { !$0.isEmpty } == ["state/hosts/a"])
    }
  }

  /// Its lease runs out: entries go, claims stay.
  @Test func aHostDies() throws {
    try ClusterBed.run { bed in
      let (a, b) = (try bed.joined("a"), try bed.joined("b"))
      try a.cluster.createNetwork(network)
      let range = AddressRange(subnet: IPPrefix("10.1.0.0/16")!)
      let address = try a.cluster.claimAddress(network: "n1", endpoint: "e1", in: range)
      try a.cluster.publish(.sample("e1"))
      try eventually("b knows it") { b.place(of: "e1") == "a" }
      a.cluster.stop()
      try eventually("all of a is gone") { b.cluster.endpoints.isEmpty && b.cluster.hosts.map(\.name) == ["b"] }
      #expect(throws: ControlError.self) {
        try b.cluster.claimAddress(network: "n1", endpoint: "e2", in: range, wanted: address)
      }
      // Its endpoint takes it along.
      #expect(try b.cluster.claimAddress(network: "n1", endpoint: "e1", in: range, wanted: address) == address)
      #expect(throws: ControlError.self) { try a.cluster.claimVNI(network: "n1") }
    }
  }

  @Test func aHostLeaves() throws {
    try ClusterBed.run { bed in
      let (a, b) = (try bed.joined("a", leaseSeconds: 300), try bed.joined("b"))
      try a.cluster.publish(.sample("e1"))
      try eventually("b knows it") { b.place(of: "e1") == "a" }
      try a.cluster.leave()
      try eventually("all of a is gone") { b.cluster.endpoints.isEmpty && b.cluster.hosts.map(\.name) == ["b"] }
    }
  }

  @Test func whatIsKnownIsKept() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/known"
    try ClusterBed.run { bed in
      let a = try bed.joined("a")
      try a.cluster.createNetwork(network)
      for number in 1...3 { try a.cluster.publish(.sample("e\(number)", 10 + number)) }
      let b = try bed.host("b") { $0.knowledgePath = path }
      try b.join()
      try eventually("b knows all") { b.cluster.endpoints.count == 3 && b.cluster.networks == [network] }
      try eventually("it is kept") { FileManager.default.fileExists(atPath: path) }
      b.cluster.stop()
      bed.server.kill()
      let again = try bed.host("b") { $0.knowledgePath = path }
      again.start()
      try eventually("it is known without etcd") { again.cluster.endpoints.count == 3 && again.told.count >= 5 }
      #expect(again.cluster.networks == [network] && again.isCutOff)
      a.cluster.withdraw("e2", network: "n1")
      try bed.server.start()
      try again.settle()
      try eventually("what went meanwhile goes") { Set(again.cluster.endpoints.map(\.id)) == ["e1", "e3"] }
      try again.cluster.leave()
      #expect(!FileManager.default.fileExists(atPath: path))
      // One that cannot be read is none.
      try Data("[1".utf8).write(to: URL(filePath: path))
      let third = try bed.host("b") { $0.knowledgePath = path }
      try third.join()
      #expect(third.cluster.endpoints.count == 2)
    }
  }

  /// The same endpoint on another host, and another endpoint with its addresses, are one change each.
  @Test func anEndpointMoves() throws {
    try ClusterBed.run { bed in
      let (a, b) = (try bed.joined("a"), try bed.joined("b"))
      let witness = try bed.joined("w")
      try a.cluster.publish(.sample("e1", 5))
      try eventually("it is on a") { witness.place(of: "e1") == "a" }
      witness.forgetTold()
      try b.cluster.publish(.sample("e1", 5))
      try eventually("it is on b") { witness.place(of: "e1") == "b" }
      // a withdraws it late.
      a.cluster.withdraw("e1", network: "n1")
      try a.cluster.publish(.sample("e2", 5))
      try eventually("a's has its addresses") { witness.place(of: "e2") == "a" && witness.place(of: "e1") == nil }
      b.cluster.withdraw("e1", network: "n1")
      try b.settle()
      a.cluster.withdraw("e2", network: "n1")
      try eventually("all are gone") { witness.cluster.endpoints.isEmpty }
      let (first, second) = (ClusterEndpoint.sample("e1", 5, host: "a"), ClusterEndpoint.sample("e1", 5, host: "b"))
      let third = ClusterEndpoint.sample("e2", 5, host: "a")
      let changes: [ClusterChange] = [
        .endpoint(.changed(second, from: first)), .endpoint(.changed(third, from: second)), .endpoint(.gone(third)),
      ]
      try eventually("it is told") { witness.told == changes }
    }
  }

  @Test func etcdIsKilledAndComesBack() throws {
    try ClusterBed.run { bed in
      let a = try bed.joined("a", leaseSeconds: 30)
      let b = try bed.host("b", leaseSeconds: 30) { $0.etcd.limits.patience = .seconds(1) }
      try b.join()
      try a.cluster.publish(.sample("e1", 5))
      try eventually("b knows it") { b.place(of: "e1") == "a" }
      for round in 0..<3 {
        b.forgetTold()
        bed.server.kill()
        try eventually("they are cut off") { a.isCutOff && b.isCutOff }
        // What is done meanwhile comes later; what is known stays.
        try a.cluster.publish(.sample("f\(round)", 10 + round))
        #expect(b.place(of: "e1") == "a")
        let error = #expect(throws: ControlError.self) { try b.cluster.claimVNI(network: "n1") }
        #expect(error?.message.contains("try again when it is back") == true)
        try bed.server.start()
        try eventually("b has caught up") { b.place(of: "f\(round)") == "a" && b.cluster.status == .connected }
        try eventually("it is told") { b.told == [.endpoint(.added(.sample("f\(round)", 10 + round, host: "a")))] }
      }
      try eventually("each status is told") { b.toldStatuses.count == 7 }
    }
  }

  /// A store that begins at revision 1 again, with nothing in it.
  @Test func etcdLosesEverything() throws {
    try ClusterBed.run { bed in
      let (a, b) = (try bed.joined("a"), try bed.joined("b"))
      for number in 2..<20 { try a.cluster.publish(.sample("e\(number)", number)) }
      try eventually("b knows them") { b.cluster.endpoints.count == 18 }
      bed.server.kill()
      try bed.server.wipe()
      try bed.server.start()
      let client = try bed.client()
      try eventually("all is there again") {
        try client.range(.prefix("/martlet/state/"), keysOnly: true).count == 20 && b.cluster.endpoints.count == 18
          && b.cluster.hosts.count == 2 && b.cluster.status == .connected
      }
    }
  }

  @Test func valuesThatCannotBeRead() throws {
    try ClusterBed.run { bed in
      let client = try bed.client()
      let good = Data(
        "{\"version\":1,\"addresses\":[\"10.1.0.9\"],\"name\":\"x\",\"host\":\"h\",\"colour\":\"red\"}".utf8)
      try client.put("/martlet/state/endpoints/n1/good", good)
      let bad = [
        "", "x", "null", "[]", "{}", "{\"version\":1}",
        "{\"version\":2,\"addresses\":[],\"name\":\"x\",\"host\":\"h\"}",
        "{\"version\":1,\"addresses\":[\"10.1.0\"],\"name\":\"x\",\"host\":\"h\"}",
        "{\"version\":1,\"addresses\":[],\"name\":7,\"host\":\"h\"}",
        "{\"version\":1,\"addresses\":[],\"name\":\"x\",\"host\":\"h\",\"mac\":\"ff:ff:ff:ff:ff:ff\"}",
        "{\"version\":1,\"addresses\":[],\"name\":\"x\",\"host\":\"h\",\"vtep\":\"\"}",
        String(repeating: "[", count: 10_000),
      ]
      for (number, text) in bad.enumerated() {
        try client.put("/martlet/state/endpoints/n1/bad\(number)", Data(text.utf8))
      }
      for key in ["", "x", "endpoints/n1", "endpoints/n1/", "endpoints//e", "endpoints/n1/e/f", "hosts/", "networks"] {
        try client.put("/martlet/state/\(key)", good)
      }
      let a = try bed.joined("a")
      #expect(a.cluster.endpoints.map(\.id) == ["good"])
      #expect(a.cluster.endpoints.first?.addresses == [IPAddress("10.1.0.9")!])
      // One that was good and is not any more, as for who reads it for the first time.
      try client.put("/martlet/state/endpoints/n1/good", Data("{}".utf8))
      try eventually("it is not shown") { a.cluster.endpoints.isEmpty }
      try client.put("/martlet/state/endpoints/n1/good", good)
      try eventually("it is shown") { a.cluster.endpoints.count == 1 }
    }
  }

  @Test func clustersWithDifferentPrefixes() throws {
    try ClusterBed.run { bed in
      let a = try bed.joined("a")
      let b = try bed.host("a") { $0.prefix = "/martlet2" }
      try b.join()
      try a.cluster.publish(.sample("e1"))
      try a.settle()
      try b.cluster.publish(.sample("e2"))
      try b.settle()
      try eventually("each has its own") { a.place(of: "e1") != nil && b.place(of: "e2") != nil }
      #expect((a.cluster.endpoints.count, b.cluster.endpoints.count) == (1, 1))
      for prefix in ["", "martlet", "/", "/a/", "/a//b"] {
        #expect(throws: ControlError.self) { try bed.host("x") { $0.prefix = prefix } }
      }
      for name in ["", "a/b", "a\n"] { #expect(throws: ControlError.self) { try bed.host(name) } }
      #expect(throws: ControlError.self) { try bed.host("x", leaseSeconds: 1) }
      #expect(throws: ControlError.self) { try bed.host("x") { $0.etcd.endpoints = [] } }
    }
  }
}
