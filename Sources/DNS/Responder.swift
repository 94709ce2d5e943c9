import CLibldns
import Synchronization
import Wire

/// Where a message came from.
struct Asker: Sendable {
  var clientele: Clientele
  /// Nil where there is none, as on a Unix socket.
  var source: IPAddress?
  /// The source is the address served at: the host itself.
  var isHost = false
  var isOverTCP = false
}

/// Decides what becomes of a message: from its bytes, the asker and the table alone. On any thread.
final class Responder: Sendable {
  enum Decision: Equatable {
    /// No answer, as the protocol wants it.
    case drop
    case answer([UInt8])
    /// Ask upstream; over UDP the client takes `payloadMax` bytes.
    case forward(Question, payloadMax: Int)
  }

  let table: Mutex<NameTable>
  let counters: Mutex<NameServerCounters>

  init(limits: NameServerLimits) {
    table = Mutex(NameTable(recordCountMax: limits.recordCountMax))
    counters = Mutex(NameServerCounters())
  }

  func count(_ change: (inout NameServerCounters) -> Void) { counters.withLock { change(&$0) } }

  func decide(_ message: [UInt8], from asker: Asker) -> Decision {
    count { $0.queries += 1 }
    guard let header = Header(message) else { return drop { $0.droppedRunts += 1 } }
    // A response that is answered is a loop.
    if header.isResponse { return drop { $0.droppedResponses += 1 } }
    guard header.opcode == Header.standardQuery else {
      count { $0.notImplemented += 1 }
      return Self.decision(Response(ResponseCode.notImplemented).encoded(for: header))
    }
    guard let query = Query(message) else {
      count { $0.malformed += 1 }
      return Self.decision(Response(ResponseCode.formatError).encoded(for: header))
    }
    return decide(query, from: asker)
  }

  private func decide(_ query: borrowing Query, from asker: Asker) -> Decision {
    let limit =
      asker.isOverTCP ? Int(LDNS_MAX_PACKETLEN) : min(query.payloadMax, Query.safePayloadMax)
    guard query.versionOfEDNS == 0 else {
      count { $0.badVersion += 1 }
      return Self.decision(Response(ResponseCode.badVersion).encoded(for: query, limit: limit))
    }
    let question = query.question
    let finding: NameTable.Finding? = table.withLock { table in
      guard question.isInternet, !question.type.isMeta,
        let scope = table.scope(of: asker.clientele, source: asker.source, isHost: asker.isHost)
      else { return nil }
      return table.find(question, in: scope)
    }
    var response: Response
    switch finding {
    case nil:
      count { $0.refused += 1 }
      response = Response(ResponseCode.refused)
    case .unknown:
      return .forward(question, payloadMax: query.payloadMax)
    case _ where question.type == .any:
      count { $0.notImplemented += 1 }
      response = Response(ResponseCode.notImplemented)
    case .noSuchName:
      count { $0.answered += 1 }
      response = Response(ResponseCode.nameError)
      response.isAuthoritative = true
    case .records(let records, let additional):
      count { $0.answered += 1 }
      response = Response(ResponseCode.noError)
      response.isAuthoritative = true
      (response.answers, response.additional) = (records, additional)
    }
    return Self.decision(response.encoded(for: query, limit: limit))
  }

  private func drop(_ change: (inout NameServerCounters) -> Void) -> Decision {
    count(change)
    return .drop
  }

  /// Nil is want of memory.
  private static func decision(_ bytes: [UInt8]?) -> Decision { bytes.map { .answer($0) } ?? .drop }
}

extension Array<UInt8> {
  /// The message under another id.
  func withID(_ id: UInt16) -> [UInt8] {
    var copy = self
    martlet_ldns_set_id(&copy, id)
    return copy
  }
}
