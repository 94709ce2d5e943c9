import CLinux
import Glibc

/// What the doctor knows of a machine. Facts only: `Diagnosis` says what they mean.
struct Machine {
  /// As `uname -r`.
  var kernelRelease: String
  /// 0, or why /dev/net/tun cannot be opened (errno).
  var tun: Int32
  /// 0, or why a TAP with an offload cannot be made (errno), by what it is for.
  var tap: Int32
  var tapUSO: Int32
  /// 0, or why an io_uring as the workers use it cannot be made (errno).
  var uring: Int32
  var uringMultishotRead: Bool
  /// The sysctl kernel.io_uring_disabled; nil where the kernel has none (before 6.6).
  var uringDisabled: Int?
  /// The effective capabilities, by number (linux/capability.h).
  var capabilities: UInt64
  /// The hard limit, to which the daemon raises its own.
  var descriptorsMax: UInt64
  /// The soft limit, which stays.
  var lockedBytesMax: UInt64
  /// 0, or why no namespace can be named there (errno).
  var netnsDirectory: Int32

  static let netnsPath = "/run/netns"
}

extension Machine {
  /// The machine we run on. Leaves no trace.
  static func probed() -> Machine {
    let checksum = UInt32(MARTLET_TUN_F_CSUM)
    let segmentation = checksum | UInt32(MARTLET_TUN_F_TSO4 | MARTLET_TUN_F_TSO6)
    let datagrams = UInt32(MARTLET_TUN_F_USO4 | MARTLET_TUN_F_USO6)
    return Machine(
      kernelRelease: contents(of: "/proc/sys/kernel/osrelease") ?? "",
      tun: -martlet_doctor_tun(),
      tap: -martlet_doctor_tap(segmentation),
      tapUSO: -martlet_doctor_tap(segmentation | datagrams),
      uring: -martlet_doctor_uring(),
      uringMultishotRead: martlet_doctor_uring_operation(Int32(MARTLET_IORING_OP_READ_MULTISHOT)) == 1,
      uringDisabled: contents(of: "/proc/sys/kernel/io_uring_disabled").flatMap { Int($0) },
      capabilities: effectiveCapabilities(),
      descriptorsMax: UInt64(limit(RLIMIT_NOFILE).rlim_max),
      lockedBytesMax: UInt64(limit(__RLIMIT_MEMLOCK).rlim_cur),
      netnsDirectory: namespaceDirectory())
  }

  /// Where `/run/netns` is missing it will be made, so that `/run` must let us.
  private static func namespaceDirectory() -> Int32 {
    if access(netnsPath, F_OK) == 0 { return access(netnsPath, W_OK | X_OK) == 0 ? 0 : errno }
    return access("/run", W_OK | X_OK) == 0 ? 0 : errno
  }

  private static func limit(_ resource: __rlimit_resource) -> rlimit {
    var limit = rlimit()
    // Fails for an unknown resource only.
    getrlimit(resource, &limit)
    return limit
  }

  private static func effectiveCapabilities() -> UInt64 {
    let field = "CapEff:\t"
    let lines = (contents(of: "/proc/self/status") ?? "").split(separator: "\n")
    return lines.first { $0.hasPrefix(field) }.flatMap { UInt64($0.dropFirst(field.count), radix: 16) } ?? 0
  }

  /// The first page of a file in /proc, without its last line break.
  private static func contents(of path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = read(descriptor, &bytes, bytes.count)
    guard count > 0 else { return nil }
    let text = String(decoding: bytes[..<count], as: UTF8.self)
    return text.hasSuffix("\n") ? String(text.dropLast()) : text
  }
}
