import FoundationEssentials
import Glibc
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

// Theory of operation. etcd's gateway serves the v3 API as JSON over HTTP/1.1 (docs/cluster.md says why this and not
// gRPC). One event loop thread moves bytes; every call blocks its caller until the answer is there or time has run out,
// and reads the answer on the caller's thread. Calls go to the endpoint that answered last; one that does not answer is
// left for the next, and when all have been tried there is a pause. What may have been done is not sent again unless
// that does no harm.

/// A client of an etcd cluster.
///
/// Every method may be called from any thread but an event loop's, by several threads at once, and blocks for
/// `EtcdLimits.patience` at most. Sockets are made in the network namespace of the thread that made the client.
public final class EtcdClient: Sendable {
  private struct State {
    /// The endpoint that is asked next.
    var current = 0
    var idle: [Connection] = []
    var token: String?
    var isStopped = false
    /// To be closed when the client stops.
    var open: [ObjectIdentifier: Connection] = [:]
  }

  public let limits: EtcdLimits
  let logger: Logger
  let eventLoop: any EventLoop
  private let configuration: EtcdConfiguration
  private let endpoints: [EtcdEndpoint]
  private let security: TransportSecurity
  private let group: MultiThreadedEventLoopGroup
  private let state = NIOLockedValueBox(State())

  /// Reads the TLS files, and connects to nobody yet.
  public init(_ configuration: EtcdConfiguration, logger: Logger) throws(EtcdError) {
    guard !configuration.endpoints.isEmpty else { throw EtcdError(.invalid, "at least one etcd endpoint is needed") }
    var endpoints: [EtcdEndpoint] = []
    for text in configuration.endpoints { endpoints.append(try EtcdEndpoint(text)) }
    guard (configuration.user == nil) == (configuration.password == nil) else {
      throw EtcdError(.invalid, "an etcd user and a password must be given together")
    }
    security = try TransportSecurity(configuration)
    (self.configuration, self.endpoints, self.logger) = (configuration, endpoints, logger)
    limits = configuration.limits
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    eventLoop = group.next()
  }

  deinit { group.shutdownGracefully { _ in } }

  /// Ends every call under way and every watch with `cancelled`, and refuses new ones. Once more is no error.
  public func stop() {
    let open = state.withLockedValue { state in
      state.isStopped = true
      state.idle = []
      return Array(state.open.values)
    }
    for connection in open { eventLoop.execute { connection.close() } }
  }

  // MARK: Calls

  /// - Parameter isRepeatable: to send the request twice does no harm.
  func call<Answer: Decodable>(
    _ path: String, _ request: some Encodable, isRepeatable: Bool, patience: Duration? = nil
  ) throws(EtcdError) -> Answer {
    let body = try Self.encode(request)
    let deadline = ContinuousClock.now + (patience ?? limits.patience)
    var backoff = Backoff(first: limits.backoff, max: limits.backoffMax)
    var attempts = 0
    var isRenewed = false
    var reason: String?
    while true {
      let (endpoint, number) = try current()
      do throws(EtcdError) {
        return try exchange(path, body, endpoint, deadline, isAuthenticated: true)
      } catch {
        switch error.code {
        case .unauthenticated where !isRenewed && configuration.user != nil:
          isRenewed = true
          continue
        case .unreachable, .uncertain:
          if error.code == .uncertain, !isRepeatable { throw error }
          leave(number)
        default: throw error
        }
        logger.debug("\(error)")
        attempts += 1
        let delay = attempts.isMultiple(of: endpoints.count) ? backoff.delay() : .zero
        // An attempt for which no time was left says less than the one before.
        if reason == nil || ContinuousClock.now < deadline { reason = error.message }
        guard ContinuousClock.now + delay < deadline else {
          throw EtcdError(
            .unreachable, (reason ?? error.message) + (endpoints.count > 1 ? " (none of the endpoints is well)" : ""))
        }
        try pause(delay)
      }
    }
  }

  private func current() throws(EtcdError) -> (EtcdEndpoint, Int) {
    let (number, isStopped) = state.withLockedValue { ($0.current, $0.isStopped) }
    if isStopped { throw Self.stopped }
    return (endpoints[number], number)
  }

  private static var stopped: EtcdError { EtcdError(.cancelled, "the etcd client was stopped") }

  /// Takes the next endpoint, unless another thread did.
  private func leave(_ number: Int) {
    state.withLockedValue { if $0.current == number { $0.current = (number + 1) % endpoints.count } }
  }

  /// Short sleeps, to hear of `stop`.
  private func pause(_ delay: Duration) throws(EtcdError) {
    let end = ContinuousClock.now + delay
    while ContinuousClock.now < end {
      usleep(10_000)
      _ = try current()
    }
  }

