import ControlModel
import Logging

/// The way back from a change that failed half-way: what each step that succeeded left to undo, undone last step first.
struct Rollback: ~Copyable {
  private var steps: [(name: String, undo: () throws(ControlError) -> Void)] = []
  private let logger: Logger

  init(logger: Logger) { self.logger = logger }

  mutating func add(_ name: String, _ undo: @escaping () throws(ControlError) -> Void) { steps.append((name, undo)) }

  /// What cannot be undone is logged; it is undone at the next start, from the intent in the store.
  mutating func run() {
    while let step = steps.popLast() {
      do { try step.undo() } catch { logger.error("roll-back: \(step.name): \(error)") }
    }
  }
}
