import CLiburing
import CLinux
import Glibc
import Wire

/// What recvmsg(2) is told for the reads of one packet socket, and where it puts what stands beside the frame. At one place in
/// memory as long as the socket is read: the kernel knows its address.
///
/// A multishot recvmsg puts both into the frame's buffer: `io_uring_recvmsg_out`, the control message, then the frame. A
/// single one has the frame alone there.
struct ReceiveMessage: BitwiseCopyable {
  /// Of the control message, PACKET_AUXDATA. `control` is as long.
  private static let controlLength = martlet_packet_control_size()
  /// Bytes before the frame where the read is a multishot.
  private static let prefixLength = MemoryLayout<io_uring_recvmsg_out>.size + controlLength

  private var header = msghdr()
  private var piece = iovec()
  private var control: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)

  static func make() -> UnsafeMutablePointer<ReceiveMessage> {
    precondition(MemoryLayout.size(ofValue: ReceiveMessage().control) == controlLength)
    let message = UnsafeMutablePointer<ReceiveMessage>.allocate(capacity: 1)
    message.initialize(to: ReceiveMessage())
    return message
  }

  /// Makes a submission of the next read. The buffer is for the kernel to choose.
  static func prepare(
    _ submission: UnsafeMutablePointer<io_uring_sqe>, _ message: UnsafeMutablePointer<ReceiveMessage>, port: UInt16,
    isMultishot: Bool
  ) {
    message.pointee.piece = iovec(iov_base: nil, iov_len: FrameBuffers.stride - FrameBuffers.headroom)
    message.pointee.header.msg_iov = message.pointer(to: \.piece)
    message.pointee.header.msg_iovlen = 1
    message.pointee.header.msg_control = UnsafeMutableRawPointer(message.pointer(to: \.control))
    message.pointee.header.msg_controllen = controlLength
    io_uring_prep_recvmsg(submission, Int32(port), message.pointer(to: \.header), 0)
    if isMultishot { submission.pointee.ioprio |= UInt16(IORING_RECV_MULTISHOT) }
  }

  /// The frame that was read, from its virtio-net header on, whole with its VLAN tag; nil where it was longer than a buffer.
  /// - Parameters:
  ///   - buffer: where the kernel was told to put it, with room for a tag before.
  ///   - count: bytes that the kernel put there.
  static func frame(
    _ message: UnsafeMutablePointer<ReceiveMessage>, in buffer: UnsafeMutableRawPointer, count: Int, isMultishot: Bool
  ) -> UnsafeMutableRawBufferPointer? {
    let flags: UInt32
    let auxiliary: UnsafePointer<tpacket_auxdata>?
    var start = buffer
    if isMultishot {
      guard count >= prefixLength else { return nil }
      let out = buffer.load(as: io_uring_recvmsg_out.self)
      flags = out.flags
      auxiliary = martlet_packet_auxdata(
        buffer + MemoryLayout<io_uring_recvmsg_out>.size, min(Int(out.controllen), controlLength))
      start += prefixLength
    } else {
      flags = UInt32(bitPattern: message.pointee.header.msg_flags)
      auxiliary = martlet_packet_auxdata(message.pointer(to: \.control), message.pointee.header.msg_controllen)
    }
    guard flags & UInt32(MSG_TRUNC) == 0 else { return nil }
    let end = buffer + count
    if let tag = auxiliary.flatMap({ VLANTag($0.pointee) }), end - start >= VirtioNetHeader.length + 12 {
      start = tag.restore(toFrameAt: start)
    }
    return UnsafeMutableRawBufferPointer(start: start, count: end - start)
  }
}

extension VLANTag {
  /// nil where the frame had none.
  fileprivate init?(_ auxiliary: tpacket_auxdata) {
    guard auxiliary.tp_status & UInt32(TP_STATUS_VLAN_VALID) != 0 else { return nil }
    let hasType = auxiliary.tp_status & UInt32(TP_STATUS_VLAN_TPID_VALID) != 0
    self.init(type: hasType ? EtherType(rawValue: auxiliary.tp_vlan_tpid) : .vlan, control: auxiliary.tp_vlan_tci)
  }
}
