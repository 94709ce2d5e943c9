import Tables
import Testing

@Suite struct PortClaimsTests {
  /// Runs `body` with claims in memory with guards at both ends, which must stay as they are.
  private func withClaims(_ body: (PortClaims, UnsafeRawBufferPointer) -> Void) {
    let guardSize = 64
    let all = UnsafeMutableRawBufferPointer.allocate(byteCount: PortClaims.byteCount + 2 * guardSize, alignment: 8)
    defer { all.deallocate() }
    all.initializeMemory(as: UInt8.self, repeating: 0)
    let own = UnsafeMutableRawBufferPointer(rebasing: all[guardSize..<(guardSize + PortClaims.byteCount)])
    body(PortClaims(memory: own.baseAddress!), UnsafeRawBufferPointer(own))
    #expect(all[..<guardSize].allSatisfy { $0 == 0 })
    #expect(all[(guardSize + PortClaims.byteCount)...].allSatisfy { $0 == 0 })
  }

  /// Slot 5, UDP is plane 5 * 3 + 1 = 16; port 8083 = 8 * 1010 + 3.
  @Test func bitStandsWhereTheProgramLooks() {
    withClaims { claims, bytes in
      claims.set(slot: 5, plane: .udp, port: 8083)
      #expect(bytes.firstIndex { $0 != 0 } == 16 * 8192 + 1010)
      #expect(bytes[16 * 8192 + 1010] == 0b1000)
      #expect(bytes.count { $0 != 0 } == 1)
    }
    #expect(PortClaims.byteCount == 393_216)
  }

  @Test(arguments: [(0, PortClaims.Plane.tcp, UInt16(0)), (15, .query, .max), (7, .udp, 0x1234)])
  func oneBitIsSetAndCleared(slot: Int, plane: PortClaims.Plane, port: UInt16) {
    withClaims { claims, bytes in
      #expect(!claims.isSet(slot: slot, plane: plane, port: port))
      claims.set(slot: slot, plane: plane, port: port)
      claims.set(slot: slot, plane: plane, port: port)
      #expect(claims.isSet(slot: slot, plane: plane, port: port))
      #expect(bytes.reduce(0) { $0 + $1.nonzeroBitCount } == 1)
      let neighbour = port ^ 1
      claims.set(slot: slot, plane: plane, port: neighbour)
      claims.clear(slot: slot, plane: plane, port: port)
      #expect(!claims.isSet(slot: slot, plane: plane, port: port))
      #expect(claims.isSet(slot: slot, plane: plane, port: neighbour))
    }
  }

  @Test func clearingASlotLeavesItsNeighbours() {
    withClaims { claims, bytes in
      for slot in 3...5 {
        for plane in PortClaims.Plane.allCases {
          for port: UInt16 in [0, 1, 80, .max] { claims.set(slot: slot, plane: plane, port: port) }
        }
      }
      claims.clear(slot: 4)
      #expect(bytes.reduce(0) { $0 + $1.nonzeroBitCount } == 24)
      #expect(!claims.isSet(slot: 4, plane: .query, port: .max))
      #expect(claims.isSet(slot: 3, plane: .query, port: .max) && claims.isSet(slot: 5, plane: .tcp, port: 0))
    }
  }

  @Test func ownMemoryBeginsClear() {
    let claims = PortClaims()
    defer { claims.deallocate() }
    #expect((0...UInt16.max).allSatisfy { !claims.isSet(slot: 15, plane: .tcp, port: $0) })
  }
}
