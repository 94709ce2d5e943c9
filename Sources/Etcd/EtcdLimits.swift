/// How patient a client is, and how much it takes.
public struct EtcdLimits: Sendable {
  /// To be connected to an endpoint, TLS included.
  public var connectTimeout = Duration.seconds(1)
  /// For an answer, once the request was sent. etcd gives up on a request after about 7 s when it has lost its
  /// majority; another endpoint may have one.
  public var answerTimeout = Duration.seconds(2)
  /// For a call in all, over all endpoints.
  public var patience = Duration.seconds(5)
  /// Between two rounds of all endpoints: doubled each time, and between half of it and all of it by chance.
  public var backoff = Duration.milliseconds(50)
  public var backoffMax = Duration.seconds(1)
  /// Of one answer. etcd's own limit of a request is 1.5 MiB, a third more in base64; its gateway takes no answer over
  /// 4 MiB.
  public var answerBytesMax = 8 << 20
  /// Of what is read in pages, keys and values together.
  public var totalBytesMax = 256 << 20
  /// Keys of a page; fewer, where they are too much for one answer.
  public var pageKeys = 500
  /// Connections that are kept for the next request.
  public var idleConnectionsMax = 4
  /// TCP keepalives of a watch begin after so long in silence, and so far apart; three unanswered ones end it.
  public var keepaliveSeconds = 2

  public init() {}

  static let keepaliveProbes = 3
}
