import CLinux
import Glibc
import SystemCalls
import Wire

/// What the relay's thread runs: everything here but `init` happens on it.
///
/// Listening sockets and connections are watched edge-triggered, so that none costs a system call but when something is
/// there, and a listening socket whose connections cannot be accepted now makes no noise; UDP sockets level-triggered.
/// Whoever did not come to an end of its work in one turn stands in `unfinished` and goes on after the others had theirs.
final class RelayLoop {
  static let eventCountMax = 256
  /// What is moved at once from one side of a connection to the other, and room for any datagram.
  static let bufferByteCount = 256 << 10
  /// Until sockets that could not accept for want of descriptors try again, though none of ours was closed.
  static let descriptorPauseMilliseconds = 100
  static let nanosecondsInMillisecond: UInt64 = 1_000_000

  let limits: RelayLimits
  let epoll: FileDescriptor
  private let mailbox: Mailbox
  private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: RelayLoop.eventCountMax)
  let buffer = UnsafeMutableRawPointer.allocate(byteCount: RelayLoop.bufferByteCount, alignment: 64)

  var publications = SlotTable<Publication>()
  var publicationIndices: [RelayedPorts: Int] = [:]
  var connections = SlotTable<Connection>()
  var clients = SlotTable<DatagramClient>()
  var clientIndices: [DatagramClient.Key: Int] = [:]
  var statistics = RelayStatistics()

  /// Of CLOCK_MONOTONIC, in nanoseconds, read once a turn.
  var now: UInt64 = 0
  var unfinished: Set<Token> = []
  /// Listening sockets that have connections which cannot be accepted now.
  var paused: Set<Token> = []
  /// When they try again; sooner if `hasRoomAgain`.
  var resumption: UInt64 = 0
  /// A descriptor of ours was closed in this turn.
  var hasRoomAgain = false
  private var isRunning = true

  init(_ mailbox: Mailbox, _ limits: RelayLimits) throws(Errno) {
    self.limits = limits
    self.mailbox = mailbox
    let number = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard number >= 0 else { throw .current("make an epoll instance") }
    epoll = FileDescriptor(owning: number)
    _ = try check(
      martlet_epoll_add(number, mailbox.asked.number, EPOLLIN.rawValue, Token(.mailbox).rawValue), "watch an eventfd")
  }

  deinit {
    events.deallocate()
    buffer.deallocate()
  }

  func run() {
    now = Self.monotonicTime()
    while isRunning {
      let count = epoll_wait(epoll.number, events, Int32(Self.eventCountMax), timeoutMilliseconds)
      now = Self.monotonicTime()
      let continued = unfinished
      unfinished.removeAll(keepingCapacity: true)
      var isAsked = false
      for index in 0..<Int(max(count, 0)) {
        let token = Token(rawValue: events[index].data.u64)
        if token.kind == .mailbox { isAsked = true } else { handle(token, events[index].events) }
      }
      for token in continued { handle(token, 0) }
      expire()
      resumeListeners()
      // Last, so that no event of this turn is for something that a request closed.
      if isAsked { mailbox.serve(answer) }
    }
  }

  private func handle(_ token: Token, _ events: UInt32) {
    switch token.kind {
    case .mailbox: break
    case .listener: acceptConnections(token)
    case .datagrams: receiveDatagrams(token)
    case .connection: continueConnection(token, events)
    case .client: returnDatagrams(token)
    }
  }

  private func answer(_ request: Mailbox.Request) -> Mailbox.Answer {
    do throws(RelayError) {
      switch request {
      case .open(let ports): try openPorts(ports)
      case .close(let ports): closePorts(ports)
      case .retarget(let ports, let moved): try retarget(ports, to: moved)
      case .statistics: return .statistics(currentStatistics)
      case .stop:
        for ports in Array(publicationIndices.keys) { closePorts(ports) }
        isRunning = false
      }
      return .done
    } catch {
      return .failed(error)
    }
  }

  private var currentStatistics: RelayStatistics {
    var current = statistics
    current.connections = connections.count
    current.clients = clients.count
    return current
  }

  /// Until something is due, for epoll_wait(2): -1 means nothing is.
  private var timeoutMilliseconds: Int32 {
    if !unfinished.isEmpty { return 0 }
    var due: UInt64?
    if let index = connections.first { due = connections[index].deadline }
    if let index = clients.first { due = min(due ?? .max, clients[index].deadline) }
    if !paused.isEmpty { due = min(due ?? .max, resumption) }
    guard let due else { return -1 }
    guard due > now else { return 0 }
    // Rounded up: to wake too soon would be to spin.
    return Int32(clamping: (due - now) / Self.nanosecondsInMillisecond + 1)
  }

  private func expire() {
    while let index = connections.first, connections[index].deadline <= now {
      statistics.timedOut += 1
      endConnection(index, byReset: true)
    }
    while let index = clients.first, clients[index].deadline <= now {
      statistics.clientsExpired += 1
      endClient(index)
    }
  }

  /// In as many milliseconds, on the clock of `now`.
  func deadline(in milliseconds: Int) -> UInt64 { now + UInt64(milliseconds) * Self.nanosecondsInMillisecond }

  private static func monotonicTime() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
