import FoundationEssentials
import Glibc

/// A way to say what becomes of the next calls: `pluginproxy.py` at the driver's place.
final class CallProxy {
  let socket: String
  private let (engine, driver, plan): (DockerEngine, String, String)
  private var program: Program?

  /// - Parameters:
  ///   - socket: where the engine finds it.
  ///   - driver: the driver's own socket.
  ///   - directory: for its plan.
  init(_ engine: DockerEngine, at socket: String, driver: String, directory: String) {
    (self.engine, self.socket, self.driver) = (engine, socket, driver)
    plan = directory + "/plan"
  }

  func start() throws {
    let words = Script.words("pluginproxy.py") + [socket, driver, plan]
    let program = try engine.namespace.testbed.start(engine.wrapper + words)
    self.program = program
    try eventually("the proxy is ready: \(program.complaintSoFar)") { program.outputSoFar.hasPrefix("ready\n") }
  }

  func stop() { program?.stop() }

  func plan(_ words: String) throws { try words.write(toFile: plan, atomically: true, encoding: .utf8) }

  /// Whether the plan is still to be carried out.
  var isPlanned: Bool { access(plan, F_OK) == 0 }

  func withdraw() { unlink(plan) }

  /// The last ones, for people.
  var calls: String { (program?.outputSoFar ?? "").split(separator: "\n").suffix(12).joined(separator: " ") }
  var complaint: String { program?.complaintSoFar ?? "" }
}
