import Datapath
import Synchronization
import Tables

/// Two ports that lead to the same place, of which one is used at a time: a learning switch to which they are one port.
///
/// Frames from the port that is not used are dropped, and nothing is sent there, so there is no loop and nobody gets a frame twice.
public struct ActiveStandbyPolicy: LoadablePolicy {
  public static let name = "active-standby"
  public static let summary = "use active=NAME; standby=NAME when that is gone, or silent for silence=SECONDS"

  public let counterNames = ["switchovers"]

  /// Words that the workers share: which of the pair is used where both are there (0 or 1), and when each was last heard: seconds
  /// and 1, 0: not yet.
  private enum Word {
    static let used = 0
    static let heard = 1
    static let count = 3
  }

  private let names: [String]
  /// Seconds; 0: silence is no reason.
  private let silence: UInt64
  private let reverts: Bool
  /// Of the active and the standby one; `MACTable.noPort`: it is gone.
  private var pair = (MACTable.noPort, MACTable.noPort)
  private let shared = SharedWords(Word.count)
  private let words: UnsafeMutablePointer<Atomic<UInt64>>

  public init?(_ parameters: inout PolicyParameters) {
    words = shared.words
    names = [parameters.text("active") ?? "", parameters.text("standby") ?? ""]
    silence = parameters.number("silence", in: 0...3600, default: 3)
    reverts = parameters.flag("revert", default: true)
    if names.contains("") || names[0] == names[1] {
      parameters.refuse("give the names of two ports, as active=NAME standby=NAME")
    }
  }

  public mutating func portsChanged(_ ports: [PolicyPort]) {
    let old = pair
    pair.0 = ports.first { $0.isCalled(names[0]) }?.index ?? MACTable.noPort
    // Not the same port by two of its names.
    let active = pair.0
    pair.1 = ports.first { $0.isCalled(names[1]) && $0.index != active }?.index ?? MACTable.noPort
    // A port that has come is not silent since its forerunner's last frame.
    if pair.0 != old.0 { words[Word.heard].store(0, ordering: .relaxed) }
    if pair.1 != old.1 { words[Word.heard + 1].store(0, ordering: .relaxed) }
    if !reverts && pair.0 == MACTable.noPort && pair.1 != MACTable.noPort { use(1) }
    if !reverts && pair.1 == MACTable.noPort && pair.0 != MACTable.noPort { use(0) }
  }

  @inline(__always)
  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    var used = usedOne
    if frame.port == pair.0 {
      used = heard(0, used, &view)
    } else if frame.port == pair.1 {
      used = heard(1, used, &view)
    }
    let (inUse, idle) = used == 0 ? pair : (pair.1, pair.0)
    if frame.port == idle {
      view.explain("{\(idle)} stands by for {\(inUse)}")
      return .drop(.standby)
    }
    view.learn(frame.source, at: frame.port)
    var port = frame.destination.isGroup ? MACTable.noPort : view.lookup(frame.destination)
    if port == MACTable.noPort { return .floodBeside(idle) }
    // Learned before the switch-over: it is behind the other one now.
    if port == idle { port = inUse }
    return port == frame.port ? .drop(.samePort) : .forward(port)
  }

  /// 0: the active one; 1: the standby one.
  @inline(__always)
  private var usedOne: Int {
    if pair.1 == MACTable.noPort { return 0 }
    if pair.0 == MACTable.noPort { return 1 }
    return Int(words[Word.used].load(ordering: .relaxed))
  }

  /// One of the pair has sent a frame.
  /// - Returns: which of them is used from here on.
  private func heard(_ which: Int, _ used: Int, _ view: inout NetworkView) -> Int {
    let now = UInt64(view.now) &+ 1
    if !view.isDryRun { note(now, which) }
    if which == used { return used }
    let other = words[Word.heard + used].load(ordering: .relaxed)
    // The silence of the one in use begins with the first frame of this one.
    if other == 0 && !view.isDryRun { note(now, used) }
    let isSilent = silence > 0 && other > 0 && now >= other &+ silence
    guard isSilent || reverts && which == 0 else { return used }
    view.explain(
      isSilent
        ? "the port in use has been silent for \(now - other) s: the other one takes over"
        : "the active port is heard again: it is used again")
    if !view.isDryRun && use(which) { view.count(0) }
    return which
  }

  private func note(_ now: UInt64, _ which: Int) {
    let word = words + (Word.heard + which)
    // Most frames come in a second that is noted: so workers do not take the line from each other.
    if word.pointee.load(ordering: .relaxed) != now { word.pointee.store(now, ordering: .relaxed) }
  }

  /// - Returns: whether the other one was used before.
  @discardableResult
  private func use(_ which: Int) -> Bool {
    words[Word.used].exchange(UInt64(which), ordering: .relaxed) != UInt64(which)
  }
}
