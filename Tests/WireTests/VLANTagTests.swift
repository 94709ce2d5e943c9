import Testing
import Wire

@Suite struct VLANTagTests {
  /// What a packet socket of Linux 6.18 gave for the first segment of TCP behind two tags, and beside it in its
  /// PACKET_AUXDATA: TPID 88a8, TCI 00c8.
  private static let untagged = GoldenFrames.bytes(
    """
    01 00 0000 0000 2600 1000 02000000000b 02000000000a 8100 712c 0800
    45020034fffe4000400626c10a0000010a0000029c400050fffffff00000123450901000142900006162636465666768696a6162
    """)

  @Test func `goes back to where it was`() {
    let golden = GoldenSegments.all.first { $0.testDescription.hasSuffix("two tags") }!
    var memory = [UInt8](repeating: 0xEE, count: VLANTag.length) + Self.untagged
    memory.withUnsafeMutableBytes { bytes in
      let start = bytes.baseAddress! + VLANTag.length
      #expect(VLANTag(type: .serviceVLAN, control: 0x00C8).restore(toFrameAt: start) == bytes.baseAddress!)
    }
    // The header's checksum starts four bytes further on.
    #expect(memory == golden.partial[0])
  }

  @Test func `a header that names no place stays as it is`() {
    var memory = [UInt8](repeating: 0, count: VLANTag.length + VirtioNetHeader.length) + GoldenFrames.udp4
    memory.withUnsafeMutableBytes { bytes in
      _ = VLANTag(type: .vlan, control: 0xB064).restore(toFrameAt: bytes.baseAddress! + VLANTag.length)
    }
    #expect(memory == [UInt8](repeating: 0, count: VirtioNetHeader.length) + GoldenFrames.vlan)
  }
}
