import Glibc

/// What a machine's facts mean for Martlet: one check a thing it needs.
struct Diagnosis: Encodable {
  enum Level: String, Encodable {
    case ok
    /// Martlet works, but not as well as it could.
    case warning
    /// Martlet does not work.
    case error
  }

  struct Check: Encodable, Equatable {
    var name: String
    var level: Level
    var finding: String
    /// What to do about it; absent where all is well.
    var mend: String?
  }

  var checks: [Check]

  var hasError: Bool { checks.contains { $0.level == .error } }

  init(of machine: Machine) {
    checks = [
      Self.kernel(machine), Self.tun(machine), Self.tap(machine), Self.uring(machine), Self.multishotRead(machine),
      Self.capability("CAP_NET_ADMIN", 12, "make interfaces", machine),
      Self.capability("CAP_SYS_ADMIN", 21, "enter network namespaces", machine),
      Self.descriptors(machine), Self.namespaces(machine), Self.lockedMemory(machine),
    ]
  }
}

extension Diagnosis {
  /// io_uring's DEFER_TASKRUN, which the workers are built on, came with it.
  private static let kernelMin = (major: 6, minor: 1)
  /// For the switch itself and the daemon's clients; each endpoint takes one more.
  private static let descriptorsReserved: UInt64 = 256
  private static let descriptorsAmple: UInt64 = 1024
  private static let capabilityIPCLock: UInt64 = 14
  /// Of each worker's ring and buffers, where the kernel counts them at all.
  private static let lockedBytesAmple: UInt64 = 8 << 20

  private static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }

  private static func kernel(_ machine: Machine) -> Check {
    let numbers = machine.kernelRelease.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
    let release = "Linux \(machine.kernelRelease)"
    guard numbers.count == 2 else {
      return Check(
        name: "kernel", level: .warning, finding: "\(release): cannot tell its version",
        mend: "see that it is 6.1 or newer")
    }
    guard (numbers[0], numbers[1]) >= kernelMin else {
      return Check(
        name: "kernel", level: .error, finding: "\(release) is older than 6.1", mend: "boot a kernel 6.1 or newer")
    }
    return Check(name: "kernel", level: .ok, finding: release)
  }

  private static func tun(_ machine: Machine) -> Check {
    switch machine.tun {
    case 0: return Check(name: "tun", level: .ok, finding: "/dev/net/tun opens")
    case ENOENT, ENODEV, ENXIO:
      return Check(
        name: "tun", level: .error, finding: "/dev/net/tun: \(reason(machine.tun))",
        mend: "modprobe tun; in a container, pass the device in: --device /dev/net/tun")
    default:
      return Check(
        name: "tun", level: .error, finding: "/dev/net/tun: \(reason(machine.tun))",
        mend: "run as root; in a container, allow the device: --device /dev/net/tun")
    }
  }

  private static func tap(_ machine: Machine) -> Check {
    guard machine.tap == 0 else {
      return Check(
        name: "tap", level: .error, finding: "cannot make a TAP in a network namespace: \(reason(machine.tap))",
        mend: "run as root, with CAP_NET_ADMIN and CAP_SYS_ADMIN")
    }
    guard machine.tapUSO == 0 else {
      return Check(
        name: "tap", level: .warning,
        finding: "TAPs carry large TCP frames, but no large UDP ones: \(reason(machine.tapUSO))",
        mend: "boot a kernel 6.2 or newer for faster UDP")
    }
    return Check(name: "tap", level: .ok, finding: "TAPs carry large TCP and UDP frames")
  }

  private static func uring(_ machine: Machine) -> Check {
    func failed(_ mend: String) -> Check {
      Check(name: "io_uring", level: .error, finding: "cannot be used: \(reason(machine.uring))", mend: mend)
    }
    switch machine.uring {
    case 0: return Check(name: "io_uring", level: .ok, finding: "can be used")
    case ENOSYS:
      return failed("boot a kernel with CONFIG_IO_URING; in a container, let its seccomp profile pass io_uring")
    case EPERM where machine.uringDisabled ?? 0 > 0: return failed("sysctl -w kernel.io_uring_disabled=0")
    case EPERM: return failed("in a container, let its seccomp profile pass io_uring")
    case EINVAL: return failed("boot a kernel 6.1 or newer")
    case ENOMEM: return failed("raise the limit of locked memory: ulimit -l unlimited, or LimitMEMLOCK=infinity")
    default: return failed("see io_uring_setup(2)")
    }
  }

  private static func multishotRead(_ machine: Machine) -> Check {
    machine.uringMultishotRead
      ? Check(name: "multishot read", level: .ok, finding: "the kernel has it")
      : Check(
        name: "multishot read", level: .warning, finding: "the kernel lacks it: a system call more for each read",
        mend: "boot a kernel 6.7 or newer")
  }

  private static func capability(_ name: String, _ number: UInt64, _ use: String, _ machine: Machine) -> Check {
    machine.capabilities >> number & 1 == 1
      ? Check(name: name, level: .ok, finding: "held")
      : Check(
        name: name, level: .error, finding: "missing: cannot \(use)",
        mend: "run as root; in a container, --cap-add \(name.dropFirst("CAP_".count))")
  }

  private static func descriptors(_ machine: Machine) -> Check {
    let limit = machine.descriptorsMax
    let room = limit > descriptorsReserved ? limit - descriptorsReserved : 0
    let finding = "\(limit) allowed: room for about \(room) endpoints"
    let mend = "raise the hard limit: ulimit -Hn 65536, or LimitNOFILE=65536"
    if room == 0 { return Check(name: "file descriptors", level: .error, finding: finding, mend: mend) }
    if limit < descriptorsAmple {
      return Check(name: "file descriptors", level: .warning, finding: finding, mend: mend)
    }
    return Check(name: "file descriptors", level: .ok, finding: finding)
  }

  private static func namespaces(_ machine: Machine) -> Check {
    machine.netnsDirectory == 0
      ? Check(name: "namespaces", level: .ok, finding: "\(Machine.netnsPath) can be written")
      : Check(
        name: "namespaces", level: .error,
        finding: "\(Machine.netnsPath) cannot be written: \(reason(machine.netnsDirectory))",
        mend: "run as root, with /run writable")
  }

  private static func lockedMemory(_ machine: Machine) -> Check {
    let exempt = machine.capabilities >> capabilityIPCLock & 1 == 1
    if exempt { return Check(name: "locked memory", level: .ok, finding: "no limit: CAP_IPC_LOCK is held") }
    let finding = machine.lockedBytesMax == UInt64.max ? "no limit" : "\(machine.lockedBytesMax >> 10) KiB allowed"
    return machine.lockedBytesMax >= lockedBytesAmple
      ? Check(name: "locked memory", level: .ok, finding: finding)
      : Check(
        name: "locked memory", level: .warning, finding: finding, mend: "raise it: ulimit -l 8192, or LimitMEMLOCK=8M")
  }
}
