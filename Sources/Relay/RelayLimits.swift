/// Bounds of one relay, and its times.
public struct RelayLimits: Sendable {
  /// TCP connections, two descriptors each. Those beyond it wait in the backlogs of their listening sockets.
  public var connectionCountMax = 8192
  /// UDP clients, a descriptor each. One more ends the client that was silent longest.
  public var clientCountMax = 4096
  /// How long a UDP client is remembered after its last datagram, either way (RFC 4787, 4.3).
  public var clientIdleSeconds = 300
  /// How long a target may take to answer a connection's first segment.
  public var connectTimeoutMilliseconds = 10_000
  /// Connections that wait to be accepted, a listening socket; the kernel's net.core.somaxconn holds too.
  public var backlog: Int32 = 4096

  public init() {}
}
