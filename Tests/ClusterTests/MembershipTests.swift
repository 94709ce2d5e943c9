import Cluster
import Etcd
import Foundation
import Support
import Testing
import Wire

@Suite(.enabled(if: EtcdServer.isThere, ClusterBed.skip))
struct MembershipTests {
  /// A daemon that crashed is started again: what it still has never goes, what it has no more does, addresses too.
  @Test func aDaemonComesBack() throws {
    try ClusterBed.run { bed in
      let first = try bed.joined("a", leaseSeconds: 300)
      let witness = try bed.joined("w")
      try first.cluster.createNetwork(network)
      let range = AddressRange(subnet: IPPrefix("10.1.0.0/16")!)
      for (number, id) in ["kept", "lost"].enumerated() {
        _ = try first.cluster.claimAddress(
          network: "n1", endpoint: id, in: range, wanted: IPAddress("10.1.0.\(11 + number)")!)
        try first.cluster.publish(.sample(id, 11 + number))
      }
      _ = try first.cluster.claimAddress(
        network: "n1", endpoint: "gateway", in: range, wanted: IPAddress("10.1.0.99")!)
      try eventually("w knows them") { witness.cluster.endpoints.count == 2 }
      first.cluster.stop()
      witness.forgetTold()

      let second = try bed.host("a", leaseSeconds: 300)
      second.cluster.start(endpoints: [.sample("kept", 11)], holders: ["gateway"], consumer: second)
      try second.settle()
      try eventually("the rest is gone") { witness.cluster.endpoints.map(\.id) == ["kept"] }
      try eventually("it is told") { witness.told == [.endpoint(.gone(.sample("lost", 12, host: "a")))] }
      try eventually("its address as well") {
        try bed.keys("claims/addresses/n1/").sorted() == ["10.1.0.11", "10.1.0.99"]
      }
    }
  }

  @Test func twoHostsOfOneName() throws {
    try ClusterBed.run { bed in
      let first = try bed.joined("a")
      try first.cluster.publish(.sample("e1"))
      let second = try bed.host("a", identity: "another")
      second.start([.sample("e2", 3)])
      try eventually("the second says so") { second.cluster.trouble?.contains("has the name a (192.0.2.1)") == true }
      try first.settle()
      try eventually("the second knows the first's") { second.place(of: "e1") == "a" }
      #expect(try bed.keys("state/endpoints/n1/") == ["e1"])
      first.cluster.stop()
      // Its lease ends, and the name is free.
      try second.settle()
      try eventually("the second has joined") { try bed.keys("state/endpoints/n1/") == ["e2"] }
    }
  }

  @Test func aLeaseThatSomebodyRevokes() throws {
    try ClusterBed.run { bed in
      let a = try bed.joined("a", endpoints: (2..<80).map { .sample("e\($0)", $0) })
      let client = try bed.client()
      let host = try #require(try client.range(.key("/martlet/state/hosts/a")).values.first)
      let lease = try #require(host.lease)
      try client.revokeLease(lease)
      try eventually("all is published again") {
        let values = try client.range(.prefix("/martlet/state/")).values
        return values.count == 79 && values.allSatisfy { $0.lease != nil && $0.lease != lease }
      }
      try a.settle()
    }
  }

  /// What is ours is as it should be, whoever changes it by hand.
  @Test func entriesThatSomebodyChanges() throws {
    try ClusterBed.run { bed in
      let a = try bed.joined("a", leaseSeconds: 300, endpoints: [.sample("e1")])
      let client = try bed.client()
      try client.delete(.prefix("/martlet/state/"))
      try eventually("it is there again") {
        try bed.keys("state/endpoints/n1/") == ["e1"] && bed.keys("state/hosts/") == ["a"]
      }
      let value = try #require(try client.range(.key("/martlet/state/endpoints/n1/e1")).values.first).value
      try client.put("/martlet/state/endpoints/n1/e2", value)
      try eventually("what it does not have is gone") { try bed.keys("state/endpoints/n1/") == ["e1"] }
      a.cluster.setVTEPs([IPAddress("2001:db8::1")!])
      try eventually("its tunnel's end is another") {
        a.cluster.hosts.map(\.vteps) == [[IPAddress("2001:db8::1")!]]
      }
    }
  }

  @Test func etcdComesLater() throws {
    try ClusterBed.run { bed in
      bed.server.kill()
      let a = try bed.host("a")
      a.start([.sample("e1")])
      #expect(a.isCutOff && a.cluster.trouble != nil)
      try bed.server.start()
      try a.settle()
      try eventually("it is there") { a.place(of: "e1") == "a" }
    }
  }

  @Test func stoppingWithoutEtcd() throws {
    try ClusterBed.run { bed in
      let a = try bed.joined("a")
      bed.server.kill()
      try eventually("it is cut off") { a.isCutOff }
      a.cluster.stop()
      let never = try bed.host("b")
      never.start()
      never.cluster.stop()
    }
  }
}