  /// One request at one endpoint.
  private func exchange<Answer: Decodable>(
    _ path: String, _ body: ByteBuffer, _ endpoint: EtcdEndpoint, _ deadline: ContinuousClock.Instant,
    isAuthenticated: Bool
  ) throws(EtcdError) -> Answer {
    let connection = try connect(endpoint, deadline)
    let headers = isAuthenticated ? try headers(endpoint, deadline) : HTTPHeaders()
    let answer = WholeAnswer(bytesMax: limits.answerBytesMax, eventLoop: eventLoop)
    let content: WholeAnswer.Content
    do {
      content = try wait(answer.promise.futureResult, until: deadline, limits.answerTimeout) { eventLoop in
        eventLoop.execute { connection.send(path, headers: headers, body: body, to: answer) }
        return { answer.promise.fail(ConnectionFailure(isBeforeRequest: false, reason: "no answer in time")) }
      }
    } catch {
      discard(connection)
      throw failure(error, endpoint)
    }
    keep(connection)
    let place = "\(endpoint)"
    if content.status != .ok { throw refusal(content, path, place, token: headers.first(name: Self.tokenHeader)) }
    return try Self.decode(Answer.self, content.body, from: place)
  }

  /// Waits for `future` no longer than `limit` or `deadline`. `start` begins, and gives what ends it when time is up.
  private func wait<Value: Sendable>(
    _ future: EventLoopFuture<Value>, until deadline: ContinuousClock.Instant, _ limit: Duration,
    _ start: (any EventLoop) -> @Sendable () -> Void
  ) throws -> Value {
    let time = max(.zero, min(limit, ContinuousClock.now.duration(to: deadline)))
    let giveUp = start(eventLoop)
    let timer = eventLoop.scheduleTask(in: TimeAmount(time), giveUp)
    defer { timer.cancel() }
    return try future.wait()
  }

  private func failure(_ error: any Error, _ endpoint: EtcdEndpoint) -> EtcdError {
    if state.withLockedValue({ $0.isStopped }) { return Self.stopped }
    switch error {
    case let error as EtcdError: return EtcdError(error.code, "etcd at \(endpoint): \(error.message)")
    case let failure as ConnectionFailure:
      return EtcdError(
        failure.isBeforeRequest ? .unreachable : .uncertain, "etcd at \(endpoint): \(failure.reason)")
    default: return EtcdError(.unreachable, "etcd at \(endpoint): \(Connection.words(error))")
    }
  }

  // MARK: Authentication

  private static let tokenHeader = "Authorization"

