import ControlModel
import Glibc
import NIOCore

/// Answers clients that cannot be accepted for want of a file descriptor, by one that is kept for them.
///
/// accept(2) fails with EMFILE before it takes a connection, so the connection stays: its client would wait without a word,
/// and the event loop would come back to it for ever. One descriptor is held in reserve and given up just long enough to
/// accept, refuse and close. Behind it stands `AcceptBackoffHandler`, which rests where even that does not help.
final class DescriptorReserve: ChannelInboundHandler {
  typealias InboundIn = any Channel

  /// Refused at once; the others come with the next event.
  private static let refusalsMax = 128

  private let listener: Int32
  private let refusal: [UInt8]
  private var reserve: Int32

  /// - Parameter listener: the descriptor that listens, which must outlive the handler.
  init(listener: Int32, responder: any Responder) {
    self.listener = listener
    refusal = Self.refusal(by: responder)
    reserve = Self.open()
  }

  func handlerRemoved(context: ChannelHandlerContext) { close(reserve) }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if let error = error as? IOError, [EMFILE, ENFILE].contains(error.errnoCode), reserve >= 0 {
      close(reserve)
      refuseWaiting()
      reserve = Self.open()
    }
    context.fireErrorCaught(error)
  }

  private func refuseWaiting() {
    for _ in 0..<Self.refusalsMax {
      let connection = accept4(
        listener, __SOCKADDR_ARG(__sockaddr__: nil), nil, Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue))
      guard connection >= 0 else { return }
      _ = send(connection, refusal, refusal.count, Int32(MSG_NOSIGNAL))
      // What the client sent must be taken, or closing would reset the connection under the answer.
      shutdown(connection, Int32(SHUT_WR))
      var request = [UInt8](repeating: 0, count: 4096)
      _ = recv(connection, &request, request.count, 0)
      close(connection)
    }
  }

  private static func open() -> Int32 { Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC) }

  private static func refusal(by responder: any Responder) -> [UInt8] {
    let error = ControlError(
      .exhausted, "the daemon has no file descriptor left: raise its limit (LimitNOFILE=, ulimit -n)")
    let answer = responder.refusal(error, status: .serviceUnavailable)
    let head =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: \(answer.contentType)\r\n"
      + "Content-Length: \(answer.body.count)\r\nConnection: close\r\n\r\n"
    return Array(head.utf8) + answer.body
  }
}
