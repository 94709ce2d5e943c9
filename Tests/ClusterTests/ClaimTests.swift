import Cluster
import ControlModel
import Etcd
import Foundation
import Support
import Testing
import Wire

@Suite(.enabled(if: EtcdServer.isThere, ClusterBed.skip))
struct ClaimTests {
  static let subnet = IPPrefix("10.1.0.0/23")!
  /// 510 may be had, one is the gateway's: nine are left over.
  static let range = AddressRange(subnet: subnet, reserved: [IPAddress("10.1.0.1")!])
  static let wanted = 500

  @Test(arguments: [2, 8])
  func hostsThatClaimAtTheSameTime(_ count: Int) throws {
    try ClusterBed.run { bed in
      let hosts = try (0..<count).map { try bed.host("h\($0)") }
      try hosts[0].cluster.createNetwork(network)
      let threads = hosts.enumerated().map { number, host in
        let share = Self.wanted * (number + 1) / count - Self.wanted * number / count
        return Background {
          try (0..<share).map {
            try host.cluster.claimAddress(network: "n1", endpoint: "e\(number)-\($0)", in: Self.range)
          }
        }
      }
      let all = try threads.flatMap { try $0.wait() }
      #expect(all.count == Self.wanted)
      #expect(Set(all).count == Self.wanted)
      #expect(Set(try bed.keys("claims/addresses/n1/")) == Set(all.map(\.description)))
      #expect(!all.contains { [Self.subnet.first, Self.subnet.last, IPAddress("10.1.0.1")!].contains($0) })
      // The rest can be had, and then there is none.
      let rest = try (0..<9).map {
        try hosts[count - 1].cluster.claimAddress(network: "n1", endpoint: "r\($0)", in: Self.range)
      }
      #expect(Set(all + rest).count == 509)
      let error = #expect(throws: ControlError.self) {
        try hosts[0].cluster.claimAddress(network: "n1", endpoint: "x", in: Self.range)
      }
      #expect(error?.code == .exhausted)
      try hosts[count - 1].cluster.releaseAddress(rest[3], network: "n1", endpoint: "r3")
      #expect(try hosts[0].cluster.claimAddress(network: "n1", endpoint: "x", in: Self.range) == rest[3])
    }
  }

  /// Two that planned on the same knowledge: the second has to plan anew.
  @Test func networksOfTwoHosts() throws {
    try ClusterBed.run { bed in
      let (a, b) = (try bed.host("a").cluster, try bed.host("b").cluster)
      let (none, revision) = try a.networksNow()
      #expect(none.isEmpty)
      try a.createNetwork(network, asOf: revision)
      var other = network
      (other.id, other.name) = ("n2", "wan")
      let error = #expect(throws: ControlError.self) { try b.createNetwork(other, asOf: revision) }
      #expect(error?.code == .conflict && error?.message.contains("in between") == true)
      let (seen, later) = try b.networksNow()
      #expect(seen == [network])
      try b.createNetwork(other, asOf: later)
      try a.createNetwork(network, asOf: revision)
    }
  }

  @Test func services() throws {
    try ClusterBed.run { bed in
      let (a, b) = (try bed.joined("a"), try bed.joined("b"))
      try a.cluster.createNetwork(network)
      let address = try a.cluster.claimVirtualAddress(network: "n1", service: "web", in: Self.range)
      let service = ClusterService(
        name: "web", network: "n1", addresses: [address], ports: ["tcp/8080", "udp/8080"], specification: "{}")
      try a.cluster.createService(service)
      try a.cluster.createService(service)
      try eventually("b knows it") { b.cluster.services == [service] }
      var other = service
      other.specification = "another"
      let taken = #expect(throws: ControlError.self) { try b.cluster.createService(other) }
      #expect(taken?.message.contains("has the name web") == true)
      (other.name, other.ports) = ("more", ["udp/8081", "udp/8080"])
      let rival = #expect(throws: ControlError.self) { try b.cluster.createService(other) }
      #expect(rival?.message.contains("port udp/8080 is service web's") == true)
      let claimed = #expect(throws: ControlError.self) {
        try b.cluster.claimAddress(network: "n1", endpoint: "e", in: Self.range, wanted: address)
      }
      #expect(claimed?.message.contains("taken by service web") == true)
      // Two that change it at the same time: neither change is lost.
      try b.cluster.updateService("web", network: "n1") { value in
        if value.specification == "{}" {
          try? a.cluster.updateService("web", network: "n1") { $0.specification = "a" }
        }
        value.specification += "b"
      }
      try eventually("all know it") { a.cluster.services.first?.specification == "ab" }
      // It outlives its maker, and keeps its network.
      try a.cluster.leave()
      let kept = #expect(throws: ControlError.self) { try b.cluster.removeNetwork("n1") }
      #expect(kept?.message.contains("service rm web") == true)
      try b.cluster.removeService("web", network: "n1")
      try b.cluster.removeService("web", network: "n1")
      for part in ["addresses/", "services/", "ports/"] { #expect(try bed.keys("claims/" + part).isEmpty) }
      try eventually("b forgets it") { b.cluster.services.isEmpty }
      try b.cluster.removeNetwork("n1")
      func changes() -> [Change<ClusterService>] {
        b.told.compactMap { if case .service(let change) = $0 { change } else { nil } }
      }
      try eventually("b is told") { changes().count == 4 }
      #expect(changes().first == .added(service))
    }
  }

  @Test func addressesAreGivenBackWhenEtcdIsBack() throws {
    try ClusterBed.run { bed in
      let a = try bed.joined("a")
      try a.cluster.createNetwork(network)
      let addresses = try (0..<3).map { try a.cluster.claimAddress(network: "n1", endpoint: "e\($0)", in: Self.range) }
      bed.server.kill()
      try eventually("it is noticed") { a.isCutOff }
      for (number, address) in addresses.enumerated() {
        a.cluster.releaseSoon([address], network: "n1", endpoint: "e\(number)")
      }
      #expect(a.cluster.trouble != nil)
      try bed.server.start()
      try a.settle()
      #expect(try bed.keys("claims/addresses/n1/").isEmpty)
    }
  }

  @Test func anAddressThatIsAskedFor() throws {
    try ClusterBed.run { bed in
      let (a, b) = (try bed.host("a").cluster, try bed.host("b").cluster)
      func refuse(_ code: ControlError.Code, _ words: String, _ body: () throws -> Void) {
        let error = #expect(throws: ControlError.self) { try body() }
        #expect(error?.code == code)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
      }
      func claim(_ cluster: Cluster, _ endpoint: String, _ address: String) throws {
        let address = IPAddress(address)!
        #expect(
          try cluster.claimAddress(network: "n1", endpoint: endpoint, in: Self.range, wanted: address) == address)
      }
      refuse(.notFound, "not in the cluster") { try claim(a, "e1", "10.1.0.7") }
      try a.createNetwork(network)
      try claim(a, "e1", "10.1.0.7")
      try claim(a, "e1", "10.1.0.7")
      refuse(.conflict, "taken by endpoint e1 on host a") { try claim(b, "e2", "10.1.0.7") }
      for address in ["10.1.0.0", "10.1.1.255", "10.1.0.1", "10.1.2.1", "fd00::1"] {
        refuse(.invalid, address) { try claim(a, "e1", address) }
      }
      // Only who has it gives it back.
      try b.releaseAddress(IPAddress("10.1.0.7")!, network: "n1", endpoint: "e2")
      try b.releaseAddress(IPAddress("10.1.0.7")!, network: "n1", endpoint: "e1")
      try a.releaseAddress(IPAddress("10.1.0.7")!, network: "n1", endpoint: "e2")
      #expect(try bed.keys("claims/addresses/n1/") == ["10.1.0.7"])
      // It moves with its endpoint, and who had it before does not give it back any more.
      try claim(b, "e1", "10.1.0.7")
      try a.releaseAddress(IPAddress("10.1.0.7")!, network: "n1", endpoint: "e1")
      #expect(try bed.keys("claims/addresses/n1/") == ["10.1.0.7"])
      try b.releaseAddress(IPAddress("10.1.0.7")!, network: "n1", endpoint: "e1")
      #expect(try bed.keys("claims/addresses/n1/").isEmpty)
    }
  }

  /// As with the local allocator: what was given back is the last to be handed out again.
  @Test func addressesFollowOneAnother() throws {
    try ClusterBed.run { bed in
      let a = try bed.host("a").cluster
      try a.createNetwork(network)
      let subnet = IPPrefix("fd00:1::/64")!
      let range = AddressRange(subnet: subnet, range: IPPrefix("fd00:1::100/125")!)
      let all = try (0..<8).map { try a.claimAddress(network: "n1", endpoint: "e\($0)", in: range) }
      #expect(Set(all.map(\.bits)) == Set((0..<8).map { IPAddress("fd00:1::100")!.bits + UInt128($0) }))
      for (one, next) in zip(all, all.dropFirst()) {
        #expect(next.bits == one.bits + 1 || next == range.range.first)
      }
      try a.releaseAddress(all[2], network: "n1", endpoint: "e2")
      try a.releaseAddress(all[1], network: "n1", endpoint: "e1")
      #expect(try a.claimAddress(network: "n1", endpoint: "f1", in: range) == all[1])
      #expect(try a.claimAddress(network: "n1", endpoint: "f2", in: range) == all[2])
    }
  }

  @Test func vnis() throws {
    try ClusterBed.run { bed in
      let (a, b) = (try bed.host("a").cluster, try bed.host("b").cluster)
      #expect(try a.claimVNI(network: "n1", wanted: 0) == 0)
      #expect(try b.claimVNI(network: "n1", wanted: 0) == 0)
      #expect(throws: ControlError.self) { try b.claimVNI(network: "n2", wanted: 0) }
      #expect(throws: ControlError.self) { try b.claimVNI(network: "n2", wanted: 1 << 24) }
      #expect(try b.claimVNI(network: "n2", wanted: 0xFF_FFFF) == 0xFF_FFFF)
      let threads = [a, b].map { cluster in
        Background { try (0..<50).map { try cluster.claimVNI(network: "c\($0)") } }
      }
      let chosen = try threads.flatMap { try $0.wait() }
      #expect(Set(chosen).count == 100)
      #expect(chosen.allSatisfy { (4096...0xFF_FFFF).contains($0) })
      try b.releaseVNI(0, network: "n2")
      #expect(throws: ControlError.self) { try b.claimVNI(network: "n2", wanted: 0) }
      try b.releaseVNI(0, network: "n1")
      #expect(try b.claimVNI(network: "n2", wanted: 0) == 0)
    }
  }

  @Test func aHostThatIsGoneForGood() throws {
    try ClusterBed.run { bed in
      let (a, b) = (try bed.joined("a"), try bed.joined("b"))
      try a.cluster.createNetwork(network)
      for number in 0..<3 {
        _ = try a.cluster.claimAddress(network: "n1", endpoint: "a\(number)", in: Self.range)
        _ = try b.cluster.claimAddress(network: "n1", endpoint: "b\(number)", in: Self.range)
      }
      let error = #expect(throws: ControlError.self) { try b.cluster.forgetHost("a") }
      #expect(error?.message.contains("stop martletd there first") == true)
      try a.cluster.leave()
      try b.cluster.forgetHost("a")
      #expect(try bed.keys("claims/addresses/n1/").count == 3)
    }
  }
}
