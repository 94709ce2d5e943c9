import Testing
import Wire

@Suite struct VXLANTests {
  /// RFC 7348, figure 1, with VNI 0x123456; the kernel's vxlan sends the same.
  @Test func `a header is written as the RFC draws it, at any alignment`() {
    for shift in 0..<8 {
      var bytes = [UInt8](repeating: 0xEE, count: shift + 9)
      bytes.withUnsafeMutableBytes { VXLANHeader(vni: 0x12_3456).store(to: $0.baseAddress! + shift) }
      #expect(Array(bytes[shift...]) == [0x08, 0, 0, 0, 0x12, 0x34, 0x56, 0, 0xEE])
    }
  }

  @Test(arguments: [0, 1, 0x12_3456, VXLANHeader.vniMax]) func `the VNI is read`(vni: UInt32) {
    var bytes = [UInt8](repeating: 0, count: 8)
    bytes.withUnsafeMutableBytes { VXLANHeader(vni: vni).store(to: $0.baseAddress!) }
    #expect(bytes.withUnsafeBytes { VXLANHeader(loadingFrom: $0.baseAddress!) }?.vni == vni)
  }

  @Test func `reserved bits are ignored, the I flag is not`() {
    let reserved: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 7, 0xFF]
    #expect(reserved.withUnsafeBytes { VXLANHeader(loadingFrom: $0.baseAddress!) }?.vni == 7)
    let none: [UInt8] = [0xF7, 0xFF, 0xFF, 0xFF, 0, 0, 7, 0]
    #expect(none.withUnsafeBytes { VXLANHeader(loadingFrom: $0.baseAddress!) } == nil)
  }

  /// From a TAP of Linux 6.18 with TUN_F_UDP_TUNNEL_GSO: TCP over IPv4, segmented, in VXLAN over IPv6 with checksums.
  @Test(arguments: 0..<4) func `a tunnelled segmentation from the kernel`(shift: Int) {
    let golden = GoldenFrames.bytes("094194000800680010000000000000000000000036005400")
    let padded = [UInt8](repeating: 0, count: shift) + golden
    let header = padded.withUnsafeBytes { VirtioNetTunnelHeader(loadingFrom: $0.baseAddress! + shift) }
    let base = VirtioNetHeader(
      flags: [.needsChecksum, .tunnelChecksum], segmentation: VirtioNetHeader.Segmentation.tcp4.tunnelled(isIPv6: true),
      headerLength: 148, segmentSize: 8, checksumStart: 104, checksumOffset: 16)
    #expect(header == VirtioNetTunnelHeader(base, outerTransportOffset: 54, innerNetworkOffset: 84))
    #expect(header.base.segmentation.isTunnelled && header.base.segmentation.withoutTunnel == .tcp4)
    var stored = [UInt8](repeating: 0xEE, count: shift + 25)
    stored.withUnsafeMutableBytes { header.store(to: $0.baseAddress! + shift) }
    #expect(Array(stored[shift...]) == golden + [0xEE])
  }

  @Test func `the kind of a tunnel stands beside the inner kind`() {
    #expect(VirtioNetHeader.Segmentation.udp.tunnelled(isIPv6: false).rawValue == 0x25)
    let ecn = VirtioNetHeader.Segmentation(rawValue: 0x81)
    #expect(ecn.tunnelled(isIPv6: false).rawValue == 0xA1 && ecn.tunnelled(isIPv6: false).withoutTunnel == ecn)
    #expect(!ecn.isTunnelled)
  }
}

@Suite struct ExplicitCongestionNotificationTests {
  /// RFC 6040, figure 4; columns: Not-ECT, ECT(0), ECT(1), CE.
  @Test func `figure 4 of RFC 6040`() {
    typealias Field = ExplicitCongestionNotification
    let (not, zero, one, ce) = (Field.notCapable, Field.capable0, Field.capable1, Field.experienced)
    let columns = [not, zero, one, ce]
    let figure: [(Field, [Field?])] = [
      (not, [not, not, not, nil]), (zero, [zero, zero, one, ce]), (one, [one, one, one, ce]), (ce, [ce, ce, ce, ce]),
    ]
    for (inner, row) in figure {
      #expect(columns.map { inner.leavingTunnel(outer: $0) } == row, "inner \(inner)")
    }
  }

  /// Values as RFC 3168, 5 has them.
  @Test func `two bits`() {
    typealias Field = ExplicitCongestionNotification
    #expect([Field.notCapable, .capable1, .capable0, .experienced].map(\.rawValue) == [0, 1, 2, 3])
    #expect(Field(rawValue: 0xFE) == .capable0)
  }

  @Test(arguments: 0..<4) func `IPv4's checksum stays right`(bits: UInt8) {
    for trafficClass in UInt8.min...UInt8.max {
      var header = GoldenFrames.bytes("4500003412344000 3f110000 0a000001 0a000002")
      header[1] = trafficClass
      var sum = InternetChecksum()
      sum.add(header.span.bytes)
      (header[10], header[11]) = (UInt8(sum.value >> 8), UInt8(truncatingIfNeeded: sum.value))
      header.withUnsafeMutableBytes {
        ExplicitCongestionNotification(rawValue: bits).store(toIPv4Header: $0.baseAddress!)
      }
      #expect(header[1] == trafficClass & 0xFC | bits && InternetChecksum.isValid(header.span.bytes))
    }
  }

  @Test func `IPv6's field lies across two bytes`() {
    var header = GoldenFrames.bytes("6ab54321")
    header.withUnsafeMutableBytes { ExplicitCongestionNotification.experienced.store(toIPv6Header: $0.baseAddress!) }
    #expect(header == GoldenFrames.bytes("6ab54321").enumerated().map { $0 == 1 ? 0xB5 : $1 })
    header.withUnsafeMutableBytes { ExplicitCongestionNotification.capable0.store(toIPv6Header: $0.baseAddress!) }
    #expect(header[1] == 0xA5)
  }
}
