import Glibc
import NIOCore

/// Queries over UDP.
final class DatagramHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>

  private let service: Service
  /// The channel's; it outlives `isActive`.
  private let descriptor: Int32

  init(service: Service, descriptor: Int32) { (self.service, self.descriptor) = (service, descriptor) }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let envelope = unwrapInboundIn(data)
    let (channel, source) = (context.channel, envelope.remoteAddress)
    // Nobody can be answered there.
    guard source.port != 0 else {
      return service.responder.count { counters in
        counters.queries += 1
        counters.droppedRunts += 1
      }
    }
    service.take(
      Array(envelope.data.readableBytesView), from: source, at: channel.localAddress, origin: source
    ) { [service, descriptor] answer in
      guard channel.isActive else { return }
      if !Self.send(answer, to: source, descriptor) { service.responder.count { $0.unsent += 1 } }
    }
  }

  /// By sendto(2) and not by the channel, which would be closed by the first client that cannot be reached (EPERM,
  /// ENETUNREACH, EINVAL, ...), and keeps what the kernel does not take. An answer that is lost is asked for again.
  private static func send(_ answer: [UInt8], to client: SocketAddress, _ descriptor: Int32) -> Bool {
    client.withSockAddr { address, length in
      sendto(
        descriptor, answer, answer.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL),
        __CONST_SOCKADDR_ARG(__sockaddr__: address), socklen_t(length)) == answer.count
    }
  }
}
