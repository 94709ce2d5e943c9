import Dispatch
import Etcd
import FoundationEssentials
import Logging
import Synchronization

/// What was known last, in a file: a daemon that starts while etcd cannot be reached goes on with it.
///
/// Written a second after a change at most, on a queue of its own, and when it is closed. What a crash cuts off is the last second.
final class KnowledgeFile: Sendable {
  private struct Content: Codable {
    struct Entry: Codable {
      var key: String
      var value: String
      var revision: Int64
    }
    var version = 1
    var entries: [Entry]
  }

  private static let delay = DispatchTimeInterval.seconds(1)

  private let path: String
  private let logger: Logger
  private let queue = DispatchQueue(label: "martlet.cluster.knowledge")
  private let isScheduled = Mutex(false)

  init(path: String, logger: Logger) { (self.path, self.logger) = (path, logger) }

  /// Empty where there is none, or none that can be read.
  func read() -> [KeyValue] {
    guard let data = try? Data(contentsOf: URL(filePath: path)) else { return [] }
    guard let content = try? JSONDecoder().decode(Content.self, from: data),
      content.version == Content(entries: []).version
    else {
      logger.warning("cluster: \(path) cannot be read, and is passed over")
      return []
    }
    return content.entries.map {
      KeyValue(
        key: $0.key, value: Data($0.value.utf8), createRevision: $0.revision, modRevision: $0.revision, version: 1)
    }
  }

  /// - Parameter values: called on the queue, later.
  func writeSoon(_ values: @escaping @Sendable () -> [KeyValue]) {
    let isFirst = isScheduled.withLock { scheduled in
      defer { scheduled = true }
      return !scheduled
    }
    guard isFirst else { return }
    queue.asyncAfter(deadline: .now() + Self.delay) { [self] in
      isScheduled.withLock { $0 = false }
      write(values())
    }
  }

  func writeNow(_ values: [KeyValue]) { queue.sync { write(values) } }

  func remove() { queue.sync { try? FileManager.default.removeItem(atPath: path) } }

  private func write(_ values: [KeyValue]) {
    let entries = values.map {
      Content.Entry(key: $0.key, value: String(decoding: $0.value, as: UTF8.self), revision: $0.modRevision)
    }
    do {
      try JSONEncoder().encode(Content(entries: entries)).write(to: URL(filePath: path), options: .atomic)
    } catch {
      logger.warning("cluster: what is known cannot be kept in \(path): \(error)")
    }
  }
}
