import CLinux
import Glibc
import SystemCalls

/// A relayed TCP connection: a socket to the client, side 0, and one to the target, side 1.
///
/// What one side sent is read without taking it (MSG_PEEK), written to the other, and then as much of it dropped as was
/// written (MSG_TRUNC, tcp(7)). So bytes wait in the kernel's socket buffers alone, whose bounds hold back the sender; and a
/// connection needs no buffer here.
struct Connection {
  struct Side {
    var socket: Int32
    /// As the kernel last told; it tells only of changes.
    var isReadable = false
    var isWritable = false
    /// Its FIN arrived: what is read then ends with 0, of which the kernel does not tell again.
    var isEnding = false
    /// Its FIN was read and passed on.
    var hasEnded = false
  }

  static let client = 0
  static let target = 1

  var sides: (Side, Side)
  let publication: Int
  var isConnecting = true
  /// By when the target must have answered; it stands in the queue until then.
  let deadline: UInt64

  subscript(side: Int) -> Side {
    get { side == Self.client ? sides.0 : sides.1 }
    set { if side == Self.client { sides.0 = newValue } else { sides.1 = newValue } }
  }
}

extension RelayLoop {
  /// At most so many accepted from one listening socket, and pieces moved one way of one connection, in a turn.
  static let acceptCountMax = 64
  static let pieceCountMax = 4
  static let streamEvents = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue

  // MARK: - Making connections

  func acceptConnections(_ token: Token) {
    guard publications.holds(token) else { return }
    let listener = publications[token.index].sockets[token.part]
    for _ in 0..<Self.acceptCountMax {
      guard connections.count < limits.connectionCountMax else {
        statistics.pausedAtLimit += 1
        return pause(token)
      }
      let client = martlet_relay_accept(listener)
      switch -client {
      case ...0: relay(client, token)
      case EAGAIN: return
      case EMFILE, ENFILE, ENOBUFS, ENOMEM:
        statistics.pausedForDescriptors += 1
        return pause(token)
      default: continue  // A connection that failed before it was taken (accept(2), "Error handling").
      }
    }
    unfinished.insert(token)
  }

  private func pause(_ token: Token) {
    if paused.isEmpty { resumption = deadline(in: Self.descriptorPauseMilliseconds) }
    paused.insert(token)
  }

  /// Lets paused sockets try again, when one of ours was closed, or in their time: others' may have been.
  func resumeListeners() {
    defer { hasRoomAgain = false }
    guard !paused.isEmpty, hasRoomAgain || now >= resumption else { return }
    let waiting = paused
    paused.removeAll(keepingCapacity: true)
    for token in waiting { acceptConnections(token) }
  }

  /// Connects onward for a client that was accepted.
  private func relay(_ client: Int32, _ token: Token) {
    statistics.accepted += 1
    var address = publications[token.index].target(at: token.part)
    let target = martlet_relay_connect(&address, Int32(SOCK_STREAM.rawValue))
    guard target >= 0 else { return refuse(client) }
    let connection = Connection(
      sides: (Connection.Side(socket: client), Connection.Side(socket: target)), publication: token.index,
      deadline: deadline(in: limits.connectTimeoutMilliseconds))
    guard let index = connections.insert(connection) else {
      close(target)
      return refuse(client)
    }
    connections.queue(index)
    for side in [Connection.client, Connection.target] {
      let token = Token(.connection, index: index, part: side, generation: connections.generation(index))
      let result = martlet_epoll_add(
        epoll.number, connections[index][side].socket, Self.streamEvents, token.rawValue)
      guard result == 0 else {
        statistics.refusedByTarget += 1
        return endConnection(index, byReset: true)
      }
    }
  }

  private func refuse(_ client: Int32) {
    statistics.refusedByTarget += 1
    martlet_reset_stream(client)
  }

  // MARK: - Moving bytes

  /// `events`: 0 where it only goes on with what it did not finish.
  func continueConnection(_ token: Token, _ events: UInt32) {
    guard connections.holds(token) else { return }
    let index = token.index
    if connections[index].isConnecting && token.part == Connection.target {
      let error = martlet_take_socket_error(connections[index][Connection.target].socket)
      if error != 0 {
        statistics.refusedByTarget += 1
        return endConnection(index, byReset: true)
      }
      guard events & EPOLLOUT.rawValue != 0 else { return }
      connections[index].isConnecting = false
      connections.unqueue(index)
    }
    if events & EPOLLERR.rawValue != 0 { return resetConnection(index) }
    if events & EPOLLIN.rawValue != 0 { connections[index][token.part].isReadable = true }
    if events & EPOLLOUT.rawValue != 0 { connections[index][token.part].isWritable = true }
    if events & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue) != 0 {
      connections[index][token.part].isReadable = true
      connections[index][token.part].isEnding = true
    }
    guard !connections[index].isConnecting else { return }
    for side in [token.part, 1 - token.part] {
      guard move(index, from: side) else { return }
    }
    if connections[index][0].hasEnded && connections[index][1].hasEnded { endConnection(index, byReset: false) }
  }

  /// Moves what there is from one side to the other. False where the connection is no more.
  private func move(_ index: Int, from side: Int) -> Bool {
    let (source, destination) = (connections[index][side].socket, connections[index][1 - side].socket)
    for _ in 0..<Self.pieceCountMax {
      guard connections[index][side].isReadable, connections[index][1 - side].isWritable,
        !connections[index][side].hasEnded
      else { return true }
      let length = recv(source, buffer, Self.bufferByteCount, Int32(MSG_PEEK))
      if length == 0 {
        connections[index][side].hasEnded = true
        shutdown(destination, Int32(SHUT_WR))
        return true
      }
      guard length > 0 else {
        if errno == EINTR { continue }
        guard errno == EAGAIN else { return gone(index) }
        connections[index][side].isReadable = false
        return true
      }
      let written = send(destination, buffer, length, Int32(MSG_NOSIGNAL))
      guard written >= 0 else {
        if errno == EINTR { continue }
        guard errno == EAGAIN else { return gone(index) }
        connections[index][1 - side].isWritable = false
        return true
      }
      guard recv(source, nil, written, Int32(MSG_TRUNC)) == written else { return gone(index) }
      if written < length {
        connections[index][1 - side].isWritable = false
      } else if length < Self.bufferByteCount && !connections[index][side].isEnding {
        connections[index][side].isReadable = false
      }
    }
    unfinished.insert(
      Token(.connection, index: index, part: side, generation: connections.generation(index)))
    return true
  }

  private func gone(_ index: Int) -> Bool {
    resetConnection(index)
    return false
  }

  private func resetConnection(_ index: Int) {
    statistics.reset += 1
    endConnection(index, byReset: true)
  }

  func endConnection(_ index: Int, byReset: Bool) {
    for side in [Connection.client, Connection.target] {
      let socket = connections[index][side].socket
      if byReset { martlet_reset_stream(socket) } else { close(socket) }
    }
    connections.remove(index)
    hasRoomAgain = true
  }
}
