import Testing
import Wire

@testable import Datapath

@Suite struct SegmentationOffloadsTests {
  /// A frame of that kind, of `length` bytes from the Ethernet header on.
  private static func takes(
    _ offloads: SegmentationOffloads, _ segmentation: VirtioNetHeader.Segmentation, length: Int = 3000,
    type: [UInt8] = [0x08, 0x00]
  ) -> Bool {
    var bytes = [UInt8](repeating: 0, count: Engine.headerLength + length)
    if length >= 14 { bytes.replaceSubrange(22..<24, with: type) }
    return bytes.withUnsafeMutableBytes { memory in
      VirtioNetHeader(segmentation: segmentation).store(to: memory.baseAddress!)
      return offloads.takes(
        FrameDescriptor(start: memory.baseAddress!, length: UInt32(memory.count), port: 0, buffer: 0))
    }
  }

  private static func offloads(_ kinds: SegmentationOffloads.Kinds, takesTagged: Bool = false) -> SegmentationOffloads {
    SegmentationOffloads(kinds: kinds, frameBytesMax: 65535, takesTagged: takesTagged)
  }

  @Test func `each kind needs its own`() {
    for (segmentation, kind) in [
      (VirtioNetHeader.Segmentation.tcp4, SegmentationOffloads.Kinds.tcp4), (.tcp6, .tcp6), (.udp, .udp),
    ] {
      #expect(Self.takes(Self.offloads(kind), segmentation))
      #expect(!Self.takes(Self.offloads(SegmentationOffloads.all.kinds.subtracting(kind)), segmentation))
    }
    let congested = VirtioNetHeader.Segmentation(rawValue: 0x81)
    #expect(!Self.takes(Self.offloads(.tcp4), congested))
    #expect(Self.takes(Self.offloads([.tcp4, .tcpECN]), congested))
  }

  @Test func `a frame that is not segmented is always taken`() {
    for length in [0, 60, 9000] { #expect(Self.takes(Self.offloads([]), .none, length: length)) }
  }

  @Test func `what is too long, tagged, or of no known kind is not taken`() {
    #expect(Self.takes(Self.offloads(.tcp4), .tcp4, length: 65535))
    #expect(!Self.takes(Self.offloads(.tcp4), .tcp4, length: 65536))
    for type in [[0x81, 0x00], [0x88, 0xA8]] as [[UInt8]] {
      #expect(!Self.takes(Self.offloads(.tcp4), .tcp4, type: type))
      #expect(Self.takes(Self.offloads(.tcp4, takesTagged: true), .tcp4, type: type))
    }
    #expect(!Self.takes(.all, .udpFragments))
    #expect(!Self.takes(.all, .tcp4, length: 13))
  }

  @Test func `gathered datagrams need USO for the longest of them`() {
    #expect(Self.offloads(.udp).takesGatheredUDP && SegmentationOffloads.all.takesGatheredUDP)
    #expect(!Self.offloads([.tcp4, .tcp6]).takesGatheredUDP)
    #expect(!SegmentationOffloads(kinds: .udp, frameBytesMax: 64_061, takesTagged: false).takesGatheredUDP)
  }
}
