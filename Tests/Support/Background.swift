import Dispatch
import Foundation

/// Runs `body` on a thread of its own; `wait` gives what came of it.
package final class Background<Result: Sendable>: @unchecked Sendable {
  private let ended = DispatchSemaphore(value: 0)
  private var result: Swift.Result<Result, any Error>?

  package init(_ body: @escaping @Sendable () throws -> Result) {
    Thread { [self] in
      result = Swift.Result(catching: body)
      ended.signal()
    }.start()
  }

  package func wait() throws -> Result {
    ended.wait()
    return try result!.get()
  }
}
