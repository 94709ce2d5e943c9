import CLibbpf
import Glibc
import SystemCalls
import Testing
import Wire

@testable import UplinkFilter

/// What becomes of a frame.
enum Verdict: Equatable {
  /// Passed on to the host's stack alone.
  case host
  /// Given to the packet socket alone.
  case ours
  case both
}

/// Whom the kernel takes a frame for (pkt_type). The test's device is the loopback interface, whose address is zero.
enum Recipient {
  /// As the frame says: another host, as no golden frame is for 00:00:00:00:00:00, or a group.
  case asItStands
  /// The interface itself, unless the frame is for a group.
  case itself
}

extension UplinkFilter {
  /// Runs both programs on the frame, in the order in which the kernel does (BPF_PROG_TEST_RUN).
  borrowing func verdict(_ frame: Frame, for recipient: Recipient = .itself) throws -> Verdict {
    var frame = frame
    if recipient == .itself, frame.bytes[0] & 1 == 0 { frame = frame.with(0, 0, 0, 0, 0, 0, at: 0) }
    // The kernel takes an Ethernet header off before it runs a socket's filter; a packet socket puts it back (packet_rcv).
    let (length, _) = try run(object.program("uplink_socket"), frame.bytes.prefix(14) + frame.bytes)
    let (action, _) = try run(object.program("uplink_ingress"), frame.bytes)
    switch (length, Int32(bitPattern: action)) {
    // tcx's "next" and the classifier's "unspecified" are one number.
    case (0, -1): return .host
    case (.max, -1): return .both
    case (.max, actionShot): return .ours
    default: throw Contradiction(length: length, action: action)
    }
  }

  /// What the program returned, and how long a run took.
  borrowing func run(
    _ program: Int32, _ bytes: [UInt8], repeating count: Int32 = 1
  ) throws -> (UInt32, nanoseconds: UInt32) {
    try bytes.withUnsafeBytes { bytes in
      var options = bpf_test_run_opts()
      options.sz = sizeThrough(\bpf_test_run_opts.duration)
      options.data_in = bytes.baseAddress
      options.data_size_in = UInt32(bytes.count)
      options.repeat = count
      _ = try check(bpf_prog_test_run_opts(program, &options), "run a BPF program on \(bytes.count) bytes")
      return (options.retval, options.duration)
    }
  }
}

/// TC_ACT_SHOT of linux/pkt_cls.h, which cannot stand beside glibc's headers.
private let actionShot: Int32 = 2

/// The socket's filter and the ingress program do not agree.
struct Contradiction: Error {
  let length: UInt32
  let action: UInt32
}

/// The external addresses of the tests.
let externalSlot = 3
let externalSlot6 = 9
let external = IPAddress("192.0.2.1")!
let external6 = IPAddress("2001:db8::1")!

/// A filter with the external addresses that the golden frames are for.
func makeFilter() throws -> UplinkFilter {
  let filter = try UplinkFilter()
  try filter.setAddress(external, slot: externalSlot)
  try filter.setAddress(external6, slot: externalSlot6)
  return filter
}
