import NIOCore
import NIOHTTP1

/// An answer that is taken when all of it is there. Belongs to the event loop.
final class WholeAnswer: AnswerReader, @unchecked Sendable {
  struct Content {
    var status: HTTPResponseStatus
    var body: ByteBuffer
  }

  let promise: EventLoopPromise<Content>
  private let bytesMax: Int
  private var content = Content(status: .ok, body: ByteBuffer())

  init(bytesMax: Int, eventLoop: any EventLoop) {
    self.bytesMax = bytesMax
    promise = eventLoop.makePromise()
  }

  func receive(_ status: HTTPResponseStatus) { content.status = status }

  func receive(_ bytes: ByteBuffer) -> Bool {
    guard content.body.readableBytes + bytes.readableBytes <= bytesMax else {
      promise.fail(EtcdError(.tooLarge, "an answer is larger than \(bytesMax) bytes"))
      return false
    }
    content.body.writeImmutableBuffer(bytes)
    return true
  }

  func end() { promise.succeed(content) }

  /// Without effect where the promise was kept or broken before.
  func fail(_ failure: ConnectionFailure) { promise.fail(failure) }
}
