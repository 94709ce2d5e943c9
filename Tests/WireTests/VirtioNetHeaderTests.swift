import Testing
import Wire

@Suite struct VirtioNetHeaderTests {
  private func load(_ bytes: [UInt8], shift: Int = 0) -> VirtioNetHeader {
    let padded = [UInt8](repeating: 0, count: shift) + bytes
    return padded.withUnsafeBytes { VirtioNetHeader(loadingFrom: $0.baseAddress! + shift) }
  }

  private func store(_ header: VirtioNetHeader) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xEE, count: VirtioNetHeader.length + 1)
    bytes.withUnsafeMutableBytes { header.store(to: $0.baseAddress! + 1) }
    #expect(bytes[0] == 0xEE)
    return Array(bytes.dropFirst())
  }

  @Test func partialChecksumFromTheKernel() {
    let header = load(GoldenFrames.virtioTCP)
    #expect(
      header
        == VirtioNetHeader(flags: .needsChecksum, checksumStart: 34, checksumOffset: UInt16(TCPView.checksumOffset)))
    #expect(store(header) == Array(GoldenFrames.virtioTCP.prefix(10)))
  }

  @Test(arguments: 0..<8)
  func segmentsFromTheKernelAtAnyAlignment(shift: Int) {
    let header = load(GoldenFrames.virtioUDPSegments, shift: shift)
    #expect(
      header
        == VirtioNetHeader(
          flags: .needsChecksum, segmentation: .udp, headerLength: 42, segmentSize: 4, checksumStart: 34,
          checksumOffset: UInt16(UDPView.checksumOffset)))
    #expect(store(header) == Array(GoldenFrames.virtioUDPSegments.prefix(10)))
  }

  /// linux/virtio_net.h: VIRTIO_NET_HDR_GSO_ECN is 0x80.
  @Test func ecnStandsBesideTheKind() {
    let segmentation = VirtioNetHeader.Segmentation(rawValue: 0x81)
    #expect(segmentation.hasECN && segmentation.kind == .tcp4)
    #expect(!VirtioNetHeader.Segmentation.tcp6.hasECN)
  }

  /// Where now stands only the sum of the pseudo-header, as the kernel computed it.
  @Test func pseudoHeaderSumsOfTheKernel() {
    let addresses = (IPv4Address("10.0.0.1")!, IPv4Address("10.0.0.2")!)
    let tcp = InternetChecksum(source: addresses.0, destination: addresses.1, protocol: .tcp, length: 40)
    #expect(tcp.partial == 0x1431)
    let udp = InternetChecksum(source: addresses.0, destination: addresses.1, protocol: .udp, length: 18)
    #expect(udp.partial == 0x1426)
  }
}
