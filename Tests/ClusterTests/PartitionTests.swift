import Cluster
import Etcd
import Foundation
import Support
import Testing
import Wire

/// Hosts in namespaces of their own, whose wire to etcd is cut: what is sent vanishes.
@Suite(.enabled(if: EtcdServer.isThere, ClusterBed.skip))
struct PartitionTests {
  /// Longer than the lease, with a compaction amid: only differences are told, and everything own is there again.
  @Test func aHostIsCutOffForLong() throws {
    try ClusterBed.run { bed in
      let place = try bed.distantPlace(1)
      let far = try bed.joined("far", in: place, leaseSeconds: 2)
      let near = try bed.joined("near")
      try far.cluster.publish(.sample("f1", 11))
      for number in 1...3 { try near.cluster.publish(.sample("e\(number)", 20 + number)) }
      try eventually("both know all") { far.cluster.endpoints.count == 4 && near.cluster.endpoints.count == 4 }
      far.forgetTold()
      let before = Date()
      try bed.cut(1)
      try eventually("it is cut off") { far.isCutOff }
      if case .cutOff(let since, let reason) = far.cluster.status {
        #expect(since > before - 10 && since <= Date())
        #expect(!reason.isEmpty)
      }
      try eventually("its entries are gone") {
        near.place(of: "f1") == nil && near.cluster.hosts.map(\.name) == ["near"]
      }
      #expect(far.cluster.endpoints.count == 4)
      // While it is away: one goes, one changes, one comes; both have news; all history is forgotten.
      near.cluster.withdraw("e1", network: "n1")
      try near.cluster.publish(.sample("e2", 32))
      try near.cluster.publish(.sample("e4", 24))
      try near.settle()
      try far.cluster.publish(.sample("f2", 12))
      let client = try bed.client()
      let revision = try client.put("/any", Data())
      try bed.server.control("compact", String(revision))
      try bed.heal(1)
      try eventually("all is equal") {
        far.cluster.status == .connected && far.cluster.trouble == nil && near.place(of: "f2") == "far"
          && near.place(of: "f1") == "far" && far.cluster.endpoints.count == 5 && far.place(of: "e1") == nil
      }
      func hasTold(_ change: Change<ClusterEndpoint>) -> Bool { far.told.contains(.endpoint(change)) }
      // The consumer is told after the mirror has it.
      try eventually("it is told") {
        hasTold(.gone(.sample("e1", 21, host: "near"))) && hasTold(.added(.sample("e4", 24, host: "near")))
          && hasTold(.changed(.sample("e2", 32, host: "near"), from: .sample("e2", 22, host: "near")))
      }
      #expect(
        !far.told.contains { if case .endpoint(let change) = $0 { "\(change)".contains("\"e3\"") } else { false } })
    }
  }

  /// Its container was started elsewhere while it was away: it does not take it back.
  @Test func aHostComesBackWithWhatIsAnothersNow() throws {
    try ClusterBed.run { bed in
      let place = try bed.distantPlace(1)
      let far = try bed.joined("far", in: place, leaseSeconds: 2)
      let near = try bed.joined("near")
      try far.cluster.publish(.sample("moved", 11))
      try far.cluster.publish(.sample("stays", 12))
      try eventually("near knows them") { near.cluster.endpoints.count == 2 }
      try bed.cut(1)
      try eventually("they are gone") { near.cluster.endpoints.isEmpty }
      try near.cluster.publish(.sample("moved", 11))
      try eventually("it is on near") { near.place(of: "moved") == "near" }
      near.forgetTold()
      try bed.heal(1)
      try eventually("far is back") { near.place(of: "stays") == "far" && far.place(of: "moved") == "near" }
      try far.settle()
      #expect(!near.told.contains { if case .endpoint(.changed) = $0 { true } else { false } })
      #expect(near.place(of: "moved") == "near")
      // What far withdraws late is not its own any more.
      far.cluster.withdraw("moved", network: "n1")
      try far.settle()
      #expect(try bed.keys("state/endpoints/n1/").sorted() == ["moved", "stays"])
    }
  }
}