  /// With a token, asked for where there is none.
  func headers(_ endpoint: EtcdEndpoint, _ deadline: ContinuousClock.Instant) throws(EtcdError) -> HTTPHeaders {
    guard let user = configuration.user, let password = configuration.password else { return HTTPHeaders() }
    if let token = state.withLockedValue({ $0.token }) { return [Self.tokenHeader: token] }
    let body = try Self.encode(WireCredentials(name: user, password: password))
    let answer: WireToken
    do throws(EtcdError) {
      answer = try exchange("/v3/auth/authenticate", body, endpoint, deadline, isAuthenticated: false)
    } catch {
      // Nothing has been sent yet of what the caller wants.
      throw error.code == .uncertain ? EtcdError(.unreachable, error.message) : error
    }
    guard answer.token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw EtcdError(.malformed, "etcd at \(endpoint): a token with characters that none may have")
    }
    state.withLockedValue { $0.token = answer.token }
    return [Self.tokenHeader: answer.token]
  }

  /// `token` is of no use any more.
  func forget(_ token: String?) { state.withLockedValue { if $0.token == token { $0.token = nil } } }

  private func refusal(_ content: WholeAnswer.Content, _ path: String, _ place: String, token: String?) -> EtcdError {
    guard let failure = try? Self.decode(WireFailure.self, content.body, from: place) else {
      let hint = content.status == .notFound ? ": is it etcd 3.4 or later?" : ""
      return EtcdError(.malformed, "etcd at \(place) answers \(content.status.code) to \(path)\(hint)")
    }
    let error = EtcdError(status: failure.code, failure.message ?? failure.error ?? "no reason", from: place)
    if error.code == .unauthenticated { forget(token) }
    // It got the request, and may have done it before it gave up.
    return error.code == .unreachable ? EtcdError(.uncertain, error.message) : error
  }

  // MARK: Connections

  private func connect(_ endpoint: EtcdEndpoint, _ deadline: ContinuousClock.Instant) throws(EtcdError) -> Connection {
    let idle = state.withLockedValue { state in
      state.idle.firstIndex { $0.endpoint == endpoint }.map { state.idle.remove(at: $0) }
    }
    if let idle, idle.channel?.isActive == true { return idle }
    return try open(endpoint, deadline)
  }

  /// A connection that is new. `discard` or `keep` comes last.
  private func open(_ endpoint: EtcdEndpoint, _ deadline: ContinuousClock.Instant) throws(EtcdError) -> Connection {
    let context = endpoint.isSecure ? try security.context() : nil
    let connection = Connection(endpoint, eventLoop: eventLoop)
    let serverName = security.serverName(of: endpoint)
    let bootstrap = ClientBootstrap(group: eventLoop)
      .connectTimeout(TimeAmount(limits.connectTimeout))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.socketOption(.so_keepalive), value: 1)
      .channelOption(Self.option(TCP_KEEPIDLE), value: limits.keepaliveSeconds)
      .channelOption(Self.option(TCP_KEEPINTVL), value: limits.keepaliveSeconds)
      .channelOption(Self.option(TCP_KEEPCNT), value: EtcdLimits.keepaliveProbes)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          if let context {
            try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: serverName))
          }
          try pipeline.addHTTPClientHandlers()
          try pipeline.addHandler(connection)
        }
      }
    do {
      try wait(connection.opened.futureResult, until: deadline, limits.connectTimeout) { _ in
        bootstrap.connect(host: endpoint.host, port: endpoint.port).cascadeFailure(to: connection.opened)
        return { connection.opened.fail(ConnectionFailure(isBeforeRequest: true, reason: "no connection in time")) }
      }
    } catch {
      eventLoop.execute { connection.close() }
      let found = failure(error, endpoint)
      throw found.code == .cancelled ? found : EtcdError(.unreachable, found.message)
    }
    let isStopped = state.withLockedValue { state in
      state.open[ObjectIdentifier(connection)] = connection
      return state.isStopped
    }
    if isStopped {
      discard(connection)
      throw Self.stopped
    }
    return connection
  }

  /// Of linux/tcp.h, that NIO has no name for.
  private static func option(_ number: Int32) -> ChannelOptions.Types.SocketOption {
    ChannelOptions.socket(SocketOptionLevel(IPPROTO_TCP), SocketOptionName(number))
  }

  func discard(_ connection: Connection) {
    _ = state.withLockedValue { $0.open.removeValue(forKey: ObjectIdentifier(connection)) }
    eventLoop.execute { connection.close() }
  }

  private func keep(_ connection: Connection) {
    let surplus: [Connection] = state.withLockedValue { state in
      guard !state.isStopped else { return [connection] }
      state.idle.append(connection)
      // Dead ones, of an endpoint that was left, say, go first.
      let dead = state.idle.filter { $0.channel?.isActive != true }
      state.idle.removeAll { $0.channel?.isActive != true }
      return state.idle.count > limits.idleConnectionsMax ? dead + [state.idle.removeFirst()] : dead
    }
    for connection in surplus { discard(connection) }
  }

  /// Begins an answer that goes on. The caller ends it by `discard`.
  func stream(_ path: String, _ request: some Encodable, _ extra: HTTPHeaders) throws(EtcdError) -> (
    LineStream, Connection, token: String?
  ) {
    let body = try Self.encode(request)
    let deadline = ContinuousClock.now + limits.patience
    let (endpoint, number) = try current()
    do throws(EtcdError) {
      let connection = try open(endpoint, deadline)
      do throws(EtcdError) {
        var headers = try headers(endpoint, deadline)
        let token = headers.first(name: Self.tokenHeader)
        headers.add(contentsOf: extra)
        let lines = LineStream(
          connection, lineBytesMax: limits.answerBytesMax, lineTimeout: TimeAmount(limits.answerTimeout),
          eventLoop: eventLoop)
        eventLoop.execute { [headers] in connection.send(path, headers: headers, body: body, to: lines) }
        return (lines, connection, token)
      } catch {
        discard(connection)
        throw error
      }
    } catch {
      if error.code == .unreachable { leave(number) }
      throw error
    }
  }

  /// The endpoint of `connection` is not well.
  func leave(_ connection: Connection) {
    if let number = endpoints.firstIndex(of: connection.endpoint) { leave(number) }
  }

  // MARK: JSON

  static func encode(_ request: some Encodable) throws(EtcdError) -> ByteBuffer {
    do {
      return ByteBuffer(bytes: try JSONEncoder().encode(request))
    } catch {
      throw EtcdError(.invalid, "a request that has no JSON: \(error)")
    }
  }

  static func decode<Answer: Decodable>(
    _ type: Answer.Type, _ body: ByteBuffer, from place: String
  ) throws(EtcdError) -> Answer {
    do {
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return try decoder.decode(type, from: Data(body.readableBytesView))
    } catch {
      throw EtcdError(.malformed, "etcd at \(place): an answer that is not understood: \(words(error))")
    }
  }

  private static func words(_ error: any Error) -> String {
    func field(_ path: [any CodingKey]) -> String { path.map(\.stringValue).joined(separator: ".") }
    switch error {
    case DecodingError.keyNotFound(let key, let context): return "\(field(context.codingPath + [key])) is missing"
    case DecodingError.valueNotFound(_, let context): return "\(field(context.codingPath)) is null"
    case DecodingError.typeMismatch(_, let context): return "\(field(context.codingPath)) is of the wrong type"
    case DecodingError.dataCorrupted(let context):
      let path = field(context.codingPath)
      return path.isEmpty ? "no JSON" : "\(path): \(context.debugDescription)"
    default: return "no JSON"
    }
  }
}
