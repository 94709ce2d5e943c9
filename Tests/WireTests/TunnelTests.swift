import Testing
import Wire

/// Frames that are segmented inside a tunnel. The outer headers are those of VXLAN between 10.8.0.100 and 10.8.0.2 as tcpdump
/// showed them on a veth of Linux 6.18; its virtio-net header said GSO_TCPV4, with the inner segment's place.
@Suite struct TunnelTests {
  private static func segmentsInside(_ message: [UInt8]) -> Bool {
    let header = message.withUnsafeBytes { VirtioNetHeader(loadingFrom: $0.baseAddress!) }
    return header.segmentsInnerPacket(of: message.span.bytes.extracting(droppingFirst: VirtioNetHeader.length))
  }

  /// The frame of a golden in a tunnel: outer Ethernet, IPv4, UDP and VXLAN headers, 50 bytes, before it.
  private static func tunnelled(_ golden: GoldenSegments) -> [UInt8] {
    let inner = Array(golden.frame.dropFirst(VirtioNetHeader.length))
    let (datagram, packet) = (UInt16(16 + inner.count), UInt16(36 + inner.count))
    func bytes(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }
    let outer =
      GoldenFrames.bytes("0252f97a0d60 020000001064 0800 4500") + bytes(packet)
      + GoldenFrames.bytes("6735 0000 40 11 0000 0a080064 0a080002 bd84 12b5") + bytes(datagram)
      + GoldenFrames.bytes("3027 0800000000000500")
    var header = Array(golden.frame.prefix(VirtioNetHeader.length))
    header[2] += 50
    header[6] += 50
    return header + outer + inner
  }

  @Test(arguments: GoldenSegments.all) func `are told from others`(golden: GoldenSegments) {
    #expect(!Self.segmentsInside(golden.frame))
    #expect(Self.segmentsInside(Self.tunnelled(golden)))
    var unsegmented = Self.tunnelled(golden)
    unsegmented[1] = 0
    #expect(!Self.segmentsInside(unsegmented))
  }
}
