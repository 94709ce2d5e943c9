import Glibc
import Logging
import NIOCore
import NIOPosix
import SystemCalls
import Wire

/// What serves one listener's two sockets and the connections that came by them. Belongs to the event loop, but for
/// `start` and `close`.
final class Service: @unchecked Sendable {
  private let listener: Listener
  private let clientele: Clientele
  let limits: NameServerLimits
  let responder: Responder
  private let forwarder: Forwarder
  private let logger: Logger
  private var sockets: [any Channel] = []
  private var connections: [ObjectIdentifier: (channel: any Channel, client: Forwarder.Client)] = [:]
  private var isClosing = false

  init(
    _ listener: Listener, _ clientele: Clientele, limits: NameServerLimits, responder: Responder, forwarder: Forwarder,
    logger: Logger
  ) {
    (self.listener, self.clientele, self.limits) = (listener, clientele, limits)
    (self.responder, self.forwarder, self.logger) = (responder, forwarder, logger)
  }

  /// Takes the descriptors over whatever comes. Not on the event loop.
  func start(datagrams: Int32, streams: Int32) -> Errno? {
    let ofDatagrams = DatagramBootstrap(group: forwarder.eventLoop)
      .channelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(DatagramHandler(service: self, descriptor: datagrams))
        }
      }
      .withBoundSocket(datagrams)
    let ofStreams = ServerBootstrap(group: forwarder.eventLoop)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler())
        }
      }
      .childChannelOption(.autoRead, value: false)
      .childChannelOption(.maxMessagesPerRead, value: 1)
      .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: limits.queryBytesMax + 2))
      // A client may end its side after the last query.
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture { try admit(channel) }
      }
      .withBoundSocket(streams)
    var failure: Errno?
    for opening in [ofDatagrams, ofStreams] {
      do {
        let channel = try opening.wait()
        try forwarder.eventLoop.submit { [self] in adopt(channel) }.wait()
      } catch {
        failure = Errno((error as? IOError)?.errnoCode ?? EINVAL, "serve names to \(clientele)")
      }
    }
    return failure
  }

  /// Not on the event loop.
  func close() {
    let closed = forwarder.eventLoop.submit { [self] in
      isClosing = true
      let open = sockets + connections.values.map(\.channel)
      for channel in open { channel.close(promise: nil) }
      return open.map(\.closeFuture)
    }
    // Fails only when the loop has ended, and with it the channels.
    for future in (try? closed.wait()) ?? [] { try? future.wait() }
  }

  private func adopt(_ socket: any Channel) {
    sockets.append(socket)
    socket.closeFuture.assumeIsolated().whenComplete { [self] _ in
      if !isClosing { logger.error("the names' socket of \(clientele) was closed by the kernel: \(socket)") }
    }
  }

  private func admit(_ channel: any Channel) throws {
    let client = client(channel.remoteAddress?.address)
    let ofClient = connections.values.count { $0.client == client }
    let all = responder.counters.withLock { $0.connections }
    guard !isClosing, ofClient < limits.connectionCountPerClientMax, all < limits.connectionCountMax else {
      responder.count { $0.surplusConnections += 1 }
      throw ChannelError.connectPending
    }
    let identifier = ObjectIdentifier(channel)
    connections[identifier] = (channel, client)
    responder.count { $0.connections += 1 }
    channel.closeFuture.assumeIsolated().whenComplete { [self] _ in
      connections[identifier] = nil
      responder.count { $0.connections -= 1 }
    }
    try channel.pipeline.syncOperations.addHandler(StreamHandler(service: self))
  }

  private func client(_ source: IPAddress?) -> Forwarder.Client {
    switch clientele {
    case .network: Forwarder.Client(listener: listener, address: source)
    case .sandbox: Forwarder.Client(listener: listener)
    }
  }

  /// Answers `message` now or later, or not at all. `origin` is a datagram's.
  ///
  /// - Returns: whether `reply` will be called, if it was not yet.
  @discardableResult
  func take(
    _ message: [UInt8], from source: SocketAddress?, at local: SocketAddress?, origin: SocketAddress?,
    reply: @escaping ([UInt8]) -> Void
  ) -> Bool {
    let address = source?.address
    let asker = Asker(
      clientele: clientele, source: address, isHost: address != nil && address == local?.address,
      isOverTCP: origin == nil)
    switch responder.decide(message, from: asker) {
    case .drop: return false
    case .answer(let bytes): reply(bytes)
    case .forward(let question, let payloadMax):
      let waiter = Forwarder.Waiter(
        id: Header(message)?.id ?? 0, client: client(address), origin: origin, reply: reply)
      forwarder.forward(message, question, payloadMax: payloadMax, isOverTCP: origin == nil, for: waiter)
    }
    return true
  }
}
