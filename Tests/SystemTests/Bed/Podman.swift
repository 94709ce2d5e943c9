import FoundationEssentials

/// Podman in an engine's room, its files there, with one of its two network backends.
struct Podman {
  enum Backend: String {
    case cni, netavark
  }

  /// Of the Podman that is at hand; 0: there is none.
  static let release = DockerEngine.release(of: "usr/bin/podman")

  let room: EngineRoom
  private let backend: Backend

  init(_ room: EngineRoom, backend: Backend) throws {
    (self.room, self.backend) = (room, backend)
    let peers = DockerEngine.peers
    let (places, plugins) = (room.directory + "/networks", room.directory + "/plugins")
    for directory in [places, plugins] {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }
    // Podman knows a plugin by its file's name.
    try FileManager.default.createSymbolicLink(
      atPath: plugins + "/martlet", withDestinationPath: Binaries.path("martlet-netavark"))
    // runc, as crun refuses mixed control groups; without it each process of a host that has low limits would be refused.
    try """
    [containers]
    default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
    seccomp_profile = "unconfined"
    [engine]
    runtime = "runc"
    events_logger = "file"
    cgroup_manager = "cgroupfs"
    lock_type = "file"
    enable_port_reservation = false
    conmon_path = ["\(peers)/usr/bin/conmon"]
    helper_binaries_dir = ["\(peers)/usr/lib/podman"]
    [engine.runtimes]
    runc = ["\(peers)/usr/sbin/runc"]
    [network]
    network_backend = "\(backend)"
    network_config_dir = "\(backend == .cni ? EngineRoom.configurations : places)"
    cni_plugin_dirs = ["\(EngineRoom.plugins)"]
    netavark_plugin_dirs = ["\(plugins)"]
    """.write(toFile: room.directory + "/containers.conf", atomically: true, encoding: .utf8)
  }

  private var line: [String] {
    let place = room.directory + "/podman"
    return ["env", "CONTAINERS_CONF=\(room.directory)/containers.conf", "MARTLET_SOCKET=\(room.daemon.socket)"]
      + ["podman", "--root", place + "/root", "--runroot", place + "/run", "--tmpdir", place + "/tmp"]
      + ["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]
  }

  @discardableResult
  func command(_ words: [String]) throws -> String { try room.run(line + words) }

  @discardableResult
  func podman(_ words: String...) throws -> String { try command(words) }

  /// A command that must fail; what it says.
  func refusal(_ words: [String]) throws -> String {
    let outcome = try room.attempt(line + words)
    guard outcome.status != 0 else { throw Failure("podman \(words) was not refused: \(outcome.output)") }
    return outcome.complaint
  }

  /// A container's command line; of the network `lan`, unless the options say one. It may ping, which Podman 5 forbids by default.
  func words(_ name: String, _ options: [String], _ command: String) -> [String] {
    ["run", "--name", name, "--cgroup-parent", "/" + room.group, "--stop-signal", "KILL", "--cap-add", "NET_RAW"]
      + (options.contains("--network") ? [] : ["--network", "lan"]) + options
      + ["--rootfs", room.root, "/bin/sh", "-c", command]
  }

  /// Starts a container that stays.
  func run(_ name: String, _ options: [String], _ command: String) throws {
    try self.command(words(name, ["--detach"] + options, command))
  }

  /// What a program says that runs in a container, however it ends.
  func execute(in name: String, _ command: String) throws -> String {
    let outcome = try room.attempt(line + ["exec", name, "/bin/sh", "-c", "export PATH=/bin; " + command])
    return outcome.output + outcome.complaint
  }
}
