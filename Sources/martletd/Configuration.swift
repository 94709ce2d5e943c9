import ControlModel
import Glibc
import LinuxIO
import Logging
import SystemCalls
import Yams

/// What the daemon can be told: in a YAML file of `key: value` lines, and by flags of the same names.
struct Configuration: Equatable {
  static let defaultPath = "/etc/martlet/martlet.yaml"
  static let defaultStateDirectory = "/var/lib/martlet"
  static let defaultRunDirectory = "/run/martlet"
  /// Docker looks for plugins in this directory, and calls them by the socket's name.
  static let defaultDockerPluginPath = "/run/docker/plugins/martlet.sock"
  static let logLevelNames = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")

  /// Bytes of a configuration file: far beyond one that names every key.
  static let fileSizeMax = 64 << 10
  static let workerRange = 1...64
  static let waitMicrosecondsRange = 0...10_000

  private(set) var stateDirectory = defaultStateDirectory
  private(set) var runDirectory = defaultRunDirectory
  private var givenSocketPath: String?
  private(set) var logLevel = Logger.Level.info
  private(set) var workers = Switch.defaultWorkerCount
  private(set) var spinMicroseconds = Int(WorkerOptions().spinMicroseconds)
  private(set) var napMicroseconds = Int(WorkerOptions().napMicroseconds)
  private(set) var tunnelSegmentation = WorkerOptions().tunnelSegmentation
  private(set) var dockerPlugin = DockerPlugin.whereItCanBe
  /// Where the managed plugin of a swarm's nodes finds the driver; nil: nowhere.
  private(set) var dockerSwarm: String?
  private(set) var metrics = ServedPlace.off
  private(set) var page = ServedPlace.off
  /// nil: a single host.
  private(set) var cluster: ClusterSection?
  /// nil: nothing is sent.
  private(set) var sflow: SFlowSection?

  /// Where Docker finds its plugin.
  enum DockerPlugin: Equatable {
    case off
    /// At the default path, unless another daemon has it or the directory cannot be made.
    case whereItCanBe
    /// There, or the daemon does not start.
    case path(String)
  }

  var socketPath: String { givenSocketPath ?? runDirectory + "/martlet.sock" }

  /// One for each network namespace, as there is one daemon for each.
  private var sessionFile: String { runDirectory + "/sessions-" + Self.namespaceNumber }
  var policyCallsFile: String { runDirectory + "/policies-" + Self.namespaceNumber }

  private static var namespaceNumber: String {
    var status = stat()
    stat("/proc/self/ns/net", &status)
    return "\(status.st_ino)"
  }

  var workerOptions: WorkerOptions {
    var options = WorkerOptions()
    options.spinMicroseconds = UInt32(spinMicroseconds)
    options.napMicroseconds = UInt32(napMicroseconds)
    options.tunnelSegmentation = tunnelSegmentation
    options.sessionFile = sessionFile
    return options
  }

  func makeRunDirectory() throws(ControlError) {
    var path = ""
    for part in runDirectory.split(separator: "/") {
      path += "/" + part
      if mkdir(path, 0o755) != 0, errno != EEXIST {
        throw ControlError(.system, "\(Errno.current("make the run directory \(path)"))")
      }
    }
  }

  static let keys = [
    "state-dir", "run-dir", "socket", "log-level", "workers", "spin-us", "nap-us", "tunnel-segmentation",
    "docker-plugin", "docker-swarm", "cluster", "metrics", "page", "sflow",
  ]

  private static let clusterKey = "cluster"
  private static let sflowKey = "sflow"

  /// Sets one key. `origin` says where the value stands, for the refusal.
  mutating func set(_ key: String, to value: String, from origin: String) throws(ControlError) {
    switch key {
    case "state-dir": stateDirectory = try Self.path(value, origin)
    case "run-dir": runDirectory = try Self.path(value, origin)
    case "socket": givenSocketPath = try Self.socketPath(value, origin)
    case "log-level":
      guard let level = Logger.Level(rawValue: value) else {
        throw ControlError(.invalid, "\(origin): no log level \(value): there are \(Self.logLevelNames)")
      }
      logLevel = level
    case "workers": workers = try Self.number(value, in: Self.workerRange, origin)
    case "spin-us": spinMicroseconds = try Self.number(value, in: Self.waitMicrosecondsRange, origin)
    case "nap-us": napMicroseconds = try Self.number(value, in: Self.waitMicrosecondsRange, origin)
    case "tunnel-segmentation":
      guard let segmentation = TunnelSegmentation(rawValue: value) else {
        let known = TunnelSegmentation.allCases.map(\.rawValue).joined(separator: ", ")
        throw ControlError(.invalid, "\(origin): no such segmentation \(value): there are \(known)")
      }
      tunnelSegmentation = segmentation
    case "docker-plugin": dockerPlugin = Self.isOff(value) ? .off : .path(try Self.socketPath(value, origin))
    case "docker-swarm": dockerSwarm = Self.isOff(value) ? nil : try Self.socketPath(value, origin)
    case Self.clusterKey: throw ControlError(.invalid, "\(origin): a section of `key: value` lines is needed")
    case Self.sflowKey:
      guard Self.isOff(value) else {
        throw ControlError(.invalid, "\(origin): a section of `key: value` lines is needed, or off")
      }
      sflow = nil
    case "metrics": metrics = try ServedPlace(value, origin)
    case "page": page = try ServedPlace.onThisHost(value, origin)
    default:
      throw ControlError(.invalid, "\(origin): no key \(key): there are \(Self.keys.joined(separator: ", "))")
    }
  }

