import ControlModel
import Glibc
import Logging
import SystemCalls

/// What the machine must grant before anything is started. Each refusal says what to do.
enum MachineCheck {
  /// Bits of linux/capability.h.
  private static let capabilities = [(bit: 12, name: "CAP_NET_ADMIN"), (bit: 21, name: "CAP_SYS_ADMIN")]

  static func run() throws(ControlError) {
    try checkCapabilities(effective: effectiveCapabilities())
    do throws(Errno) {
      _ = try FileDescriptor.open("/dev/net/tun", O_RDWR)
    } catch let error where error.code == ENOENT || error.code == ENODEV || error.code == ENXIO {
      throw ControlError(.system, "/dev/net/tun is missing: load the kernel's module tun (modprobe tun)")
    } catch {
      throw ControlError(.system, "\(error): martletd must be allowed to open /dev/net/tun")
    }
  }

  /// nil: unknown, the kernel will say.
  private static func effectiveCapabilities() -> UInt64? {
    guard let file = fopen("/proc/thread-self/status", "re") else { return nil }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, file) > 0, let text = line {
      let words = String(cString: text).split(whereSeparator: \.isWhitespace)
      if words.first == "CapEff:", words.count == 2 { return UInt64(words[1], radix: 16) }
    }
    return nil
  }

  static func checkCapabilities(effective: UInt64?) throws(ControlError) {
    guard let effective else { return }
    let missing = capabilities.filter { effective & (1 << $0.bit) == 0 }.map(\.name)
    guard missing.isEmpty else {
      throw ControlError(.system, "\(missing.joined(separator: " and ")) missing: run martletd as root or grant them")
    }
  }

  /// Every endpoint takes a descriptor: as many as the machine allows, without asking the operator.
  static func raiseDescriptorLimit(_ logger: Logger) {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    guard getrlimit(resource, &limit) == 0 else { return }
    // Beyond the hard limit only root may go (CAP_SYS_RESOURCE).
    for wanted in [max(limit.rlim_max, descriptorsWanted), limit.rlim_max] where limit.rlim_cur < wanted {
      var raised = rlimit(rlim_cur: wanted, rlim_max: wanted)
      if setrlimit(resource, &raised) == 0 { return }
    }
    if limit.rlim_cur < limit.rlim_max {
      logger.warning("the limit of file descriptors stays: \(Errno.current("setrlimit"))")
    }
  }

  /// A published port has one for each family, a relayed connection two: what systemd gives a service at most.
  private static let descriptorsWanted: rlim_t = 524_288
}
