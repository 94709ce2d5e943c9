import Glibc

/// The sockets that one thread serves, each as soon as it is ready. A single one blocks in its own call: no need to ask first.
struct ReadySockets {
  private var polled: [pollfd]
  private var openCount: Int
  /// For the calls on these sockets.
  let flags: Int32

  /// - Parameter events: POLLIN or POLLOUT.
  init(_ descriptors: [Int32], for events: Int32) {
    polled = descriptors.map { pollfd(fd: $0, events: Int16(events), revents: 0) }
    openCount = descriptors.count
    flags = descriptors.count > 1 ? Int32(MSG_DONTWAIT) : 0
  }

  /// All are done.
  var isEmpty: Bool { openCount == 0 }

  /// Waits until at least one is ready, or for `Socket.callTimeout`.
  /// - Parameter body: is given the index of one that is ready; false: it is done.
  mutating func forEachReady(_ body: (Int) -> Bool) {
    if flags != 0 {
      let milliseconds = Int32(Socket.callTimeout * 1000)
      guard poll(&polled, nfds_t(polled.count), milliseconds) > 0 else { return }
    }
    for index in polled.indices where polled[index].fd >= 0 && (flags == 0 || polled[index].revents != 0) {
      if !body(index) {
        // poll(2) passes over what is negative.
        polled[index].fd = -1
        openCount -= 1
      }
    }
  }
}
