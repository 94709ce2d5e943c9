import ControlModel
import Glibc

import func CLinux.martlet_setns_network
import func CLinux.martlet_unshare_mount

/// The way into a sandbox's network namespace.
struct NamespaceEntry {
  private static let ownPath = "/proc/thread-self/ns/net"

  let sandbox: Sandbox

  /// Moves this process there, with a mount namespace of its own that shows it. `warn` gets what is missing then, but keeps
  /// nothing from running. Cannot be undone: the process should exec or exit.
  func enter(warn: (ControlError) -> Void) throws(ControlError) {
    try enterNetwork()
    let unshared = martlet_unshare_mount()
    guard unshared == 0 else { throw failure("cannot make a mount namespace", -unshared) }
    // Or the mounts below would reach the machine's own mount namespace.
    guard mount("", "/", "none", UInt(MS_SLAVE | MS_REC), nil) == 0 else {
      throw failure("cannot keep mounts apart from the machine's", errno)
    }
    mountSysfs(warn)
    bindConfiguration(warn)
  }

  /// Runs `body` with this thread in the sandbox's network namespace: what it starts stays there.
  func visit<Result>(_ body: () throws(ControlError) -> Result) throws(ControlError) -> Result {
    let own = open(Self.ownPath, O_RDONLY | O_CLOEXEC)
    guard own >= 0 else { throw failure("cannot open \(Self.ownPath)", errno) }
    defer { close(own) }
    try enterNetwork()
    defer {
      let returned = martlet_setns_network(own)
      // Fails only where we lack the rights by which we went away.
      precondition(returned == 0, "cannot return to this program's own network namespace")
    }
    return try body()
  }

  private func enterNetwork() throws(ControlError) {
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
