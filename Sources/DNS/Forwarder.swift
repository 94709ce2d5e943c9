import Logging
import NIOCore
import NIOPosix
import Synchronization
import Wire

/// One question on its way to the upstreams, for everybody who asked it in the same words.
final class Exchange {
  /// Clients that sent the same bytes but for the id, over the same transport: a forwarder that comes to ask itself
  /// does.
  struct Key: Hashable {
    /// The query under id 0.
    let message: [UInt8]
    let isOverTCP: Bool
  }

  let key: Key
  let question: Question
  let payloadMax: Int
  var waiters: [Forwarder.Waiter] = []
  /// The upstreams to ask in turn. The first `asked` were; the last of those is being asked.
  let plan: [Upstreams.Server]
  let timeout: TimeAmount
  var asked = 0
  /// Of the upstream that is being asked.
  var id: UInt16 = 0
  var channel: (any Channel)?
  var timer: Scheduled<Void>?
  /// An upstream's answer that says it cannot tell: given where none can.
  var refusal: [UInt8]?

  init(key: Key, question: Question, payloadMax: Int, plan: [Upstreams.Server], timeout: TimeAmount) {
    (self.key, self.question, self.payloadMax, self.plan, self.timeout) = (key, question, payloadMax, plan, timeout)
  }

  func endAttempt() {
    timer?.cancel()
    timer = nil
    let channel = self.channel
    self.channel = nil
    channel?.close(promise: nil)
  }
}

/// Asks the upstreams in turn, each question from a socket of its own, so from a random port, under a random id (RFC
/// 5452). All of it belongs to the event loop, but for `upstreams`.
final class Forwarder: @unchecked Sendable {
  /// Who waits for an answer, for the limits.
  struct Client: Hashable {
    var listener: Listener
    /// Nil where all of the listener's askers are one sandbox.
    var address: IPAddress?
  }

  struct Waiter {
    var id: UInt16
    var client: Client
    /// Where a datagram came from: sent again with the same id it is the same query. Nil for a connection's.
    var origin: SocketAddress?
    var reply: ([UInt8]) -> Void
  }

  let upstreams = Mutex(Upstreams.none)
  let eventLoop: any EventLoop
  private let limits: NameServerLimits
  private let responder: Responder
  private let logger: Logger
  private var exchanges: [Exchange.Key: Exchange] = [:]
  private var waitingByClient: [Client: Int] = [:]
  private var waiting = 0
  /// When those that were silent are asked in their order again.
  private var resting: [Upstreams.Server: NIODeadline] = [:]
  private var isStopped = false

  init(eventLoop: any EventLoop, limits: NameServerLimits, responder: Responder, logger: Logger) {
    (self.eventLoop, self.limits, self.responder, self.logger) = (eventLoop, limits, responder, logger)
  }

  /// `waiter` gets one answer, under its own id, unless the name server stops before.
  func forward(_ message: [UInt8], _ question: Question, payloadMax: Int, isOverTCP: Bool, for waiter: Waiter) {
    eventLoop.preconditionInEventLoop()
    guard !isStopped else { return }
    let key = Exchange.Key(message: message.withID(0), isOverTCP: isOverTCP)
    if let exchange = exchanges[key] {
      // Clients of several namespaces may have one address.
      let isRepeated = exchange.waiters.contains { other in
        other.id == waiter.id && other.origin != nil && other.origin == waiter.origin && other.client == waiter.client
      }
      responder.count { $0.joined += 1 }
      if isRepeated || !admit(waiter, message) { return }
      exchange.waiters.append(waiter)
      return
    }
    guard admit(waiter, message) else { return }
    let upstreams = self.upstreams.withLock { $0 }
    let exchange = Exchange(
      key: key, question: question, payloadMax: payloadMax, plan: plan(upstreams),
      timeout: .seconds(Int64(upstreams.timeoutSeconds)))
    exchange.waiters = [waiter]
    exchanges[key] = exchange
    askNext(exchange)
  }

  func stop() {
    eventLoop.preconditionInEventLoop()
    isStopped = true
    let ended = exchanges.values
    exchanges = [:]
    for exchange in ended {
      exchange.waiters = []
      exchange.endAttempt()
    }
  }

  private func admit(_ waiter: Waiter, _ message: [UInt8]) -> Bool {
    let ofClient = waitingByClient[waiter.client, default: 0]
    guard waiting < limits.waitingQueryCountMax, ofClient < limits.waitingQueryCountPerClientMax else {
      responder.count { $0.overloaded += 1 }
      if let bytes = Forwarder.failure(to: message) { waiter.reply(bytes.withID(waiter.id)) }
      return false
    }
    waiting += 1
    waitingByClient[waiter.client] = ofClient + 1
    responder.count { $0.waiting += 1 }
    return true
  }

