import Etcd
import Foundation
import Logging
import Support
import Testing

/// An etcd of its own for each test, in a network namespace of its own.
struct EtcdBed {
  static let skip: Comment = "needs root, and etcd, which tools/test unpacks"

  let namespace: TestNamespace
  let server: EtcdServer

  static func run(_ options: String..., body: (EtcdBed) throws -> Void) throws {
    let namespace = try TestNamespace()
    let server = try EtcdServer(in: namespace, options: options)
    try server.start()
    defer { server.kill() }
    try body(EtcdBed(namespace: namespace, server: server))
  }

  /// Its socket is the namespace's.
  func client(
    _ change: (inout EtcdConfiguration) -> Void = { _ in }
  ) throws -> EtcdClient { try namespace.client([server.endpoint], change) }
}

extension TestNamespace {
  func client(
    _ endpoints: [String], _ change: (inout EtcdConfiguration) -> Void = { _ in }
  ) throws -> EtcdClient {
    var configuration = EtcdConfiguration(endpoints: endpoints)
    // Two processors, and other tests beside this one.
    configuration.limits.connectTimeout = .seconds(5)
    configuration.limits.answerTimeout = .seconds(10)
    configuration.limits.patience = .seconds(20)
    change(&configuration)
    return try inside { try EtcdClient(configuration, logger: Logger(label: "etcd")) }
  }
}

/// Waits until `condition` holds, thirty seconds at most.
func eventually(
  _ words: Comment, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () throws -> Bool
) throws {
  let end = ContinuousClock.now + .seconds(30)
  while try !condition() {
    try #require(ContinuousClock.now < end, words, sourceLocation: sourceLocation)
    usleep(5000)
  }
}

/// What `body` throws must be of this code.
@discardableResult
func expect<Value>(
  _ code: EtcdError.Code, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Value
) -> EtcdError? {
  let error = #expect(throws: EtcdError.self, sourceLocation: sourceLocation) { _ = try body() }
  #expect(error?.code == code, "\(error.map { "\($0)" } ?? "nothing thrown")", sourceLocation: sourceLocation)
  return error
}

extension Data {
  init(_ text: String) { self = Data(text.utf8) }
  var text: String { String(decoding: self, as: UTF8.self) }
}
