import Glibc
import Wire

// Theory of operation.
//
// The way back of a `DatagramTrain`, or what GRO made of the datagrams that came. Datagrams that hold consecutive segments of one flow
// become one segmented frame again, as GRO would make it, so that the rest of the switch and the receiver have one frame to handle
// instead of 45. Each inner checksum is verified before it is given up for a partial one.
//
// It happens in place: frames are moved to where the outer headers were, each follower's payload behind the one before. A frame's
// virtio-net header is two bytes longer than the VXLAN header that was before it: for each datagram but the first, the first
// frame begins two bytes lower, into the headroom if need be.

/// Takes the frames of many VXLAN datagrams out of one segmented UDP frame. A plain value: whoever holds the buffer owns it.
@frozen
public struct TrainSplitter: BitwiseCopyable {
  /// What comes out of a train.
  @frozen
  public enum Part: BitwiseCopyable {
    case frame(TunnelledFrame)
    case drop(DropReason)
  }

  /// Datagrams of a train that is taken.
  public static let datagramsMax = DatagramTrain.datagramsMax
  /// Bytes before the frame's virtio-net header that may be overwritten.
  public static let headroom = 2 * datagramsMax

  @usableFromInline let outer: OuterDatagram
  @usableFromInline let frame: FrameDescriptor
  @usableFromInline let datagramLength: Int
  /// What is still to be read, and where the next frame goes.
  @usableFromInline var position: UnsafeMutableRawPointer
  @usableFromInline let end: UnsafeMutableRawPointer
  @usableFromInline var place: UnsafeMutableRawPointer

  /// nil where there are too many datagrams.
  /// - Parameter memory: from the outer Ethernet header on.
  @usableFromInline
  init?(_ frame: FrameDescriptor, _ outer: OuterDatagram, at memory: UnsafeMutableRawPointer, segmentSize: UInt16) {
    let length = outer.length &- UDPView.headerLength
    datagramLength = Int(segmentSize)
    guard datagramLength > 0 else { return nil }
    let count = (length &+ datagramLength &- 1) / datagramLength
    guard count > 0, count <= Self.datagramsMax else { return nil }
    position = memory + (outer.offset &+ UDPView.headerLength)
    end = position + length
    place = position - (VirtioNetHeader.length &- VXLANHeader.length) &* count
    (self.outer, self.frame) = (outer, frame)
  }

  /// The next frame, of one or more datagrams, or why one was dropped. nil: there is none.
  ///
  /// All frames lie in the one buffer.
  public mutating func next() -> Part? {
    guard position < end else { return nil }
    let length = min(datagramLength, end - position)
    let datagram = position
    position += length
    guard length >= VXLANHeader.length &+ EthernetView.headerLength,
      let tunnel = VXLANHeader(loadingFrom: UnsafeRawPointer(datagram))
    else { return .drop(.vxlanMalformed) }
    let memory = datagram + VXLANHeader.length
    var frameLength = length &- VXLANHeader.length
    let headers = InnerHeaders(memory, length: frameLength)
    guard TunnelIngress.combineCongestion(headers, at: memory, outer: outer.trafficClass) else {
      return .drop(.ecnIllegal)
    }
    let inner = place + VirtioNetHeader.length
    memmove(inner, memory, frameLength)
    var header = VirtioNetHeader()
    if let first = InnerSegment(inner, length: frameLength), !first.isLast {
      let (joined, count) = join(first, vni: tunnel.vni)
      if count > 1 {
        header = joined.writeJoinedHeaders()
        frameLength = joined.payloadOffset &+ joined.payloadLength
      }
    }
    header.store(to: place)
    let result = FrameDescriptor(
      start: place, length: UInt32(truncatingIfNeeded: VirtioNetHeader.length &+ frameLength), port: frame.port,
      buffer: frame.buffer)
    place += VirtioNetHeader.length &+ frameLength
    return .frame(
      TunnelledFrame(vni: tunnel.vni, source: outer.source, destination: outer.destination, frame: result))
  }

  /// Moves the payloads that go on where `first` ends behind it.
  private mutating func join(_ first: InnerSegment, vni: UInt32) -> (InnerSegment, count: Int) {
    var joined = first
    var count = 1
    while position < end {
      let length = min(datagramLength, end - position)
      guard length >= VXLANHeader.length &+ EthernetView.headerLength,
        VXLANHeader(loadingFrom: UnsafeRawPointer(position))?.vni == vni
      else { break }
      let memory = position + VXLANHeader.length
      let frameLength = length &- VXLANHeader.length
      // Done once more where it does not join: twice is as once.
      guard
        TunnelIngress.combineCongestion(
          InnerHeaders(memory, length: frameLength), at: memory, outer: outer.trafficClass),
        let next = InnerSegment(memory, length: frameLength),
        joined.isContinued(by: next, index: count, segmentSize: first.payloadLength)
      else { break }
      memmove(
        joined.memory + (joined.payloadOffset &+ joined.payloadLength), next.memory + next.payloadOffset,
        next.payloadLength)
      joined.append(next)
      position += length
      count &+= 1
      if next.isLast || next.payloadLength < first.payloadLength { break }
    }
    joined.segmentSize = first.payloadLength
    return (joined, count)
  }
}
