import NIOCore
import NIOPosix

/// One upstream that is asked once, over the transport by which the client asked. Belongs to the event loop.
final class UpstreamAttempt: @unchecked Sendable {
  private let number: Int
  private let exchange: Exchange
  private let forwarder: Forwarder

  init(number: Int, exchange: Exchange, forwarder: Forwarder) {
    (self.number, self.exchange, self.forwarder) = (number, exchange, forwarder)
  }

  /// Neither answered nor given up.
  var isCurrent: Bool { exchange.asked == number && !exchange.waiters.isEmpty }

  /// The socket is made in the network namespace of the event loop's thread. Connected, so that the kernel takes
  /// answers from the upstream's address and port alone, and tells where nobody listens.
  func start(_ server: Upstreams.Server, _ message: [UInt8]) {
    let isOverTCP = exchange.key.isOverTCP
    let opened: EventLoopFuture<any Channel>
    do {
      let address = try SocketAddress(server)
      let group = forwarder.eventLoop
      if isOverTCP {
        opened = ClientBootstrap(group: group)
          .connectTimeout(exchange.timeout)
          .channelInitializer { [self] channel in
            channel.eventLoop.makeCompletedFuture {
              try channel.pipeline.syncOperations.addHandler(UpstreamStreamHandler(attempt: self))
            }
          }
          .connect(to: address)
      } else {
        // A byte more than the client takes shows what is too much for it.
        opened = DatagramBootstrap(group: group)
          .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: exchange.payloadMax + 1))
          .channelInitializer { [self] channel in
            channel.eventLoop.makeCompletedFuture {
              try channel.pipeline.syncOperations.addHandler(UpstreamDatagramHandler(attempt: self))
            }
          }
          .connect(to: address)
      }
    } catch {
      // An address that the kernel has no form for cannot come from `IPAddress`.
      return forwarder.eventLoop.execute { [self] in fail() }
    }
    opened.whenComplete { [self] result in
      switch result {
      case .success(let channel):
        guard isCurrent else { return channel.close(promise: nil) }
        exchange.channel = channel
        channel.writeAndFlush(isOverTCP ? ByteBuffer(framing: message) : ByteBuffer(bytes: message), promise: nil)
      case .failure: fail()
      }
    }
  }

  func fail() { if isCurrent { forwarder.failed(exchange) } }

  /// False where it was not the answer.
  func receive(_ message: [UInt8]) -> Bool { isCurrent ? forwarder.receive(message, for: exchange) : true }
}

private final class UpstreamDatagramHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>

  private let attempt: UpstreamAttempt

  init(attempt: UpstreamAttempt) { self.attempt = attempt }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    _ = attempt.receive(Array(unwrapInboundIn(data).data.readableBytesView))
  }

  func channelInactive(context: ChannelHandlerContext) { attempt.fail() }

  /// ICMP says that nobody listens there.
  func errorCaught(context: ChannelHandlerContext, error: any Error) { attempt.fail() }
}

private final class UpstreamStreamHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let attempt: UpstreamAttempt
  private var input = ByteBuffer()

  init(attempt: UpstreamAttempt) { self.attempt = attempt }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    input.writeBuffer(&bytes)
    guard let message = input.readFramed() else { return }
    // One question, one answer: whatever else comes over this connection, nothing is waited for.
    if !attempt.receive(message) { attempt.fail() }
  }

  func channelInactive(context: ChannelHandlerContext) { attempt.fail() }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { attempt.fail() }
}

extension ByteBuffer {
  /// A message as TCP carries it, after its length (RFC 1035, 4.2.2).
  init(framing message: [UInt8]) {
    self.init()
    reserveCapacity(message.count + 2)
    writeInteger(UInt16(truncatingIfNeeded: message.count))
    writeBytes(message)
  }

  /// The next message, once all of it is there.
  mutating func readFramed() -> [UInt8]? {
    guard let length = getInteger(at: readerIndex, as: UInt16.self), readableBytes >= Int(length) + 2 else {
      return nil
    }
    moveReaderIndex(forwardBy: 2)
    return readBytes(length: Int(length))
  }
}
