import ControlAPI
import ControlModel
import ControlPlane
import DNS
import Dispatch
import Glibc
import LinuxIO
import Logging
import Policies
import SystemCalls

/// The parts of the daemon, put together, from start to stop.
struct Daemon {
  private let configuration: Configuration
  private let logger: Logger

  init(_ configuration: Configuration) {
    self.configuration = configuration
    let level = configuration.logLevel
    logger = Logger(label: "martletd") { _ in StandardErrorLog(logLevel: level) }
  }

  /// Returns when a signal or a client has ended it.
  func run() throws(ControlError) {
    // Before any thread starts, so that each has the signals blocked that the sources below wait for.
    let stop = StopRequest()
    var sockets = try ActivatedSockets.take()
    try MachineCheck.run()
    MachineCheck.raiseDescriptorLimit(logger)
    try configuration.makeRunDirectory()
    ServiceManager.notify("STATUS=taking up what an earlier daemon left", logger)
    let workers = LivenessProbe()
    var options = configuration.workerOptions
    options.livenessProbe = workers
    let dataPlane = try SwitchDataPlane(workers: configuration.workers, options)
    defer { dataPlane.stop() }
    let names = NameServer(logger: logger)
    defer { names.stop() }
    let controlPlane = try ControlPlane(
      dataPlane: dataPlane, host: try KernelHostNetwork(), names: names,
      policyWatch: try watchPolicies(), stateDirectory: configuration.stateDirectory, logger: logger)
    if let section = configuration.cluster {
      let cluster = try section.cluster(
        identity: try controlPlane.identity(), stateDirectory: configuration.stateDirectory, logger: logger)
      try controlPlane.join(cluster, vteps: section.vteps)
    }
    controlPlane.onShutdown { stop.request("a client's shutdown") }
    let docker = try DockerPlugin.start(
      configuration.dockerPlugin, sockets.take(.dockerPlugin), driver: controlPlane, logger: logger)
    defer { docker?.stop() }
    let swarm = try DockerPlugin.startForSwarm(configuration.dockerSwarm, driver: controlPlane, logger: logger)
    defer { swarm?.stop() }
    let metrics = try configuration.metrics.startMetrics(controlPlane, logger)
    defer { metrics?.stop() }
    let page = try configuration.page.startPage(controlPlane, logger)
    defer { page?.stop() }
    let sflow = SFlowExporter.start(
      configuration.sflow, dataPlane: dataPlane, controlPlane: controlPlane, logger: logger)
    defer { sflow?.stop() }
    let server = ControlServer(service: controlPlane, logger: logger)
    let path = try start(server, sockets.take(.control))
    logger.info("serving \(path)", metadata: ["workers": "\(configuration.workers)"])
    let watchdog = Watchdog.ofServiceManager(logger) {
      workers.awaitWorkers()
      // Any call would do: each takes the control plane's lock; this one reads the store as well. That it fails is no hang.
      _ = try? controlPlane.sessionTimeouts()
    }
    ServiceManager.notify("READY=1\nSTATUS=serving \(path)", logger)
    print("ready")
    fflush(nil)

    let reason = stop.wait()
    logger.info("stopping on \(reason)")
    ServiceManager.notify("STOPPING=1\nSTATUS=stopping on \(reason)", logger)
    watchdog?.stop()
    server.stop()
    docker?.stop()
    swarm?.stop()
    metrics?.stop()
    page?.stop()
    sflow?.stop()
    controlPlane.stop()
  }

  /// Where a service manager has started this process, it starts it again too, with the sockets that it holds.
  /// nil also where another process has the file: this one is about to be refused for it.
  private func watchPolicies() throws(ControlError) -> PolicyWatch? {
    do throws(Errno) {
      return try PolicyWatch(
        path: configuration.policyCallsFile, restarts: ServiceManager.variable("NOTIFY_SOCKET") == nil)
    } catch let error where error.code == EWOULDBLOCK {
      return nil
    } catch {
      throw ControlError(.system, "\(error)")
    }
  }

  /// Serves the socket that systemd has handed over, else one of our own; its path.
  private func start(_ server: ControlServer, _ activated: ActivatedSockets.Socket?) throws(ControlError) -> String {
    guard let activated else {
      try server.start(socketPath: configuration.socketPath)
      return configuration.socketPath
    }
    if activated.path != configuration.socketPath {
      logger.warning(
        "not serving \(configuration.socketPath), which the configuration names: the service manager has opened \(activated.path)"
      )
    }
    try server.start(inherited: activated.descriptor, name: activated.path)
    return activated.path
  }
}

/// Waits for SIGTERM, SIGINT, or a request of our own.
final class StopRequest: Sendable {
  private let queue = DispatchQueue(label: "martletd.stop")
  private let semaphore = DispatchSemaphore(value: 0)
  /// Only kept: a source lives as long as its value.
  private nonisolated(unsafe) let sources: [any DispatchSourceSignal]
  private let reasons: Reasons

  /// The first reason stays.
  private final class Reasons: @unchecked Sendable {  // Used on `queue` alone.
    var first: String?
  }

  init() {
    signal(SIGPIPE, SIG_IGN)
    let reasons = Reasons()
    self.reasons = reasons
    sources = [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")].map { [queue, semaphore] number, name in
      // A source sees a signal only where its default, the end of the process, is off (dispatch_source_create(3)).
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler {
        if reasons.first == nil { reasons.first = name }
        semaphore.signal()
      }
      source.resume()
      return source
    }
  }

  func request(_ reason: String) {
    queue.async { [self] in
      if reasons.first == nil { reasons.first = reason }
      semaphore.signal()
    }
  }

  /// Blocks until there is a reason to stop.
  func wait() -> String {
    semaphore.wait()
    return queue.sync { reasons.first ?? "" }
  }
}
