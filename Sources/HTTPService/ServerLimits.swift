import NIOCore

/// What one client, or all of them, may take from the daemon.
public struct ServerLimits: Sendable {
  public var bodyBytesMax = 1 << 20
  /// Of all header fields, and of the request's target.
  public var headerBytesMax = 16 << 10
  public var headerFieldsMax = 64
  /// Further connections are told so and closed. Each takes one descriptor.
  public var connectionsMax = 128
  /// For a whole request to come in, for an answer to be taken, and between two requests.
  public var clientPatience = TimeAmount.seconds(60)
  /// For the answers under way when the server stops.
  public var stopPatience = TimeAmount.seconds(5)

  public init() {}
}
