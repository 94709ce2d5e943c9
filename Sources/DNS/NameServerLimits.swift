/// What clients may take from the name server.
public struct NameServerLimits: Sendable {
  /// Queries that wait for an upstream. Beyond either, SERVFAIL at once: so a loop of forwarders ends. Each takes a
  /// descriptor at most; the same question of several clients takes one for all.
  public var waitingQueryCountMax = 1024
  public var waitingQueryCountPerClientMax = 256
  /// TCP connections, a descriptor each. One more is closed at once.
  public var connectionCountMax = 256
  public var connectionCountPerClientMax = 32
  /// Queries of one connection that wait; further ones are read when one is answered.
  public var waitingQueryCountPerConnectionMax = 32
  /// A connection without a whole query, or with an answer that is not taken, for as long is closed (RFC 7766, 6.2.3).
  public var connectionIdleSeconds = 10
  /// A query over TCP. No resolver's comes near; over UDP, 2048 bytes are read.
  public var queryBytesMax = 4096
  /// Records in one answer: of more addresses, as many as that, others each time.
  public var recordCountMax = 512
  /// How long an upstream that was silent is asked last.
  public var silentUpstreamRestSeconds = 30

  public init() {}
}
