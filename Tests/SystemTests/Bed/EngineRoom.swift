import FoundationEssentials
import Glibc

/// A place for container engines that use CNI, beside a daemon and in its network namespace.
///
/// It has a mount and a process namespace of its own: /run is as `DockerEngine` has it, but for /run/netns, which is the room's alone;
/// /etc, /opt and /var/lib are written to without a trace; and whatever an engine starts ends with the room. The daemon runs in it as well, since engines name namespaces by process ids.
final class EngineRoom {
  static let plugins = "/opt/cni/bin"
  static let configurations = "/etc/cni/net.d"

  let daemon: Daemon
  let directory: String
  /// busybox alone.
  let root: String
  /// Of the control groups that engines make below it.
  let group: String
  private let holder: Program

  /// Of a daemon that does not run yet.
  init(_ daemon: Daemon) throws {
    self.daemon = daemon
    let testbed = daemon.namespace.testbed
    (directory, group) = (testbed.directory + "/room", testbed.prefix)
    root = directory + "/root"
    for name in ["run", "changes"] {
      try FileManager.default.createDirectory(atPath: "\(directory)/\(name)", withIntermediateDirectories: true)
    }
    for name in ["bin", "proc", "sys", "dev", "etc", "tmp"] {
      try FileManager.default.createDirectory(atPath: "\(root)/\(name)", withIntermediateDirectories: true)
    }
    try FileManager.default.copyItem(atPath: DockerEngine.peers + "/bin/busybox", toPath: root + "/bin/busybox")
    try testbed.run(["chroot", root, "/bin/busybox", "--install", "-s", "/bin"])
    holder = try daemon.namespace.start([
      "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-euc",
      DockerEngine.privateRun + Self.furnish, "sh", directory + "/run", directory + "/changes",
      Binaries.path("martlet-cni"),
    ])
    let holder = holder
    try eventually("the engine's room is there") {
      guard holder.isRunning else { throw Failure("no room: \(holder.complaintSoFar)") }
      return holder.outputSoFar == "ready\n"
    }
    daemon.wrapper = wrapper
    testbed.atEnd { [self] in takeDown() }
  }

  private static let furnish = """
    mount -t tmpfs -o mode=755 room "$2"
    for place in etc opt var/lib; do
      mkdir -p "$2/$place/upper" "$2/$place/work"
      mount -t overlay -o "lowerdir=/$place,upperdir=$2/$place/upper,workdir=$2/$place/work" room "/$place"
    done
    mount -t tmpfs -o mode=755 room /run/netns
    rm -rf /etc/cni /opt/cni
    mkdir -p \(configurations) \(plugins)
    ln -s "$3" \(plugins)/martlet
    echo ready
    # The first process of the room waits for those that others leave.
    sleep infinity & wait
    """

  /// What starts a program in the room.
  private var wrapper: [String] {
    let place = "/proc/\(holder.pid)/ns"
    let path = "PATH=\(DockerEngine.peers)/usr/bin:\(DockerEngine.peers)/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    return ["nsenter", "--mount=\(place)/mnt", "--pid=\(place)/pid_for_children", "--", "env", path]
  }

  func start(_ words: [String], input: String = "") throws -> Program {
    try daemon.namespace.start(wrapper + words, input: input)
  }

  func attempt(_ words: [String], input: String = "") throws -> Program.Outcome { try start(words, input: input).end() }

  @discardableResult
  func run(_ words: [String], input: String = "") throws -> String {
    let outcome = try attempt(words, input: input)
    guard outcome.status == 0 else {
      let said = outcome.complaint + outcome.output
      throw Failure("\(words.joined(separator: " ")): status \(outcome.status): \(said)\n\(daemon.log.suffix(2000))")
    }
    return outcome.output
  }

  /// A signal would reach nsenter(1) alone, which waits for the daemon.
  func killDaemon() throws {
    try run(["sh", "-c", "kill -KILL $(head -n 1 '\(daemon.stateDirectory)/martletd.pid')"])
    try daemon.end(by: 0)
  }

  /// The network `lan`, for every engine of the room.
  func configure(_ version: String) throws {
    let plugin = #"""
      {"type": "martlet", "socket": "\#(daemon.socket)", "subnet": "10.74.0.0/24",
        "capabilities": {"portMappings": true, "aliases": true, "mac": true, "ips": true}}
      """#
    let list = #"{"cniVersion": "\#(version)", "name": "lan", "plugins": [\#(plugin)]}"#
    try run(["tee", Self.configurations + "/10-lan.conflist"], input: list)
  }

  /// With `program` of Debian's unpacked packages.
  static func has(_ programs: String...) -> Bool {
    (programs + ["bin/busybox", "usr/sbin/runc"]).allSatisfy { access("\(DockerEngine.peers)/\($0)", X_OK) == 0 }
  }

  private func takeDown() {
    holder.stop()
    // The kernel ends the processes one by one.
    let find = "find /sys/fs/cgroup -depth -type d -path '*/\(group)*' -exec rmdir {} + 2>/dev/null; "
    try? eventually("the engine's control groups are gone", within: .seconds(10)) {
      try Program(["sh", "-c", find + "! find /sys/fs/cgroup -type d -path '*/\(group)*' | grep -q ."]).end().status
        == 0
    }
  }
}
