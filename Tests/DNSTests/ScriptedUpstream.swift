import CLinux
import Foundation
import Synchronization
import Wire

/// A name server that does what a test says, at a port of 127.0.0.1 in the namespace of the thread that makes it.
final class ScriptedUpstream: @unchecked Sendable {
  struct Query: Equatable {
    var message: [UInt8]
    /// The client's; 0 over TCP.
    var port: UInt16
    var isOverTCP: Bool

    var id: UInt16 { UInt16(message[0]) << 8 | UInt16(message[1]) }
  }

  let port: UInt16
  private let datagrams: TestSocket
  private let streams: TestSocket
  private let log = Mutex<[Query]>([])
  /// Connections that get no answer.
  private let held = Mutex<[TestSocket]>([])
  private let isEnding = Atomic(false)

  /// `answer` gives the messages to be sent back, in order; nil for silence, in which a connection stays open.
  init(port: UInt16, answer: @escaping @Sendable (Query) -> [[UInt8]]?) throws {
    self.port = port
    datagrams = try TestSocket.bound(SOCK_DGRAM, "127.0.0.1", port)
    streams = try TestSocket.bound(SOCK_STREAM, "127.0.0.1", port)
    Thread { [self] in
      while !isEnding.load(ordering: .relaxed) {
        guard let (message, port, reply) = datagrams.receiveDatagram(), !message.isEmpty else { continue }
        let query = Query(message: message, port: port, isOverTCP: false)
        log.withLock { $0.append(query) }
        for message in answer(query) ?? [] { reply(message) }
      }
    }.start()
    Thread { [self] in
      while !isEnding.load(ordering: .relaxed) {
        let number = streams.accept()
        guard number >= 0 else { continue }
        let connection = TestSocket(owning: number)
        guard let message = try? connection.receiveFramed() else { continue }
        let query = Query(message: message, port: 0, isOverTCP: true)
        log.withLock { $0.append(query) }
        guard let messages = answer(query) else {
          held.withLock { $0.append(connection) }
          continue
        }
        for message in messages { try? connection.sendFramed(message) }
      }
    }.start()
  }

  /// What came, in its order.
  var queries: [Query] { log.withLock { $0 } }

  /// Ends the threads; they hold the sockets until then.
  func stop() {
    isEnding.store(true, ordering: .relaxed)
    datagrams.shutDown()
    streams.shutDown()
  }

  /// The answer to `query`: one A record with `address`, life 60.
  static func answer(_ query: [UInt8], _ address: String = "192.0.2.1") -> [UInt8] {
    Array(query[..<2]) + [UInt8](hex: "8180 0001 0001 0000 0000") + question(query)
      + [UInt8](hex: "c00c 0001 0001 0000003c 0004") + IPAddress(address)!.bytes
  }

  /// The answer to `query` with a code and no record.
  static func refusal(_ query: [UInt8], code: UInt8) -> [UInt8] {
    Array(query[..<2]) + [0x81, 0x80 | code] + [UInt8](hex: "0001 0000 0000 0000") + question(query)
  }

  private static func question(_ query: [UInt8]) -> [UInt8] {
    let end = query[12...].firstIndex(of: 0)! + 5
    return Array(query[12..<end])
  }
}

/// A query for the A record of `name`; a length byte counts each label.
func query(_ name: String, id: UInt16 = 0x0962) -> [UInt8] {
  let labels = name.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
  return [UInt8(id >> 8), UInt8(id & 0xFF)] + [UInt8](hex: "0100 0001 0000 0000 0000") + labels + [0, 0, 1, 0, 1]
}
