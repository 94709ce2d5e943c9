/// What went wrong with etcd, in a line a user can act on.
public struct EtcdError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Code: String, Sendable {
    /// The configuration or the request makes no sense as it stands.
    case invalid
    /// No endpoint could be talked to in the time given. Nothing was changed.
    case unreachable
    /// The connection was lost, or time ran out, after a change had been sent: it may have been made or not.
    case uncertain
    /// User and password are wrong, or missing.
    case unauthenticated
    /// The user may not do this.
    case denied
    /// No such lease.
    case notFound
    /// The revision asked for is no longer there, or not of this history: everything must be read again.
    case compacted
    /// etcd refused for another reason, which the message tells.
    case refused
    /// What came is no answer of etcd's.
    case malformed
    /// More than this client takes.
    case tooLarge
    /// `stop` or `cancel` was called.
    case cancelled
  }

  public var code: Code
  public var message: String

  public init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }

  public var description: String { message }
}

extension EtcdError {
  /// From an error of etcd's, with its number (google.golang.org/grpc/codes).
  init(status: Int, _ message: String, from place: String) {
    let words = "etcd at \(place): \(message.prefix(Self.messageLengthMax))"
    switch status {
    case 3 where message.contains("user name is empty"):
      self.init(.unauthenticated, words + ": it wants a user and a password")
    case 3 where message.contains("authentication failed"):
      self.init(.denied, words + ": check user and password")
    case 3 where message.contains("auth store is old"): self.init(.unauthenticated, words)
    case 4, 14: self.init(.unreachable, words)
    case 5: self.init(.notFound, words)
    case 7: self.init(.denied, words + ": grant the user's role readwrite on the prefix")
    case 8 where message.contains("larger than max"): self.init(.tooLarge, words)
    case 8 where message.contains("space exceeded"):
      self.init(.refused, words + ": compact and defragment it, then `etcdctl alarm disarm`")
    case 9 where message.contains("not enabled"):
      self.init(.denied, words + ": leave user and password away, or enable it")
    case 11 where message.contains("compacted"): self.init(.compacted, words)
    case 16: self.init(.unauthenticated, words)
    default: self.init(.refused, words)
    }
  }

  /// Of a message that somebody else wrote.
  private static let messageLengthMax = 500
}
