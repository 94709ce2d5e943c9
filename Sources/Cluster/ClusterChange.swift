import FoundationEssentials

/// A thing that came, is another now, or went.
public enum Change<Value: Sendable & Equatable>: Sendable, Equatable {
  case added(Value)
  case changed(Value, from: Value)
  case gone(Value)
}

/// A change of what the hosts of the cluster know together.
public enum ClusterChange: Sendable, Equatable {
  case network(Change<ClusterNetwork>)
  case host(Change<ClusterHost>)
  /// An endpoint that moved is `changed`: on another host under the same id, or another one that has its MAC address or
  /// one of its IP addresses. Own endpoints come too.
  case endpoint(Change<ClusterEndpoint>)
  case service(Change<ClusterService>)
}

/// Whether what is known is what etcd has.
public enum ClusterStatus: Sendable, Equatable {
  case connected
  /// What was known is kept, and may be old.
  case cutOff(since: Date, reason: String)
}

/// Who is told of changes. Called on a thread of the cluster's, with no lock held, one call at a time; the next changes
/// wait until it returns. It may call every method of `Cluster` but `stop` and `leave`.
public protocol ClusterConsumer: AnyObject, Sendable {
  /// In an order in which they can be taken one by one: networks and hosts come before their endpoints and services, and
  /// go after them.
  func take(_ changes: [ClusterChange])
  func statusChanged(_ status: ClusterStatus)
}
