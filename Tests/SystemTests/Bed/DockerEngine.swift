import FoundationEssentials
import Glibc

/// Debian's dockerd in the network namespace of a daemon, with files, mounts and control groups of its own: no bridge, no
/// netfilter rule, no proxy.
///
/// It has a /run of its own, in which /run/docker/plugins is the test's; /run/netns is the one of all. Whoever is to meet it
/// there is started through `wrapper`. dockerd, its containerd, shims and containers live in control groups of one name, so
/// that all of them are found, however they ended.
final class DockerEngine {
  /// Where `tools/lib/packages.sh` unpacks what must not be installed: Debian starts a dockerd then, which would take the
  /// machine's own network. MARTLET_PEERS=DIRECTORY has those of another release, as `tools/engines` unpacks them.
  static let peers =
    getenv("MARTLET_PEERS").map { String(cString: $0) }
    ?? #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined() + "/.build/peers"
  /// The first number of a peer's version, from its `--version`; 0 where there is no such program.
  static func release(of program: String) -> Int {
    let words = (try? Program(["\(peers)/\(program)", "--version"]).succeed())?.split(separator: " ") ?? []
    return words.lazy.compactMap { $0.split(separator: ".").first.flatMap { Int($0) } }.first ?? 0
  }
  static let release = release(of: "usr/bin/docker")
  static var isInstalled: Bool {
    ["usr/sbin/dockerd", "usr/bin/containerd", "usr/sbin/runc", "bin/busybox"].allSatisfy {
      access("\(peers)/\($0)", X_OK) == 0
    }
  }
  static let pluginDirectory = "/run/docker/plugins"
  /// busybox alone.
  static let image = "box"

  let namespace: Namespace
  private let directory: String
  private let group: String
  private let holder: Program
  /// `subreaper.py`.
  private var parent: Program?
  private(set) var pid: pid_t?

  init(namespace: Namespace, directory: String) throws {
    self.namespace = namespace
    self.directory = directory
    let testbed = namespace.testbed
    group = (getenv("MARTLET_GROUP").map { String(cString: $0) + "-" } ?? "") + namespace.name
    try FileManager.default.createDirectory(atPath: directory + "/run", withIntermediateDirectories: true)
    try FileManager.default.createDirectory(atPath: directory + "/client", withIntermediateDirectories: true)
    try FileManager.default.createDirectory(
      atPath: "\(Self.hierarchies[0])/\(group)/engine", withIntermediateDirectories: true)
    holder = try testbed.start(
      [
        "unshare", "--mount", "--propagation", "unchanged", "sh", "-euc",
        Self.privateRun + "echo ready; exec sleep infinity",
      ]
        + ["sh", directory + "/run"])
    let holder = holder
    try eventually("the engine's mount namespace is there") {
      guard holder.isRunning else { throw Failure("no mount namespace: \(holder.complaintSoFar)") }
      return holder.outputSoFar == "ready\n"
    }
    try configure()
  }

  /// A /run with a `docker/plugins` of its own, everything else in it as it was. Mounts that are made later stay in the
  /// namespace, but for those below /run/netns.
  static let privateRun = """
    for place in / /run "$1"; do
      mount --make-private "$(findmnt -n -o TARGET -T "$place" | tail -n 1)"
    done
    mount -t tmpfs -o mode=755 engine "$1"
    for entry in /run/*; do
      name=${entry##*/}
      if [ -h "$entry" ]; then cp -P "$entry" "$1/$name"
      elif [ "$name" = docker ] || [ "$name" = containerd ]; then :
      elif [ -d "$entry" ]; then mkdir "$1/$name" && mount --rbind "$entry" "$1/$name"
      elif [ -e "$entry" ]; then : >"$1/$name" && mount --bind "$entry" "$1/$name"
      fi
    done
    mkdir -p "$1/docker/plugins"
    mount --move "$1" /run

    """

  /// What starts a program in the engine's mount namespace.
  var wrapper: [String] { ["nsenter", "--mount=/proc/\(holder.pid)/ns/mnt", "--"] }

  // MARK: The process

  /// Its configuration file, read when it starts next.
  func configure(_ more: [String: Bool] = [:]) throws {
    var flags = more
    for name in ["iptables", "ip6tables", "ip-forward", "ip-masq", "userland-proxy"] { flags[name] = false }
    let lines =
      flags.map { "\"\($0.key)\": \($0.value)" } + [
        "\"bridge\": \"none\"", "\"dns\": [\"\(UplinkBed.machine.ipv4)\"]",
      ]
    try "{\(lines.joined(separator: ", "))}".write(
      toFile: directory + "/daemon.json", atomically: true, encoding: .utf8)
  }

