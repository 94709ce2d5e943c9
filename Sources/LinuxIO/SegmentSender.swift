import CLinux
import Datapath
import Glibc
import Wire

/// Sends a segmented frame segment by segment, by sendmmsg(2): the headers of each from memory of its own, the payload from
/// where the frame lies. Fixed memory. One thread, the worker.
struct SegmentSender: ~Copyable {
  /// Segments a system call; 64 KB in segments of an Ethernet's MTU are 45.
  static let messagesMax = 64

  private let messages: UnsafeMutablePointer<mmsghdr>
  /// Two of each message: headers, payload.
  private let pieces: UnsafeMutablePointer<iovec>
  private let headers: UnsafeMutableRawPointer

  init() {
    messages = .allocate(capacity: Self.messagesMax)
    pieces = .allocate(capacity: 2 * Self.messagesMax)
    headers = .allocate(byteCount: Self.messagesMax * Segmenter.headersLengthMax, alignment: 64)
    for index in 0..<Self.messagesMax {
      var message = mmsghdr()
      message.msg_hdr.msg_iov = pieces + 2 * index
      message.msg_hdr.msg_iovlen = 2
      (messages + index).initialize(to: message)
      let piece = iovec(iov_base: headers + index * Segmenter.headersLengthMax, iov_len: 0)
      (pieces + 2 * index).initialize(to: piece)
      (pieces + 2 * index + 1).initialize(to: iovec())
    }
  }

  deinit {
    messages.deallocate()
    pieces.deallocate()
    headers.deallocate()
  }

  /// Never waits. What stands behind a segment that could not be sent is not sent either.
  /// - Returns: bytes of the frame, where all was sent, or -errno; -EINVAL: it cannot be cut.
  func send(_ frame: FrameDescriptor, to descriptor: Int32) -> Int32 {
    let header = VirtioNetHeader(loadingFrom: UnsafeRawPointer(frame.start))
    let bytes = RawSpan(
      _unsafeStart: UnsafeRawPointer(frame.start + Engine.headerLength),
      byteCount: Int(frame.length) &- Engine.headerLength)
    guard let segmenter = Segmenter(header, bytes) else { return -EINVAL }
    var next = 0
    while next < segmenter.count {
      let count = min(segmenter.count &- next, Self.messagesMax)
      for index in 0..<count { prepare(index, segmenter, segment: next &+ index, of: frame) }
      let result = sendAll(count, to: descriptor)
      if result < 0 { return result }
      next &+= count
    }
    return Int32(frame.length)
  }

  private func prepare(_ index: Int, _ segmenter: borrowing Segmenter, segment: Int, of frame: FrameDescriptor) {
    let (head, tail) = (pieces + 2 * index, pieces + (2 * index + 1))
    head.pointee.iov_len = segmenter.headersLength
    segmenter.writeHeaders(
      of: segment, checksum: .partial,
      to: UnsafeMutableRawBufferPointer(start: head.pointee.iov_base, count: segmenter.headersLength))
    let payload = segmenter.payload(of: segment)
    tail.pointee = iovec(iov_base: frame.start + (Engine.headerLength &+ payload.lowerBound), iov_len: payload.count)
  }

  private func sendAll(_ count: Int, to descriptor: Int32) -> Int32 {
    var sent = 0
    while sent < count {
      let result = sendmmsg(descriptor, messages + sent, UInt32(count &- sent), Int32(MSG_DONTWAIT))
      if result < 0 {
        if errno == EINTR { continue }
        return -errno
      }
      sent &+= Int(result)
    }
    return 0
  }
}
