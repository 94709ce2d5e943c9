import NIOCore

/// Queries over one TCP connection, several at a time, answered as the answers come (RFC 7766, 6.2.1.1). It reads
/// only what it can take: a client that sends more, or takes no answers, waits, and is closed in the end.
final class StreamHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let service: Service
  private var input = ByteBuffer()
  private var waiting = 0
  private var isServing = false
  private var inputClosed = false
  /// When something came or went whole.
  private var lastProgress = NIODeadline.now()
  private var idle: RepeatedTask?

  init(service: Service) { self.service = service }

  func channelActive(context: ChannelHandlerContext) {
    let patience = TimeAmount.seconds(Int64(service.limits.connectionIdleSeconds))
    let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
    lastProgress = .now()
    // A part of the patience: how much later than it a connection may end.
    let step = TimeAmount.nanoseconds(patience.nanoseconds / 4)
    idle = context.eventLoop.scheduleRepeatedTask(initialDelay: patience, delay: step) { _ in
      let (handler, context) = bound.value
      handler.closeIfIdle(patience, context)
    }
    context.read()
  }

  func channelInactive(context: ChannelHandlerContext) { idle?.cancel() }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    input.writeBuffer(&bytes)
    serve(context)
  }

  func channelReadComplete(context: ChannelHandlerContext) { readMore(context) }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    serve(context)
    readMore(context)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case ChannelEvent.inputClosed? = event as? ChannelEvent {
      inputClosed = true
      closeIfDone(context)
    } else {
      context.fireUserInboundEventTriggered(event)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  private var mayTake: Bool { waiting < service.limits.waitingQueryCountPerConnectionMax }

  private func readMore(_ context: ChannelHandlerContext) {
    if mayTake, context.channel.isWritable, !inputClosed { context.read() }
  }

  private func serve(_ context: ChannelHandlerContext) {
    isServing = true
    defer { isServing = false }
    while mayTake, context.channel.isActive, context.channel.isWritable {
      guard let length = input.getInteger(at: input.readerIndex, as: UInt16.self) else { break }
      // Not even a header, or no query of a resolver: what follows cannot be trusted to be a message.
      guard (Header.byteCount...service.limits.queryBytesMax).contains(Int(length)) else {
        service.responder.count { $0.badLengths += 1 }
        return context.close(promise: nil)
      }
      guard let message = input.readFramed() else { break }
      lastProgress = .now()
      take(message, context)
    }
    input.discardReadBytes()
    closeIfDone(context)
  }

  private func take(_ message: [UInt8], _ context: ChannelHandlerContext) {
    let channel = context.channel
    waiting += 1
    let isTaken = service.take(message, from: channel.remoteAddress, at: channel.localAddress, origin: nil) {
      [self] answer in
      waiting -= 1
      lastProgress = .now()
      guard channel.isActive else { return }
      // What it has not taken yet is bounded by the channel's high water mark, and one answer.
      guard channel.isWritable else {
        service.responder.count { $0.unsent += 1 }
        return channel.close(promise: nil)
      }
      channel.writeAndFlush(ByteBuffer(framing: answer), promise: nil)
      resume(context)
    }
    if !isTaken { waiting -= 1 }
  }

  /// An answer made room: within `serve`, its loop goes on by itself.
  private func resume(_ context: ChannelHandlerContext) {
    guard !isServing else { return }
    serve(context)
    readMore(context)
  }

  private func closeIfDone(_ context: ChannelHandlerContext) {
    guard inputClosed, waiting == 0, context.channel.isActive else { return }
    // After the answers that it has not taken yet; `closeIfIdle` sees to it where it never does.
    let channel = context.channel
    channel.writeAndFlush(ByteBuffer()).whenComplete { _ in channel.close(promise: nil) }
  }

  private func closeIfIdle(_ patience: TimeAmount, _ context: ChannelHandlerContext) {
    // Those that wait for an upstream wait as long as it is given.
    if waiting > 0, context.channel.isWritable { return }
    guard NIODeadline.now() - lastProgress >= patience else { return }
    service.responder.count { $0.idleConnections += 1 }
    context.close(promise: nil)
  }
}