  /// YAML reads `off` as a truth value, and some write it as one.
  static func isOff(_ value: String) -> Bool { value == "off" || value == "false" }

  static func socketPath(_ value: String, _ origin: String) throws(ControlError) -> String {
    guard value.utf8.count <= UnixSocketAddress.pathBytesMax else {
      throw ControlError(.invalid, "\(origin): a socket's path has at most \(UnixSocketAddress.pathBytesMax) bytes")
    }
    return try path(value, origin)
  }

  static func path(_ value: String, _ origin: String) throws(ControlError) -> String {
    guard value.hasPrefix("/"), value.utf8.count < Int(PATH_MAX), !value.utf8.contains(0) else {
      throw ControlError(.invalid, "\(origin): an absolute path is needed")
    }
    return value
  }

  static func number(_ value: String, in range: ClosedRange<Int>, _ origin: String) throws(ControlError) -> Int {
    guard let number = Int(value), range.contains(number) else {
      throw ControlError(.invalid, "\(origin): a number from \(range.lowerBound) to \(range.upperBound) is needed")
    }
    return number
  }
}

extension Configuration {
  /// Reads a file. One that is absent is fine unless it `mustExist`.
  mutating func read(file path: String, mustExist: Bool) throws(ControlError) {
    let text: String
    do throws(Errno) {
      text = try Self.contents(path)
    } catch let error where error.code == ENOENT && !mustExist {
      return
    } catch {
      throw ControlError(.system, "configuration: \(error)")
    }
    try read(text, name: path)
  }

  private static func contents(_ path: String) throws(Errno) -> String {
    let file = try FileDescriptor.open(path, O_RDONLY)
    var bytes = [UInt8](repeating: 0, count: fileSizeMax + 1)
    var count = 0
    while count < bytes.count {
      let got = bytes.withUnsafeMutableBytes { Glibc.read(file.number, $0.baseAddress! + count, $0.count - count) }
      guard got >= 0 else { throw .current("read \(path)") }
      if got == 0 { break }
      count += got
    }
    guard count <= fileSizeMax else { throw Errno(EFBIG, "read \(path)") }
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  /// Reads a YAML document: a mapping of known keys to plain values, each at most once.
  mutating func read(_ text: String, name: String) throws(ControlError) {
    let root: Node?
    do { root = try Yams.compose(yaml: text) } catch {
      // On one line: the parser's own message draws a picture.
      let line = if case YamlError.scanner(_, _, let mark, _) = error { ":\(mark.line)" } else { "" }
      throw ControlError(.invalid, "\(name)\(line): no YAML of `key: value` lines")
    }
    guard let root, root != Node("") else { return }
    guard case .mapping(let mapping) = root else {
      throw ControlError(.invalid, "\(name): a mapping of `key: value` lines is needed")
    }
    for (key, value) in mapping {
      let origin = "\(name):\(key.mark?.line ?? 0)"
      if case .scalar(let keyText) = key, case .mapping(let section) = value {
        switch keyText.string {
        case Self.clusterKey:
          cluster = try ClusterSection(section, name: name)
          continue
        case Self.sflowKey:
          sflow = try SFlowSection(section, name: name)
          continue
        default: break
        }
      }
      guard case .scalar(let keyText) = key, case .scalar(let valueText) = value else {
        throw ControlError(.invalid, "\(origin): a plain `key: value` line is needed")
      }
      try set(keyText.string, to: valueText.string, from: "\(origin): \(keyText.string)")
    }
  }
}

/// As the file would say it.
extension Configuration: CustomStringConvertible {
  /// The default is no promise: said in the file, it would be one.
  private var dockerPluginLine: String {
    switch dockerPlugin {
    case .off: "docker-plugin: off"
    case .path(let path): "docker-plugin: \(path)"
    case .whereItCanBe: "# docker-plugin: \(Self.defaultDockerPluginPath)"
    }
  }

  var description: String {
    """
    state-dir: \(stateDirectory)
    run-dir: \(runDirectory)
    socket: \(socketPath)
    log-level: \(logLevel)
    workers: \(workers)
    spin-us: \(spinMicroseconds)
    nap-us: \(napMicroseconds)
    tunnel-segmentation: \(tunnelSegmentation.rawValue)
    \(dockerPluginLine)
    docker-swarm: \(dockerSwarm ?? "off")
    metrics: \(metrics)
    page: \(page)
    \(sflow.map(\.description) ?? "sflow: off")
    \(cluster.map { "\($0)\n" } ?? "")
    """
  }
}
