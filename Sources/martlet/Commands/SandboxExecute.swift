import ArgumentParser
import ControlModel
import Glibc

import func CLinux.martlet_setns_network
import func CLinux.martlet_unshare_mount

struct SandboxExecute: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "exec", abstract: "Run a command in a sandbox's network namespace.",
    discussion: """
      As `ip netns exec`: files in /etc/netns/NAME stand in for those in /etc, and /sys shows the sandbox's interfaces.
      The exit status is the command's; 126 where it cannot be run, 127 where there is none.
      """)

  @Argument(help: "A name, an id or a namespace path.", completion: Names.sandboxes) var sandbox: String
  @Argument(parsing: .postTerminator, help: "What to run, after `--`.") var command: [String] = []
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws {
    if command.isEmpty { throw ValidationError("nothing to run: martlet sandbox exec NAME -- COMMAND...") }
  }

  func perform(on service: any ControlService, output: Output) throws {
    let sandbox = try service.sandbox(sandbox)
    try NamespaceEntry(sandbox: sandbox).enter { output.report($0) }
    throw ExitCode(Self.execute(command, output: output))
  }

  /// Comes back only where the command could not be run, with the status shells give then (POSIX, "Exit Status for Commands").
  private static func execute(_ command: [String], output: Output) -> Int32 {
    let program = command[0]
    var arguments = command.map { strdup($0) } + [nil]
    execvp(program, &arguments)
    let failed = errno
    output.report(ControlError(.system, "\(program): \(String(cString: strerror(failed)))"))
    return failed == ENOENT ? 127 : 126
  }
}

/// Moves this process into a sandbox's network namespace, with a mount namespace of its own that shows it.
struct NamespaceEntry {
  let sandbox: Sandbox

  /// `warn` gets what is missing then, but keeps nothing from running. Cannot be undone: the process should exec or exit.
  func enter(warn: (ControlError) -> Void) throws(ControlError) {
    let descriptor = open(sandbox.netns, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("cannot open \(sandbox.netns)", errno) }
    defer { close(descriptor) }
    let entered = martlet_setns_network(descriptor)
    // Namespaces get their names by mounts: of a daemon with mounts of its own, only the empty files below them are seen.
    if entered == -EINVAL {
      throw ControlError(
        .system,
        "\(sandbox.netns) is no network namespace here; if martletd runs by `ip netns exec`, run it by `nsenter --net=` instead"
      )
    }
    guard entered == 0 else { throw failure("cannot enter \(sandbox.netns)", -entered) }
    let unshared = martlet_unshare_mount()
    guard unshared == 0 else { throw failure("cannot make a mount namespace", -unshared) }
    // Or the mounts below would reach the machine's own mount namespace.
    guard mount("", "/", "none", UInt(MS_SLAVE | MS_REC), nil) == 0 else {
      throw failure("cannot keep mounts apart from the machine's", errno)
    }
    mountSysfs(warn)
    bindConfiguration(warn)
  }

  /// sysfs shows the interfaces of the namespace it was mounted in.
  private func mountSysfs(_ warn: (ControlError) -> Void) {
    // Fails where none is mounted, or where it is locked to what is mounted on it: then ours goes on top.
    umount2("/sys", Int32(MNT_DETACH))
    var status = statvfs()
    let readOnly = statvfs("/sys", &status) == 0 && status.f_flag & UInt(ST_RDONLY) != 0
    if mount(sandbox.name, "/sys", "sysfs", readOnly ? UInt(MS_RDONLY) : 0, nil) != 0 {
      warn(failure("/sys shows another network namespace: cannot mount it", errno))
    }
  }

  /// Each entry of /etc/netns/NAME over the one of that name in /etc, as `ip netns exec` does (ip-netns(8)).
  private func bindConfiguration(_ warn: (ControlError) -> Void) {
    let directory = "/etc/netns/\(sandbox.name)"
    // Most sandboxes have none.
    guard let stream = opendir(directory) else { return }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) {
          String(cString: $0)
        }
      }
      if name.hasPrefix(".") { continue }
      if mount("\(directory)/\(name)", "/etc/\(name)", "none", UInt(MS_BIND), nil) != 0 {
        warn(failure("/etc/\(name) is the machine's: cannot bind \(directory)/\(name) there", errno))
      }
    }
  }

  private func failure(_ what: String, _ code: Int32) -> ControlError {
    ControlError(.system, "\(what): \(String(cString: strerror(code)))")
  }
}
