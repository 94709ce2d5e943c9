import CLiburing
import CLinux
import Glibc
import SystemCalls

/// One io_uring (io_uring(7), liburing). Made and used by one thread: IORING_SETUP_SINGLE_ISSUER.
struct IOUring: ~Copyable {
  /// On the heap: the kernel's and liburing's pointers into it must not move.
  let ring: UnsafeMutablePointer<io_uring>

  /// - Parameters:
  ///   - entries: submissions that fit before a system call is due.
  ///   - completions: completions that fit before the kernel has to keep them aside.
  init(entries: UInt32, completions: UInt32) throws(Errno) {
    ring = .allocate(capacity: 1)
    ring.initialize(to: io_uring())
    let base = UInt32(IORING_SETUP_CQSIZE)
    // Linux 6.1 has all; 6.0 no DEFER_TASKRUN; before that, completions come by interrupting the thread.
    let attempts = [
      base | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, base | IORING_SETUP_COOP_TASKRUN, base,
    ]
    var result: Int32 = 0
    for flags in attempts {
      var parameters = io_uring_params()
      parameters.flags = flags
      parameters.cq_entries = completions
      result = io_uring_queue_init_params(entries, ring, &parameters)
      if result != -EINVAL { break }
    }
    guard result == 0 else {
      ring.deallocate()
      throw Errno(-result, "set up io_uring")
    }
  }

  deinit {
    io_uring_queue_exit(ring)
    ring.deallocate()
  }

  /// The next submission, zeroed but for what `prepare` functions set. Submits what is there when the queue is full.
  @inline(__always)
  borrowing func nextSubmission() -> UnsafeMutablePointer<io_uring_sqe> {
    while true {
      if let submission = io_uring_get_sqe(ring) { return submission }
      _ = io_uring_submit(ring)
    }
  }

  /// Reserves a table of `count` descriptors that operations name by index: a lookup and a reference less each time.
  borrowing func registerDescriptorTable(count: Int) throws(Errno) {
    _ = try check(io_uring_register_files_sparse(ring, UInt32(count)), "reserve \(count) io_uring descriptors")
  }

  /// -1 empties the entry.
  borrowing func setDescriptor(_ index: Int, _ descriptor: Int32) throws(Errno) {
    var value = descriptor
    _ = try check(io_uring_register_files_update(ring, UInt32(index), &value, 1), "register a descriptor with io_uring")
  }

  /// The kernel knows the operation.
  borrowing func supports(_ operation: Int32) -> Bool {
    guard let probe = io_uring_get_probe_ring(ring) else { return false }
    defer { io_uring_free_probe(probe) }
    return io_uring_opcode_supported(probe, operation) != 0
  }

  @inline(__always)
  borrowing func submit() -> Int32 { io_uring_submit(ring) }

  /// Submits, and lets the kernel post what has completed.
  @inline(__always)
  borrowing func submitAndCollect() -> Int32 { io_uring_submit_and_get_events(ring) }

  /// Submits, and sleeps until there is a completion.
  @inline(__always)
  borrowing func submitAndWait() -> Int32 { io_uring_submit_and_wait(ring, 1) }

  @inline(__always)
  borrowing func completionsReady() -> Bool { io_uring_cq_ready(ring) != 0 }
}
