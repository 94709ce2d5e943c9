/// What a name server did since it started, and what it holds. All but the last two only grow.
public struct NameServerCounters: Equatable, Sendable {
  /// Messages that came, of whatever kind.
  public var queries: UInt64 = 0

  /// Answered from the table, names of ours that have no such record among them.
  public var answered: UInt64 = 0
  /// Asked upstream.
  public var forwarded: UInt64 = 0
  /// Asked upstream already by the same message: they share its answer.
  public var joined: UInt64 = 0
  /// An upstream's answers that were passed on.
  public var relayed: UInt64 = 0

  /// FORMERR, NOTIMP, REFUSED and BADVERS of our own.
  public var malformed: UInt64 = 0
  public var notImplemented: UInt64 = 0
  public var refused: UInt64 = 0
  public var badVersion: UInt64 = 0
  /// SERVFAIL because no upstream answered, or there is none.
  public var failed: UInt64 = 0
  /// SERVFAIL because too many queries wait.
  public var overloaded: UInt64 = 0

  /// No answer: shorter than a header, a response, or from port 0.
  public var droppedRunts: UInt64 = 0
  public var droppedResponses: UInt64 = 0
  /// Answers that the kernel did not take.
  public var unsent: UInt64 = 0
  /// Connections closed for a length that lies, for idleness, or because there were too many.
  public var badLengths: UInt64 = 0
  public var idleConnections: UInt64 = 0
  public var surplusConnections: UInt64 = 0

  /// Of upstreams: no answer in time; an error, or nothing there; and answers to something else than was asked.
  public var upstreamTimeouts: UInt64 = 0
  public var upstreamFailures: UInt64 = 0
  public var upstreamMismatches: UInt64 = 0

  /// Now: queries that wait for an upstream, and TCP connections.
  public var waiting = 0
  public var connections = 0

  public init() {}
}