  /// Starts it and waits until it answers.
  func start() throws {
    let path = "PATH=\(Self.peers)/usr/bin:\(Self.peers)/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    let join = "echo $$ >\(Self.hierarchies[0])/\(group)/engine/cgroup.procs; exec \"$@\""
    let options = [
      "--data-root", directory + "/data", "--exec-root", directory + "/exec", "--pidfile", directory + "/pid",
      "--config-file", directory + "/daemon.json", "--cgroup-parent", "/" + group, "--log-level", "warn",
      "-H", "unix://" + socket,
    ]
    let parent = try namespace.start(
      wrapper + ["env", path, "sh", "-euc", join, "sh"] + Script.words("subreaper.py") + ["dockerd"] + options)
    self.parent = parent
    try eventually("dockerd answers") {
      guard let pid = pid_t(parent.outputSoFar.dropLast()) else {
        guard parent.isRunning else { throw Failure("dockerd cannot be started: \(parent.complaintSoFar)") }
        return false
      }
      guard kill(pid, 0) == 0 else { throw Failure("dockerd ended at its start: \(log.suffix(2000))") }
      self.pid = pid
      return try access(socket, F_OK) == 0 && attempt(["version"]).status == 0
    }
  }

  /// Sends it a signal (0: none) and waits until it has ended.
  func end(by number: Int32) throws {
    guard let pid else { throw Failure("dockerd does not run") }
    self.pid = nil
    kill(pid, number)
    try eventually("dockerd has ended") { kill(pid, 0) != 0 }
  }

  var log: String { parent?.complaintSoFar ?? "" }

  /// Ends all that it has started, and takes away what is not in files or mounts of its own.
  func takeDown() {
    var groups: Set<String> = []
    try? eventually("the engine's processes have ended", within: .seconds(20)) {
      let processes = processes
      for process in processes { groups.formUnion(Self.ownGroups(of: process)) }
      for process in processes { kill(process, SIGKILL) }
      return processes.isEmpty
    }
    holder.stop()
    for hierarchy in Self.hierarchies {
      for directory in Self.groups(below: "\(hierarchy)/\(group)").reversed() { rmdir(directory) }
    }
    for directory in groups { rmdir(directory) }
  }

  /// What a managed plugin's runc has made for it beside the engine's own, by the id that Docker gave it.
  private static func ownGroups(of process: pid_t) -> [String] {
    let text = (try? String(contentsOfFile: "/proc/\(process)/cgroup", encoding: .utf8)) ?? ""
    return text.split(separator: "\n").flatMap { line -> [String] in
      guard let path = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).last,
        path.split(separator: "/").last?.count == 64
      else { return [] }
      return hierarchies.map { $0 + path }
    }
  }

  /// dockerd, containerd, shims, and what runs in containers.
  var processes: [pid_t] {
    Self.groups(below: "\(Self.hierarchies[0])/\(group)").flatMap { directory in
      let text = (try? String(contentsOfFile: directory + "/cgroup.procs", encoding: .utf8)) ?? ""
      return text.split(separator: "\n").compactMap { pid_t($0) }
    }
  }

  /// The unified hierarchy, or those of version 1, that of processes first: every container is in each of them.
  private static let hierarchies: [String] = {
    let top = "/sys/fs/cgroup"
    if access(top + "/cgroup.controllers", F_OK) == 0 { return [top] }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: top)) ?? []
    let own = names.map { "\(top)/\($0)" }.filter { access($0 + "/cgroup.procs", F_OK) == 0 }
    return [top + "/pids"] + own.filter { $0 != top + "/pids" }
  }()

  /// A control group and those below it, parents first.
  private static func groups(below path: String) -> [String] {
    guard access(path, F_OK) == 0 else { return [] }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return [path]
      + names.map { "\(path)/\($0)" }.filter { access($0 + "/cgroup.procs", F_OK) == 0 }
      .flatMap { groups(below: $0) }
  }

  // MARK: The client

  private var socket: String { directory + "/socket" }

  func commandLine(_ words: [String]) -> [String] {
    [Self.peers + "/usr/bin/docker", "--config", directory + "/client", "-H", "unix://" + socket] + words
  }

  func attempt(_ words: [String], input: String = "") throws -> Program.Outcome {
    try namespace.testbed.start(commandLine(words), input: input).end()
  }

  /// A command that must succeed; its output without the last line's end.
  @discardableResult
  func command(_ words: [String]) throws -> String {
    let outcome = try attempt(words)
    guard outcome.status == 0 else {
      throw Failure("docker \(words.joined(separator: " ")): status \(outcome.status): \(outcome.complaint)")
    }
    return outcome.output.hasSuffix("\n") ? String(outcome.output.dropLast()) : outcome.output
  }

  /// Makes the image that all containers are of, without a registry.
  func importImage() throws {
    let root = directory + "/root"
    try FileManager.default.createDirectory(atPath: root + "/bin", withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: Self.peers + "/bin/busybox", toPath: root + "/bin/busybox")
    let testbed = namespace.testbed
    try testbed.run(["chroot", root, "/bin/busybox", "--install", "-s", "/bin"])
    try testbed.run(["tar", "-C", root, "-cf", root + ".tar", "."])
    try command(["import", root + ".tar", Self.image])
  }
}
