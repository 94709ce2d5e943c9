import FoundationEssentials
import NIOCore
import NIOHTTP1

/// A change of a key.
public enum WatchEvent: Sendable, Equatable {
  case put(KeyValue)
  /// Deleted, or gone with its lease, at this revision.
  case delete(String, modRevision: Int64)

  public var key: String {
    switch self {
    case .put(let value): value.key
    case .delete(let key, _): key
    }
  }

  public var modRevision: Int64 {
    switch self {
    case .put(let value): value.modRevision
    case .delete(_, let revision): revision
    }
  }
}

/// Changes in their order. Without any it only says how far the watch has come (progress notify).
public struct WatchAnswer: Sendable, Equatable {
  public var events: [WatchEvent]
  /// From where another watch would go on. After a part of a large answer that is within it: its last events come
  /// again.
  public var nextRevision: Int64
}

/// Changes of a range of keys as they come, until it throws. Ends when the last reference goes.
///
/// `next` may be called from any thread but an event loop's, one at a time; `cancel` from any thread. What nobody takes
/// stays with etcd but for the size of one answer.
public final class Watch: Sendable {
  private let client: EtcdClient
  private let connection: Connection
  private let lines: LineStream
  private let place: String
  private let token: String?
  /// Of the store when the watch began.
  public let revision: Int64

  /// Begins at `from`. Blocks until etcd has taken it.
  init(_ client: EtcdClient, _ range: KeyRange, from: Int64) throws(EtcdError) {
    let request = WireWatch(
      createRequest: .init(key: range.start, rangeEnd: range.end, startRevision: WireNumber(from)))
    // A member that has lost its majority ends the watch, instead of being silent (etcd's WithRequireLeader).
    let (lines, connection, token) = try client.stream(
      "/v3/watch", request, ["Grpc-Metadata-hasleader": "true"])
    (self.client, self.lines, self.connection, self.token) = (client, lines, connection, token)
    place = "\(connection.endpoint)"
    do throws(EtcdError) {
      guard let first = try Self.answer(lines, place, client.limits.answerTimeout) else {
        client.leave(connection)
        throw EtcdError(.unreachable, "etcd at \(place): no answer in time")
      }
      if let end = Self.end(first, place) { throw end }
      guard first.created == true, let revision = first.header?.revision else {
        throw EtcdError(.malformed, "etcd at \(place): a watch that does not begin")
      }
      self.revision = revision.value
      // A store that was emptied or put back would be silent until it has come so far again.
      guard from <= revision.value + 1 else {
        throw EtcdError(
          .compacted, "etcd at \(place): revision \(from) is not there yet: it is not the store it was")
      }
    } catch {
      client.discard(connection)
      if error.code == .unauthenticated { client.forget(token) }
      throw error
    }
  }

  deinit { client.discard(connection) }

  /// The next changes; nil where none came in time.
  public func next(within time: Duration? = nil) throws(EtcdError) -> WatchAnswer? {
    guard let answer = try Self.answer(lines, place, time) else { return nil }
    if let end = Self.end(answer, place) {
      if end.code == .unauthenticated { client.forget(token) }
      throw end
    }
    var events: [WatchEvent] = []
    for event in answer.events ?? [] {
      let value = KeyValue(event.kv)
      guard value.modRevision > 0 else { throw EtcdError(.malformed, "etcd at \(place): mod_revision is missing") }
      switch event.type ?? "PUT" {
      case "PUT": events.append(.put(value))
      case "DELETE": events.append(.delete(value.key, modRevision: value.modRevision))
      default: throw EtcdError(.malformed, "etcd at \(place): an event that is neither PUT nor DELETE")
      }
    }
    guard let last = events.last?.modRevision ?? answer.header?.revision?.value, last > 0 else {
      throw EtcdError(.malformed, "etcd at \(place): header.revision is missing")
    }
    return WatchAnswer(events: events, nextRevision: answer.fragment == true ? last : last + 1)
  }

  /// Who waits gets `cancelled`. Once more is no error.
  public func cancel() {
    client.eventLoop.execute { [lines] in lines.cancel(EtcdError(.cancelled, "the watch was cancelled")) }
  }

  private static func answer(
    _ lines: LineStream, _ place: String, _ time: Duration?
  ) throws(EtcdError) -> WireWatchAnswer? {
    let line: ByteBuffer?
    do {
      line = try lines.eventLoop.flatSubmit { lines.next(within: time.map { TimeAmount($0) }) }.wait()
    } catch let error as EtcdError {
      throw error.code == .cancelled ? error : EtcdError(error.code, "etcd at \(place): \(error.message)")
    } catch {
      throw EtcdError(.unreachable, "etcd at \(place): \(Connection.words(error))")
    }
    guard let line else { return nil }
    if let streamed = try? EtcdClient.decode(WireStreamed<WireWatchAnswer>.self, line, from: place) {
      if let failure = streamed.error {
        throw EtcdError(status: failure.grpcCode ?? 0, failure.message ?? "no reason", from: place)
      }
      if let result = streamed.result { return result }
    } else if let failure = try? EtcdClient.decode(WireFailure.self, line, from: place) {
      throw EtcdError(status: failure.code, failure.message ?? failure.error ?? "no reason", from: place)
    }
    // Once more for its words.
    _ = try EtcdClient.decode(WireStreamed<WireWatchAnswer>.self, line, from: place)
    throw EtcdError(.malformed, "etcd at \(place): result is missing")
  }

  /// Why etcd ended the watch.
  private static func end(_ answer: WireWatchAnswer, _ place: String) -> EtcdError? {
    if let revision = answer.compactRevision?.value, revision > 0 {
      return EtcdError(.compacted, "etcd at \(place): all before revision \(revision) is forgotten")
    }
    guard answer.canceled == true else { return nil }
    let reason = answer.cancelReason ?? "no reason"
    let status = [("Unauthenticated", 16), ("PermissionDenied", 7), ("Unavailable", 14)].first { name, _ in
      reason.contains("code = \(name)")
    }
    let isLeaderless = reason.contains("no leader")
    return EtcdError(status: isLeaderless ? 14 : status?.1 ?? 2, "it ended the watch: \(reason)", from: place)
  }
}

extension EtcdClient {
  /// Watches a range from a revision on (rpc.proto, WatchCreateRequest, with progressNotify and fragment). `compacted`
  /// where that revision is forgotten: now or from `next`.
  public func watch(_ range: KeyRange, from revision: Int64) throws(EtcdError) -> Watch {
    guard revision > 0 else { throw EtcdError(.invalid, "a watch needs a revision to begin at") }
    do throws(EtcdError) {
      return try Watch(self, range, from: revision)
    } catch {
      // The token was forgotten; with a new one, once.
      guard error.code == .unauthenticated else { throw error }
      return try Watch(self, range, from: revision)
    }
  }
}
