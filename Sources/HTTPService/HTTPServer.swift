import ControlModel
import Glibc
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix

/// Serves what a `Responder` answers as HTTP/1.1 on a Unix socket, or over TCP.
///
/// One event loop thread moves bytes; `threads` more call the responder, in the order the requests came, as those calls block. One
/// connection's requests are answered one after the other. `start` and `stop` may come from any thread but those: a responder
/// must not stop its own server.
public final class HTTPServer: Sendable {
  private struct Running {
    var group: MultiThreadedEventLoopGroup
    var worker: NIOThreadPool
    var listener: any Channel
    var socket: ListeningSocket
  }

  private let responder: any Responder
  private let threads: Int
  private let logger: Logger
  private let limits: ServerLimits
  private let running = NIOLockedValueBox<Running?>(nil)
  private let connections = NIOLockedValueBox<[ObjectIdentifier: any Channel]>([:])

  public init(responder: any Responder, threads: Int, logger: Logger, limits: ServerLimits) {
    (self.responder, self.threads, self.logger, self.limits) = (responder, threads, logger, limits)
  }

  /// Listens at `socketPath` (mode 0660; its directories are made where missing, with `directoryMode`) and returns. Refuses where
  /// another daemon listens there. Not to be called again before `stop`.
  public func start(socketPath: String, directoryMode: mode_t = 0o755) throws(ControlError) {
    try checkIsNew()
    try serve(try ListeningSocket(path: socketPath, directoryMode: directoryMode), name: socketPath)
  }

  /// Serves a Unix socket that somebody else has bound and that listens, as systemd hands it over, and returns. The descriptor is
  /// the server's from here on; the file that names the socket is not, and stays at the end. `name` stands in messages.
  public func start(inherited descriptor: Int32, name: String) throws(ControlError) {
    try checkIsNew()
    try serve(ListeningSocket(inherited: descriptor), name: name)
  }

  /// Listens at an IP address of the caller's namespace, over TCP, and returns. `0.0.0.0` is every one of IPv4, `::` of both families.
  /// - Parameter port: 0: one that is free.
  /// - Returns: the port. `conflict` where it is in use, or the address is not the host's.
  public func start(address: String, port: Int) throws(ControlError) -> Int {
    try checkIsNew()
    let (socket, port) = try ListeningSocket.tcp(address: address, port: port)
    try serve(socket, name: "\(address) port \(port)")
    return port
  }

  private func checkIsNew() throws(ControlError) {
    guard running.withLockedValue({ $0 == nil }) else { throw ControlError(.conflict, "the server runs already") }
  }

  private func serve(_ socket: ListeningSocket, name: String) throws(ControlError) {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let worker = NIOThreadPool(numberOfThreads: threads)
    worker.start()
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelInitializer { [responder] channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers(
            DescriptorReserve(listener: socket.descriptor, responder: responder), AcceptBackoffHandler())
        }
      }
      // A client may end its side after the request and still wait for the answer, as `nc -N` does.
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture { try admit(channel, worker: worker) }
      }
    do {
      let listener = try bootstrap.withBoundSocket(socket.descriptor).wait()
      running.withLockedValue { $0 = Running(group: group, worker: worker, listener: listener, socket: socket) }
    } catch {
      socket.unlinkFile()
      Self.end(group, worker)
      throw ControlError(.system, "cannot serve \(name): \(error)")
    }
  }

  /// Takes the socket away, unless it was inherited, lets the answers under way go out, and ends. Blocks for as long as a call
  /// under way does. Without effect where nothing runs.
  public func stop() {
    guard
      let running = running.withLockedValue({ running in
        defer { running = nil }
        return running
      })
    else { return }
    running.socket.unlinkFile()
    // Fails only where it has closed already.
    try? running.listener.close().wait()
    let open = connections.withLockedValue { Array($0.values) }
    for channel in open { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
    let impatience = running.group.next().scheduleTask(in: limits.stopPatience) {
      for channel in open { channel.close(promise: nil) }
    }
    for channel in open { try? channel.closeFuture.wait() }
    impatience.cancel()
    Self.end(running.group, running.worker)
  }

  private static func end(_ group: MultiThreadedEventLoopGroup, _ worker: NIOThreadPool) {
    // Both fail only when they were ended before.
    try? worker.syncShutdownGracefully()
    try? group.syncShutdownGracefully()
  }

  /// On the event loop.
  private func admit(_ channel: any Channel, worker: NIOThreadPool) throws {
    let identifier = ObjectIdentifier(channel)
    let count = connections.withLockedValue {
      $0[identifier] = channel
      return $0.count
    }
    channel.closeFuture.whenComplete { [connections] _ in connections.withLockedValue { $0[identifier] = nil } }
    var decoderLimits = NIOHTTPDecoderLimitConfiguration()
    decoderLimits.maxHeaderFieldSize = limits.headerBytesMax
    decoderLimits.maxHeaderListSize = limits.headerBytesMax
    decoderLimits.maxHeaderFieldCount = limits.headerFieldsMax
    let surplus = count > limits.connectionsMax
    let pipeline = channel.pipeline.syncOperations
    // A surplus connection gets its answer before it asks, which pipelining assistance does not allow.
    try pipeline.configureHTTPServerPipeline(
      withPipeliningAssistance: !surplus, withErrorHandling: false, withEncoderConfiguration: .init(),
      withDecoderLimitConfiguration: decoderLimits)
    try pipeline.addHandler(
      ConnectionHandler(
        responder: responder, worker: worker, limits: limits, logger: logger, surplus: surplus))
  }
}
