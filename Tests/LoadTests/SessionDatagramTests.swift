import Testing

@testable import martlet_load

@Suite struct SessionDatagramTests {
  private static let target = (address: UInt32(0xCB00_7109), port: UInt16(7001))  // 203.0.113.9
  private static let firstSource: UInt32 = 0xC612_0001  // 198.18.0.1

  private func datagram(payload: Int) -> SessionDatagram {
    SessionDatagram(
      destination: Self.target.address, port: Self.target.port, firstSource: Self.firstSource, payload: payload)
  }

  /// Of Linux 6.18, which sent the same from a socket bound to the source, checksum offload off; but for the checksum of the IP
  /// header, which is the kernel's in our case too.
  @Test func isWhatTheKernelSends() {
    let golden: [UInt8] = [
      0x45, 0x00, 0x00, 0x2e, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x00, 0x00, 0xc6, 0x12, 0x00, 0x01,
      0xcb, 0x00, 0x71, 0x09, 0x4e, 0x20, 0x1b, 0x59, 0x00, 0x1a, 0x94, 0x23,
    ]
    #expect(bytes(of: datagram(payload: 18), source: 0) == golden + [UInt8](repeating: 0, count: 18))
  }

  /// From 198.18.0.2, port 20001, "abc".
  @Test func sumsAnOddNumberOfBytes() {
    let bytes = bytes(of: datagram(payload: 3), source: SessionDatagram.portsEach + 1, payload: [0x61, 0x62, 0x63])
    #expect(bytes[12..<16] == [0xc6, 0x12, 0x00, 0x02])
    #expect(bytes[20..<28] == [0x4e, 0x21, 0x1b, 0x59, 0x00, 0x0b, 0xcf, 0xdc])
  }

  @Test(arguments: [1, 2, 1000, 99_999, 262_144, 1_000_000])
  func eachSourceIsUsedOnceInARound(_ count: Int) {
    #expect(Set((0..<count).map { SessionDatagram.scattered(UInt64($0), among: count) }).count == count)
  }

  private func bytes(of datagram: SessionDatagram, source: Int, payload: [UInt8] = []) -> [UInt8] {
    var packet = [UInt8](repeating: 0, count: datagram.count)
    packet.withUnsafeMutableBytes { bytes in
      for (offset, byte) in payload.enumerated() { bytes[bytes.count - payload.count + offset] = byte }
      datagram.write(source: source, into: bytes)
    }
    return packet
  }
}
