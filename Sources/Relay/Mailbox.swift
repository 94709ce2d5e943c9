import CLinux
import Glibc
import Synchronization
import SystemCalls

/// How one thread asks the relay's thread for something and waits until it is done. One request at a time.
final class Mailbox: Sendable {
  enum Request {
    case open(RelayedPorts)
    case close(RelayedPorts)
    case retarget(RelayedPorts, RelayedPorts)
    case statistics
    case stop
  }

  enum Answer {
    case done
    case statistics(RelayStatistics)
    case failed(RelayError)
  }

  private let request = Mutex<Request?>(nil)
  private let answer = Mutex<Answer?>(nil)
  /// Readable when a request waits; the relay's thread watches it.
  let asked: FileDescriptor
  private let answered: FileDescriptor

  init() throws(Errno) {
    asked = FileDescriptor(owning: try check(martlet_eventfd(), "make an eventfd"))
    answered = FileDescriptor(owning: try check(martlet_eventfd(), "make an eventfd"))
  }

  /// The asking thread's side. The caller sees to it that one asks at a time, and none after `.stop`.
  func ask(_ question: Request) -> Answer {
    request.withLock { $0 = question }
    Self.signal(asked)
    Self.wait(answered)
    return answer.withLock { $0.take()! }
  }

  /// The relay's thread: takes the request that `asked` told of, and answers it.
  func serve(_ body: (Request) -> Answer) {
    Self.wait(asked)
    let result = body(request.withLock { $0.take()! })
    answer.withLock { $0 = result }
    Self.signal(answered)
  }

  private static func signal(_ event: borrowing FileDescriptor) {
    var one: UInt64 = 1
    _ = write(event.number, &one, 8)
  }

  private static func wait(_ event: borrowing FileDescriptor) {
    var value: UInt64 = 0
    while read(event.number, &value, 8) < 0 && errno == EINTR {}
  }
}
