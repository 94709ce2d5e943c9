/// What a relay did since it started, and what it holds. Counts only grow but for the first three.
public struct RelayStatistics: Equatable, Sendable {
  /// Bound sockets, TCP and UDP: as many as ports are open.
  public var ports = 0
  /// TCP connections that are open, or on their way to the target.
  public var connections = 0
  /// UDP clients that are remembered.
  public var clients = 0

  /// TCP connections that were taken from a backlog.
  public var accepted: UInt64 = 0
  /// Of those, reset because the target refused or could not be reached, or no socket could be made.
  public var refusedByTarget: UInt64 = 0
  /// Of those, reset because the target did not answer in time.
  public var timedOut: UInt64 = 0
  /// Of those, reset because one of their sides was.
  public var reset: UInt64 = 0
  /// Times that a listening socket was left alone because `connectionCountMax` was reached.
  public var pausedAtLimit: UInt64 = 0
  /// Times that a listening socket was left alone because descriptors or memory ran out.
  public var pausedForDescriptors: UInt64 = 0

  /// UDP clients that were seen the first time.
  public var clientsAdded: UInt64 = 0
  /// Of those, ended because they were silent.
  public var clientsExpired: UInt64 = 0
  /// Of those, ended for the sake of a new one, at `clientCountMax` or without descriptors.
  public var clientsEvicted: UInt64 = 0
  /// Of those, ended because the target had no socket on the port.
  public var clientsRefusedByTarget: UInt64 = 0
  /// Datagrams passed on, both ways.
  public var datagrams: UInt64 = 0
  /// Datagrams that could not be passed on.
  public var datagramsDropped: UInt64 = 0

  public init() {}
}
