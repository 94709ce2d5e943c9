import Etcd
import Foundation
import Support
import Testing

@Suite(.enabled(if: EtcdServer.isThere, EtcdBed.skip))
struct LeaseTests {
  @Test func keysGoWithTheirLease() throws {
    try EtcdBed.run { bed in
      let client = try bed.client()
      let lease = try client.grantLease(seconds: 60)
      try client.put("/a", Data("1"), lease: lease)
      #expect(try client.range(.key("/a")).values.first?.lease == lease)
      #expect(try client.keepAlive(lease) == 60)
      try client.revokeLease(lease)
      #expect(try client.range(.key("/a")).values.isEmpty)
      try client.revokeLease(lease)
      expect(.notFound) { try client.keepAlive(lease) }
      expect(.notFound) { try client.put("/a", Data("1"), lease: lease) }
    }
  }

  @Test func aLeaseThatIsNotKeptAliveEnds() throws {
    try EtcdBed.run { bed in
      let client = try bed.client()
      let (kept, left) = (try client.grantLease(seconds: 3), try client.grantLease(seconds: 3))
      try client.put("/kept", Data(), lease: kept)
      try client.put("/left", Data(), lease: left)
      try eventually("the lease that is left ends") {
        try client.keepAlive(kept)
        return try client.range(.key("/left")).values.isEmpty
      }
      #expect(try client.range(.key("/kept")).values.count == 1)
    }
  }
}