  /// Those that were silent come last; resolv.conf's order otherwise.
  private func plan(_ upstreams: Upstreams) -> [Upstreams.Server] {
    let now = NIODeadline.now()
    resting = resting.filter { $0.value > now }
    let once = upstreams.servers.filter { resting[$0] == nil } + upstreams.servers.filter { resting[$0] != nil }
    return Array(repeatElement(once, count: max(upstreams.attempts, 1)).joined())
  }

  private func askNext(_ exchange: Exchange) {
    // First, so that nothing counts any more of what the last one says, that it is closed now for instance.
    exchange.asked += 1
    exchange.endAttempt()
    guard exchange.asked <= exchange.plan.count else { return giveUp(exchange) }
    let server = exchange.plan[exchange.asked - 1]
    exchange.id = .random(in: .min ... .max)
    responder.count { $0.forwarded += 1 }
    let attempt = UpstreamAttempt(number: exchange.asked, exchange: exchange, forwarder: self)
    exchange.timer = eventLoop.assumeIsolated().scheduleTask(in: exchange.timeout) { [self] in
      guard attempt.isCurrent else { return }
      responder.count { $0.upstreamTimeouts += 1 }
      logger.debug("upstream \(server.address) is silent")
      resting[server] = .now() + .seconds(Int64(limits.silentUpstreamRestSeconds))
      askNext(exchange)
    }
    attempt.start(server, exchange.key.message.withID(exchange.id))
  }

  /// The upstream that is being asked has nothing for us: refused, closed, out of reach.
  func failed(_ exchange: Exchange) {
    responder.count { $0.upstreamFailures += 1 }
    askNext(exchange)
  }

  /// Whether `message` was the answer; anything else may be forged, and the wait goes on (RFC 5452, 9.1).
  func receive(_ message: [UInt8], for exchange: Exchange) -> Bool {
    guard let header = Header(message), header.isResponse, header.id == exchange.id,
      header.opcode == Header.standardQuery, answers(message, header, exchange)
    else {
      responder.count { $0.upstreamMismatches += 1 }
      return false
    }
    resting[exchange.plan[exchange.asked - 1]] = nil
    // As glibc's resolver does: another may know.
    let cannotTell = [ResponseCode.serverFailure, ResponseCode.notImplemented, ResponseCode.refused]
    if cannotTell.contains(UInt16(header.responseCode)) {
      exchange.refusal = message
      failed(exchange)
    } else {
      responder.count { $0.relayed += UInt64(exchange.waiters.count) }
      finish(exchange, message)
    }
    return true
  }

  /// Some servers give an error without the question back.
  private func answers(_ message: [UInt8], _ header: Header, _ exchange: Exchange) -> Bool {
    if header.questionCount == 0 {
      return ![ResponseCode.noError, ResponseCode.nameError].contains(UInt16(header.responseCode))
    }
    return header.questionCount == 1 && Question(message: message) == exchange.question
  }

  private func giveUp(_ exchange: Exchange) {
    responder.count { $0.failed += UInt64(exchange.waiters.count) }
    finish(exchange, exchange.refusal ?? Forwarder.failure(to: exchange.key.message))
  }

  private func finish(_ exchange: Exchange, _ message: [UInt8]?) {
    exchanges[exchange.key] = nil
    let waiters = exchange.waiters
    exchange.waiters = []
    exchange.endAttempt()
    waiting -= waiters.count
    responder.count { $0.waiting -= waiters.count }
    for waiter in waiters {
      let left = waitingByClient[waiter.client, default: 1] - 1
      waitingByClient[waiter.client] = left == 0 ? nil : left
    }
    guard let message else { return }
    let fits = exchange.key.isOverTCP || message.count <= exchange.payloadMax
    guard let answer = fits ? message : Forwarder.truncated(message, to: exchange.key.message) else { return }
    for waiter in waiters { waiter.reply(answer.withID(waiter.id)) }
  }

  /// An upstream's answer that is more than the client takes: without its records, with TC (RFC 2181, 9).
  private static func truncated(_ answer: [UInt8], to message: [UInt8]) -> [UInt8]? {
    guard let query = Query(message), let header = Header(answer) else { return nil }
    var response = Response(UInt16(header.responseCode))
    response.isTruncated = true
    return response.encoded(for: query, limit: Query.plainPayloadMax)
  }

  private static func failure(to message: [UInt8]) -> [UInt8]? {
    guard let query = Query(message) else { return nil }
    return Response(ResponseCode.serverFailure).encoded(for: query, limit: Query.plainPayloadMax)
  }
}
