import ControlModel
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix

/// One client's connection, after NIO's HTTP decoder and its pipeline handler, which lets the next request in only when the
/// last one's answer is written. All state belongs to the connection's event loop; the responder runs on `worker`.
///
/// A timer runs whenever we wait for the client (for a request, the rest of one, or for it to take an answer) and never while
/// it waits for us: neither a client that dawdles nor one that goes away keeps a connection.
final class ConnectionHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private enum State {
    case idle
    case receiving(HTTPRequestHead)
    case serving
    /// The last answer is on its way; whatever else comes is dropped.
    case closing
  }

  private let responder: any Responder
  private let worker: NIOThreadPool
  private let limits: ServerLimits
  private let logger: Logger
  /// One connection too many: it is told so and closed.
  private let surplus: Bool

  private var state = State.idle
  private var body: [UInt8] = []
  private var inputClosed = false
  private var deadline: Scheduled<Void>?

  init(
    responder: any Responder, worker: NIOThreadPool, limits: ServerLimits, logger: Logger, surplus: Bool
  ) {
    self.responder = responder
    self.worker = worker
    self.limits = limits
    self.logger = logger
    self.surplus = surplus
  }

  func channelActive(context: ChannelHandlerContext) {
    guard surplus else { return armDeadline(context) }
    let error = ControlError(.exhausted, "the daemon already serves \(limits.connectionsMax) connections")
    finish(responder.refusal(error, status: .serviceUnavailable), context: context)
  }

  func channelInactive(context: ChannelHandlerContext) {
    deadline?.cancel()
    deadline = nil
    state = .closing
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch (unwrapInboundIn(data), state) {
    case (.head(let head), .idle): receive(head, context: context)
    case (.body(let bytes), .receiving):
      guard body.count + bytes.readableBytes <= limits.bodyBytesMax else { return refuseBody(context: context) }
      body.append(contentsOf: bytes.readableBytesView)
    case (.end, .receiving(let head)): serve(head, context: context)
    default: break
    }
  }

  private func receive(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
    state = .receiving(head)
    body.removeAll()
    let declared = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
    guard declared <= limits.bodyBytesMax else { return refuseBody(context: context) }
    // RFC 9110, section 10.1.1: the client holds its body back until it hears this.
    if head.headers.first(name: "expect")?.lowercased() == "100-continue" {
      context.writeAndFlush(
        wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
    }
  }

  private func serve(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
    state = .serving
    deadline?.cancel()
    let (responder, body) = (responder, body)
    let answer = worker.runIfActive(eventLoop: context.eventLoop) {
      responder.answer(head, body: body)
    }
    let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
    answer.whenComplete { result in
      let (handler, context) = bound.value
      let stopping = ControlError(.system, "the daemon is stopping")
      let answer = (try? result.get()) ?? handler.responder.refusal(stopping, status: .serviceUnavailable)
      handler.logger.debug("\(head.method.rawValue) \(head.uri): \(answer.status.code)")
      handler.write(answer, to: head, context: context)
    }
  }

  private func write(_ answer: Answer, to head: HTTPRequestHead, context: ChannelHandlerContext) {
    guard case .serving = state else { return }
    guard head.isKeepAlive, !inputClosed else {
      return finish(answer, withoutBody: head.method == .HEAD, context: context)
    }
    // Before the write: a pipelined request is delivered from within it.
    state = .idle
    armDeadline(context)
    send(answer, keepAlive: true, withoutBody: head.method == .HEAD, context: context, promise: nil)
  }

  private func refuseBody(context: ChannelHandlerContext) {
    let error = ControlError(.tooLarge, "the request's body is larger than \(limits.bodyBytesMax) bytes")
    finish(responder.refusal(error, status: .payloadTooLarge), context: context)
  }

  /// The last answer on this connection.
  private func finish(_ answer: Answer, withoutBody: Bool = false, context: ChannelHandlerContext) {
    state = .closing
    body.removeAll()
    armDeadline(context)
    let written = context.eventLoop.makePromise(of: Void.self)
    let bound = context.loopBound
    written.futureResult.whenComplete { _ in bound.value.close(promise: nil) }
    send(answer, keepAlive: false, withoutBody: withoutBody, context: context, promise: written)
  }

  private func send(
    _ answer: Answer, keepAlive: Bool, withoutBody: Bool, context: ChannelHandlerContext,
    promise: EventLoopPromise<Void>?
  ) {
    var headers = HTTPHeaders()
    // A 204 has neither (RFC 9110, section 8.6).
    if answer.status != .noContent {
      headers.add(name: "content-type", value: answer.contentType)
      headers.add(name: "content-length", value: String(answer.body.count))
    }
    if let allow = answer.allow { headers.add(name: "allow", value: allow) }
    for field in answer.headers { headers.add(name: field.name, value: field.value) }
    if !keepAlive { headers.add(name: "connection", value: "close") }
    let head = HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if !answer.body.isEmpty, !withoutBody {
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))), promise: nil)
    }
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
    inputClosed = true
    switch state {
    case .idle, .receiving: context.close(promise: nil)
    // The client still reads: it gets its answer.
    case .serving, .closing: break
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch (error, state) {
    case (_, .closing): break
    case (HTTPParserError.headerOverflow, .idle), (HTTPParserError.headerOverflow, .receiving):
      let message =
        "the request's header is larger than \(limits.headerBytesMax) bytes or \(limits.headerFieldsMax) fields"
      let refusal = responder.refusal(ControlError(.tooLarge, message), status: .requestHeaderFieldsTooLarge)
      finish(refusal, context: context)
    case (let error as HTTPParserError, .idle), (let error as HTTPParserError, .receiving):
      let refusal = ControlError(.invalid, "malformed HTTP: \(error)")
      finish(responder.refusal(refusal, status: .badRequest), context: context)
    default: context.close(promise: nil)
    }
  }

  private func armDeadline(_ context: ChannelHandlerContext) {
    deadline?.cancel()
    let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
    deadline = context.eventLoop.scheduleTask(in: limits.clientPatience) {
      let (handler, context) = bound.value
      guard case .receiving = handler.state else { return context.close(promise: nil) }
      let error = ControlError(.invalid, "the request was not complete in time")
      handler.finish(handler.responder.refusal(error, status: .requestTimeout), context: context)
    }
  }
}
