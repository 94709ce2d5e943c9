import Glibc
import Support
import Testing

@testable import martlet

@Suite struct DiagnosisTests {
  /// A machine where nothing is wrong.
  private static let sound = Machine(
    kernelRelease: "6.8.0-45-generic", tun: 0, tap: 0, tapUSO: 0, uring: 0, uringMultishotRead: true, uringDisabled: 0,
    capabilities: .max, descriptorsMax: 65536, lockedBytesMax: 8 << 20, netnsDirectory: 0)

  private func machine(_ change: (inout Machine) -> Void) -> Machine {
    var machine = Self.sound
    change(&machine)
    return machine
  }

  /// The one check that is not well.
  private func fault(_ change: (inout Machine) -> Void) throws -> Diagnosis.Check {
    let faults = Diagnosis(of: machine(change)).checks.filter { $0.level != .ok }
    #expect(faults.count == 1)
    let fault = try #require(faults.first)
    #expect(fault.mend != nil)
    return fault
  }

  @Test func soundMachine() {
    let diagnosis = Diagnosis(of: Self.sound)
    #expect(diagnosis.checks.allSatisfy { $0.level == .ok && $0.mend == nil })
    #expect(!diagnosis.hasError)
  }

  @Test(arguments: [
    ("5.15.0-100-generic", Diagnosis.Level.error), ("6.0.19", .error), ("6.1.0-18-amd64", .ok), ("6.1", .ok),
    ("10.0", .ok),
    ("mainline", .warning),
  ])
  func kernel(_ release: String, level: Diagnosis.Level) {
    #expect(Diagnosis(of: machine { $0.kernelRelease = release }).checks[0].level == level)
  }

  @Test func errors() throws {
    #expect(try fault { $0.tun = ENOENT }.name == "tun")
    #expect(try fault { $0.tun = EACCES }.level == .error)
    #expect(try fault { ($0.tap, $0.tapUSO) = (EPERM, EPERM) }.level == .error)
    #expect(try fault { ($0.uring, $0.uringDisabled) = (EPERM, 2) }.mend == "sysctl -w kernel.io_uring_disabled=0")
    #expect(try fault { $0.uring = EPERM }.mend?.contains("seccomp") == true)
    #expect(try fault { $0.uring = ENOSYS }.level == .error)
    #expect(try fault { $0.uring = EINVAL }.mend?.contains("6.1") == true)
    #expect(try fault { $0.uring = ENOMEM }.mend?.contains("memory") == true)
    #expect(try fault { $0.capabilities &= ~(1 << 12) }.name == "CAP_NET_ADMIN")
    #expect(try fault { $0.capabilities &= ~(1 << 21) }.name == "CAP_SYS_ADMIN")
    #expect(try fault { $0.descriptorsMax = 256 }.level == .error)
    #expect(try fault { $0.netnsDirectory = EROFS }.finding == "/run/netns cannot be written: Read-only file system")
  }

  @Test func warnings() throws {
    #expect(try fault { $0.tapUSO = EINVAL }.level == .warning)
    #expect(try fault { $0.uringMultishotRead = false }.level == .warning)
    #expect(try fault { $0.descriptorsMax = 1000 }.finding == "1000 allowed: room for about 744 endpoints")
    #expect(try fault { ($0.capabilities, $0.lockedBytesMax) = (~(1 << 14), 64 << 10) }.finding == "64 KiB allowed")
    #expect(!Diagnosis(of: machine { $0.lockedBytesMax = 0 }).hasError)
  }

  @Test func text() {
    let text = Diagnosis(of: machine { $0.kernelRelease = "5.15.0" }).text
    #expect(text.hasPrefix("error     kernel             Linux 5.15.0 is older than 6.1\n"))
    #expect(text.contains("\n                             mend: boot a kernel 6.1 or newer\n"))
  }

  /// The machine the tests run on can run the switch; the doctor asks no daemon.
  @Test(.enabled(if: getuid() == 0, "needs root to make a TAP"))
  func thisMachine() {
    let line = CommandLine()
    #expect(line.run("doctor --json") == 0, "\(line.output)")
    #expect(line.output.hasPrefix(#"{"checks":[{"finding":"Linux "#))
    #expect(line.service.calls.isEmpty)
  }
}
