import Glibc
import Wire

// Theory of operation.
//
// A kernel before 6.17 does not take a segmented packet within a tunnel. It takes a segmented UDP datagram since 6.2: so one segmented
// inner frame becomes a train, one outer UDP frame with VIRTIO_NET_HDR_GSO_UDP_L4 that is cut at the border of each VXLAN datagram.
// Every datagram has all headers and a complete inner checksum, which costs one pass over the payload; the payload stays where it
// is and is gathered. The outer checksum must be partial, over IPv4 too: the kernel asks for that.
//
// An outer packet has 16 bits for its length, and an inner frame of 64 KB grows by its headers: it becomes two trains.

/// The outer frames that one segmented inner frame becomes.
@frozen
public struct DatagramTrain: ~Escapable {
  /// UDP_MAX_SEGMENTS of linux/udp.h before Linux 6.9.
  public static let datagramsMax = 64
  /// Pieces of one outer frame: headers and payload of each datagram.
  public static let piecesMax = 2 * datagramsMax
  /// Scratch memory for the headers of one outer frame.
  public static let scratchBytes =
    VirtioNetTunnelHeader.length + TunnelRemote.headersLengthMax + datagramsMax * Segmenter.headersLengthMax

  let remote: TunnelRemote
  let frame: FrameDescriptor
  let inner: InnerHeaders
  let segmenter: Segmenter
  /// Of every datagram but the last: VXLAN header, inner headers and payload, in bytes.
  let datagramLength: Int
  let datagramsPerFrame: Int
  private var position = 0

  /// nil where the frame is not segmented, or is not what its virtio-net header claims (`DropReason.vxlanUnsendable`).
  /// - Parameters:
  ///   - frame: with a 10-byte virtio-net header; it must stay as it is until all that was made of it is written.
  ///   - datagramsMax: of one outer frame, at most `datagramsMax`.
  @_lifetime(immortal)
  public init?(_ remote: TunnelRemote, _ frame: FrameDescriptor, datagramsMax: Int = Self.datagramsMax) {
    let length = Int(frame.length) &- VirtioNetHeader.length
    guard length >= EthernetView.headerLength else { return nil }
    let header = VirtioNetHeader(loadingFrom: frame.start)
    let bytes = UnsafeRawPointer(frame.start + VirtioNetHeader.length)
    inner = InnerHeaders(bytes, length: length)
    guard header.segmentation != .none, header.fits(inner),
      let segmenter = Segmenter(header, RawSpan(_unsafeStart: bytes, byteCount: length))
    else { return nil }
    let headers = segmenter.headersLength &- VirtioNetHeader.length
    datagramLength = VXLANHeader.length &+ headers &+ Int(header.segmentSize)
    // `frameLengthMax` leaves room for one VXLAN header.
    let room = remote.frameLengthMax &+ VXLANHeader.length
    datagramsPerFrame = min(datagramsMax, room / datagramLength)
    guard datagramsPerFrame > 0 else { return nil }
    self.segmenter = _overrideLifetime(segmenter, copying: ())
    (self.remote, self.frame) = (remote, frame)
  }

  /// The next outer frame: how many pieces it has, with a 24-byte virtio-net header in the first. nil: there is none.
  /// - Parameters:
  ///   - scratch: of at least `scratchBytes`; like `pieces`, to be left alone until the frame is written.
  ///   - pieces: of at least `piecesMax`.
  public mutating func next(
    scratch: UnsafeMutableRawBufferPointer, pieces: UnsafeMutableBufferPointer<iovec>
  ) -> Int? {
    precondition(scratch.count >= Self.scratchBytes && pieces.count >= Self.piecesMax)
    let count = min(datagramsPerFrame, segmenter.count &- position)
    guard count > 0 else { return nil }
    let headers = segmenter.headersLength
    let start = scratch.baseAddress!
    let outer = start + VirtioNetTunnelHeader.length
    let datagram = remote.outerTransportOffset &+ UDPView.headerLength
    // The segmenter's virtio-net header is two bytes longer than the VXLAN header that takes its place.
    let excess = VirtioNetHeader.length &- VXLANHeader.length
    var length = 0
    for index in 0..<count {
      let memory = outer + (datagram &- excess &+ index &* headers)
      segmenter.writeHeaders(
        of: position &+ index, checksum: .complete,
        to: UnsafeMutableRawBufferPointer(start: memory, count: headers))
      VXLANHeader(vni: remote.vni).store(to: memory + excess)
      let payload = segmenter.payload(of: position &+ index)
      pieces[2 &* index] = iovec(iov_base: memory + excess, iov_len: headers &- excess)
      pieces[2 &* index &+ 1] = iovec(
        iov_base: frame.start + (VirtioNetHeader.length &+ payload.lowerBound), iov_len: payload.count)
      length &+= headers &- excess &+ payload.count
    }
    writeOuterHeaders(at: outer, payloadLength: length, isSegmented: count > 1)
    pieces[0] = iovec(
      iov_base: start, iov_len: VirtioNetTunnelHeader.length &+ datagram &+ headers &- excess)
    position &+= count
    return 2 &* count
  }

  private func writeOuterHeaders(at outer: UnsafeMutableRawPointer, payloadLength: Int, isSegmented: Bool) {
    remote.writeHeaders(at: outer, inner, payloadLength: payloadLength)
    let length = UInt16(truncatingIfNeeded: UDPView.headerLength &+ payloadLength)
    remote.storeChecksum(InternetChecksum.sum(remote.pseudoHeaderSum, length), at: outer)
    let transport = UInt16(remote.outerTransportOffset)
    VirtioNetTunnelHeader(
      VirtioNetHeader(
        flags: .needsChecksum, segmentation: isSegmented ? .udp : .none,
        headerLength: isSegmented ? transport + UInt16(UDPView.headerLength) : 0,
        segmentSize: isSegmented ? UInt16(datagramLength) : 0, checksumStart: transport,
        checksumOffset: UInt16(UDPView.checksumOffset))
    ).store(to: outer - VirtioNetTunnelHeader.length)
  }
}
