import Glibc

/// Datagrams that cross to or from the kernel in one call. All memory is taken once, here.
struct MessageBatch: ~Copyable {
  /// Past this many datagrams a call, the cost of the call no longer shows.
  static let capacity = 64

  let bytesEach: Int
  private let messages: UnsafeMutablePointer<mmsghdr>
  private let vectors: UnsafeMutablePointer<iovec>
  private let memory: UnsafeMutableRawPointer

  /// - Parameter bytesEach: the longest datagram; what is longer arrives cut short.
  init(bytesEach: Int) {
    self.bytesEach = bytesEach
    messages = .allocate(capacity: Self.capacity)
    vectors = .allocate(capacity: Self.capacity)
    memory = .allocate(byteCount: Self.capacity * bytesEach, alignment: MemoryLayout<UInt64>.alignment)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: Self.capacity * bytesEach)
    for index in 0..<Self.capacity {
      (vectors + index).initialize(to: iovec(iov_base: memory + index * bytesEach, iov_len: bytesEach))
      var message = mmsghdr()
      message.msg_hdr.msg_iov = vectors + index
      message.msg_hdr.msg_iovlen = 1
      (messages + index).initialize(to: message)
    }
  }

  deinit {
    messages.deallocate()
    vectors.deallocate()
    memory.deallocate()
  }

  /// The bytes of one datagram: to fill before `send`, or as long as it was after `receive`.
  func datagram(_ index: Int, count: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: memory + index * bytesEach, count: count)
  }

  /// How long the received datagram was.
  func receivedCount(_ index: Int) -> Int { Int(messages[index].msg_len) }

  func setSendCount(_ index: Int, _ count: Int) { vectors[index].iov_len = count }

  /// Returns how many datagrams the kernel took, or -1 with `errno` set.
  func send(on descriptor: Int32, from first: Int = 0, count: Int) -> Int {
    Int(sendmmsg(descriptor, messages + first, UInt32(count), 0))
  }

  /// Sends all of them: one that the kernel refuses for want of room is tried again, so that it cannot count as lost.
  /// - Returns: `count`, or fewer where a signal ended it.
  func sendAll(on descriptor: Int32, count: Int) throws -> Int {
    var done = 0
    while done < count, !StopSignal.isRequested {
      let sent = send(on: descriptor, from: done, count: count - done)
      if sent > 0 {
        done += sent
      } else if [ENOBUFS, EAGAIN].contains(errno) {
        Pace.pause()
      } else if errno != EINTR {
        throw SystemCallError("sendmmsg")
      }
    }
    return done
  }

  /// Returns how many datagrams came, or -1 with `errno` set.
  /// - Parameter wait: block for the first one; otherwise return at once.
  func receive(on descriptor: Int32, wait: Bool) -> Int {
    let flags = wait ? Int32(MSG_WAITFORONE) : Int32(MSG_DONTWAIT)
    return Int(recvmmsg(descriptor, messages, UInt32(Self.capacity), flags, nil))
  }
}
