import CLiburing
import CLinux
import Datapath
import Glibc
import Wire

// Packet sockets are read by recvmsg, since the VLAN tag stands beside the frame, and end differently from TAPs: an interface
// that goes down reports ENETDOWN once, and the socket goes on when it is up again; one that is deleted reports the same
// (packet_notifier of net/packet/af_packet.c). So the read is armed anew, and the control plane told to have a look.
extension Worker {
  /// Submits the next read of a port, or the reads of all frames to come where the kernel can.
  mutating func armReceive(_ port: UInt16, _ message: UnsafeMutablePointer<ReceiveMessage>) {
    let submission = transmitter.uring.nextSubmission()
    ReceiveMessage.prepare(submission, message, port: port, isMultishot: isMultishot)
    submission.pointee.flags |= UInt8(MARTLET_IOSQE_FIXED_FILE | MARTLET_IOSQE_BUFFER_SELECT)
    submission.pointee.buf_group = FrameBuffers.group
    submission.pointee.user_data = Operation(.receive, port: port).rawValue
  }

  /// - Returns: the frame, in the buffer that the caller holds from here on.
  mutating func receiveCompleted(_ port: UInt16, result: Int32, flags: UInt32) -> FrameDescriptor? {
    let link = transmitter.links + Int(port)
    guard result >= 0, let message = link.pointee.message else {
      receiveFailed(port, -result)
      return nil
    }
    let buffer = UInt16(truncatingIfNeeded: flags >> UInt32(IORING_CQE_BUFFER_SHIFT))
    transmitter.buffers.take(buffer)
    guard
      let frame = ReceiveMessage.frame(
        message, in: transmitter.buffers.start(buffer), count: Int(result), isMultishot: isMultishot)
    else {
      engine.countUnseen(1, of: port, .oversize)
      transmitter.buffers.release(buffer)
      return nil
    }
    if isTunnelled(frame) {
      engine.countUnseen(1, of: port, .unsupportedOffload)
      transmitter.buffers.release(buffer)
      return nil
    }
    return FrameDescriptor(start: frame.baseAddress!, length: UInt32(frame.count), port: port, buffer: buffer)
  }

  /// A tunnel's frame that its sender left segmented (SKB_GSO_UDP_TUNNEL and the like): the kernel tells only what is inside
  /// (virtio_net_hdr_from_skb), which no receiver would understand.
  private func isTunnelled(_ frame: UnsafeMutableRawBufferPointer) -> Bool {
    guard frame.count > VirtioNetHeader.length else { return false }
    let header = VirtioNetHeader(loadingFrom: UnsafeRawPointer(frame.baseAddress!))
    return header.segmentsInnerPacket(
      of: UnsafeRawBufferPointer(frame).bytes.extracting(droppingFirst: VirtioNetHeader.length))
  }

  private mutating func receiveFailed(_ port: UInt16, _ code: Int32) {
    switch code {
    case ENOBUFS, EAGAIN, EINTR: break
    // packet_rcv_vnet() of net/packet/af_packet.c: the frame is gone, the next one comes.
    case EINVAL: engine.countUnseen(1, of: port, .unsupportedOffload)
    case ENETDOWN: reportTrouble(port)
    default: readFailed(port)
    }
  }

  /// Frames that the kernel dropped before they could be read. Once a second, and before a port goes.
  mutating func countOverruns(_ port: UInt16) {
    let frames = PacketSocket.takeOverruns(transmitter.links[Int(port)].descriptor)
    if frames > 0 { engine.countUnseen(frames, of: port, .receiveQueueFull) }
  }
}
