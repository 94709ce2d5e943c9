import NIOCore
import NIOHTTP1

/// An answer that goes on: lines, each taken by `next`. While nobody takes them no more is read than one line may have,
/// so the sender waits, and memory is bounded. Belongs to the event loop.
final class LineStream: AnswerReader, @unchecked Sendable {
  private let connection: Connection
  private let lineBytesMax: Int
  /// For the rest of a line of which a part is there.
  private let lineTimeout: TimeAmount
  let eventLoop: any EventLoop
  private var buffer = ByteBuffer()
  /// Bytes at the buffer's front that have been searched for an end of line.
  private var searched = 0
  private var waiting: EventLoopPromise<ByteBuffer?>?
  private var patience: Scheduled<Void>?
  private var stall: Scheduled<Void>?
  private var failure: (any Error)?
  private var isPaused = false
  private(set) var status = HTTPResponseStatus.ok

  init(_ connection: Connection, lineBytesMax: Int, lineTimeout: TimeAmount, eventLoop: any EventLoop) {
    (self.connection, self.lineBytesMax) = (connection, lineBytesMax)
    (self.lineTimeout, self.eventLoop) = (lineTimeout, eventLoop)
  }

  /// The next line; nil when none has come in time (nil: no limit). One caller at a time.
  func next(within time: TimeAmount?) -> EventLoopFuture<ByteBuffer?> {
    let promise = eventLoop.makePromise(of: ByteBuffer?.self)
    guard waiting == nil else {
      promise.fail(EtcdError(.invalid, "a watch has one reader at a time"))
      return promise.futureResult
    }
    waiting = promise
    if let time { patience = eventLoop.scheduleTask(in: time) { [weak self] in self?.settle(.success(nil)) } }
    hand()
    return promise.futureResult
  }

  /// What is there is lost; who waits gets `error`, or what had gone wrong before.
  func cancel(_ error: EtcdError) {
    if failure == nil { failure = error }
    stall?.cancel()
    buffer.clear()
    searched = 0
    settle(.failure(failure ?? error))
    connection.close()
  }

  private func settle(_ result: Result<ByteBuffer?, any Error>) {
    patience?.cancel()
    patience = nil
    let promise = waiting
    waiting = nil
    promise?.completeWith(result)
  }

  /// Gives a line to who waits, if there is one.
  private func hand() {
    if waiting != nil, let line = takeLine() {
      settle(.success(line))
    } else if waiting != nil, let failure {
      settle(.failure(failure))
    } else if waiting != nil, buffer.readableBytes >= lineBytesMax {
      cancel(EtcdError(.tooLarge, "an answer is larger than \(lineBytesMax) bytes"))
    }
    watchStall()
    let isFull = buffer.readableBytes >= lineBytesMax
    if isFull != isPaused {
      isPaused = isFull
      connection.channel?.setOption(.autoRead, value: !isFull).whenComplete { _ in }
    }
  }

  private func takeLine() -> ByteBuffer? {
    let view = buffer.readableBytesView
    guard let end = view.dropFirst(searched).firstIndex(of: UInt8(ascii: "\n")) else {
      searched = view.count
      return nil
    }
    let line = buffer.readSlice(length: end - view.startIndex)
    buffer.moveReaderIndex(forwardBy: 1)
    if buffer.readableBytes == 0 {
      buffer.clear()
    } else if buffer.readerIndex > lineBytesMax {
      buffer.discardReadBytes()
    }
    searched = 0
    return line
  }

  /// Half a line and silence: whoever sends so is not well.
  private func watchStall() {
    stall?.cancel()
    stall = nil
    guard failure == nil, waiting != nil, buffer.readableBytes > 0 else { return }
    stall = eventLoop.scheduleTask(in: lineTimeout) { [weak self] in
      self?.cancel(EtcdError(.malformed, "an answer stopped in the middle"))
    }
  }

  func receive(_ status: HTTPResponseStatus) { self.status = status }

  func receive(_ bytes: ByteBuffer) -> Bool {
    guard failure == nil else { return false }
    buffer.writeImmutableBuffer(bytes)
    hand()
    return true
  }

  func end() { fail(ConnectionFailure(isBeforeRequest: false, reason: "the answer ended")) }

  /// Lines that came before can still be taken.
  func fail(_ failure: ConnectionFailure) {
    guard self.failure == nil else { return }
    self.failure = failure
    hand()
  }
}
