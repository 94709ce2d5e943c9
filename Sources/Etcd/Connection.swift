import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOTLS

/// What becomes of an answer. Called on the event loop; `end` or `fail` comes last, once.
protocol AnswerReader: AnyObject {
  func receive(_ status: HTTPResponseStatus)
  /// False: enough, the connection is closed.
  func receive(_ bytes: ByteBuffer) -> Bool
  func end()
  func fail(_ failure: ConnectionFailure)
}

/// Why a connection gave no answer, or no further one.
struct ConnectionFailure: Error {
  /// The request cannot have reached etcd's store.
  var isBeforeRequest: Bool
  var reason: String
}

/// One connection to one endpoint, for one request at a time (HTTP/1.1). Belongs to the event loop.
final class Connection: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  let endpoint: EtcdEndpoint
  let opened: EventLoopPromise<Void>
  private(set) var channel: (any Channel)?
  private var reader: (any AnswerReader)?
  private var isOpen = false
  private var isAnswered = false
  /// An earlier one too.
  private var wasAnswered = false
  private var staysOpen = true
  private var troubles: String?

  init(_ endpoint: EtcdEndpoint, eventLoop: any EventLoop) {
    self.endpoint = endpoint
    opened = eventLoop.makePromise()
  }

  func handlerAdded(context: ChannelHandlerContext) { channel = context.channel }

  func channelActive(context: ChannelHandlerContext) { if !endpoint.isSecure { opening() } }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted? = event as? TLSUserEvent { opening() }
  }

  private func opening() {
    isOpen = true
    opened.succeed()
  }

  /// Sends a request whose answer goes to `reader`. Not while another one is under way.
  func send(_ path: String, headers: HTTPHeaders, body: ByteBuffer, to reader: any AnswerReader) {
    guard let channel, channel.isActive, self.reader == nil else {
      return reader.fail(ConnectionFailure(isBeforeRequest: true, reason: whyClosed))
    }
    (self.reader, isAnswered) = (reader, false)
    var headers = headers
    headers.add(name: "Host", value: endpoint.authority)
    headers.add(name: "Content-Type", value: "application/json")
    headers.add(name: "Content-Length", value: String(body.readableBytes))
    let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: path, headers: headers)
    channel.write(HTTPClientRequestPart.head(head), promise: nil)
    channel.write(HTTPClientRequestPart.body(.byteBuffer(body)), promise: nil)
    channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard let reader else { return close() }
    switch unwrapInboundIn(data) {
    case .head(let head):
      (isAnswered, wasAnswered) = (true, true)
      staysOpen = head.isKeepAlive
      reader.receive(head.status)
    case .body(let bytes):
      if !reader.receive(bytes) { close() }
    case .end:
      self.reader = nil
      if !staysOpen { close() }
      reader.end()
    }
  }

  /// May be called once more.
  func close() { channel?.close(promise: nil) }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    let words = Self.words(error)
    if troubles == nil { troubles = words }
    // With TLS 1.3 a server tells only after its client's handshake that it does not take the certificate.
    let isSecurity = error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError
    end(ConnectionFailure(isBeforeRequest: !isOpen || (isSecurity && !isAnswered), reason: words))
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    end(ConnectionFailure(isBeforeRequest: !isOpen, reason: whyClosed))
  }

  private var whyClosed: String {
    // Some servers close without a word where they do not take a certificate.
    let hint = endpoint.isSecure && !wasAnswered ? ": it may not take our certificate" : ""
    return troubles ?? "the connection was closed" + hint
  }

  private func end(_ failure: ConnectionFailure) {
    opened.fail(failure)
    let reader = self.reader
    self.reader = nil
    reader?.fail(failure)
  }

  static func words(_ error: any Error) -> String {
    switch error {
    case let failure as ConnectionFailure: failure.reason
    case is HTTPParserError: "no HTTP came back"
    case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: securityWords("\(error)")
    case let error as NIOConnectionError:
      error.connectionErrors.first.map { words($0.error) } ?? "its name has no address: \(error.host)"
    case let error as IOError: error.localizedDescription
    default: "\(error)"
    }
  }

  /// The library's own tell a line of its source.
  private static func securityWords(_ text: String) -> String {
    let names = text.matches(of: /OPENSSL_internal:(\w+)/).map { String($0.1) }
    if names.contains(where: { $0.contains("ALERT") && $0.contains("CERTIFICATE") }) {
      return "TLS: it does not take our certificate (\(names.joined(separator: ", ")))"
    }
    // Where there is no name to look for.
    let words = text.replacing("find <none> in", with: "find its address in")
    return "TLS: \(names.isEmpty ? words : names.joined(separator: ", "))"
  }
}
