import Datapath
import Glibc
import Tables

public typealias ExportedPolicy = MisbehavingPolicy

/// A policy that does what its parameter says, as a library: for tests of what becomes of the switch then.
public struct MisbehavingPolicy: LoadablePolicy {
  enum Conduct: String {
    case none, trap, overflow, loop, sleep, slow, memory, gone, make
  }

  public static let name = "misbehaving"
  public static let summary = "does what conduct= says to frames that are not ARP"
  public let counterNames = ["frames"]

  private let conduct: Conduct

  public init?(_ parameters: inout PolicyParameters) {
    let word = parameters.text("conduct") ?? "none"
    guard let conduct = Conduct(rawValue: word) else {
      parameters.refuse("conduct=\(word): no such conduct")
      return nil
    }
    self.conduct = conduct
    if conduct == .make { fatalError("on purpose") }
  }

  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    view.count(0)
    if conduct == .none { return LearningSwitch().decide(frame, &view) }
    if FrameHeaders(frame).layers.contains(.arp) { return LearningSwitch().decide(frame, &view) }
    switch conduct {
    case .none, .make: break
    case .trap: fatalError("on purpose")
    case .overflow: view.count(recurse(0))
    case .loop: while view.now != .max {}
    case .sleep: sleep(3600)
    case .slow:
      let end = clock() + 1000
      while clock() < end {}
    case .memory:
      // Touched, and cheaply: so that it is the memory that is too much.
      let bytes = 64 << 20
      guard let memory = malloc(bytes) else { break }
      for page in stride(from: 0, to: bytes, by: 4096) { memory.storeBytes(of: 1, toByteOffset: page, as: UInt8.self) }
    case .gone: return .forward(60_000)
    }
    return LearningSwitch().decide(frame, &view)
  }

  @inline(never)
  private func recurse(_ depth: Int) -> Int {
    if depth == .min { return 0 }
    return withUnsafeTemporaryAllocation(of: Int.self, capacity: 512) { stack in
      stack[depth & 511] = depth
      return recurse(depth &+ 1) &+ stack[depth & 511]
    }
  }
}
