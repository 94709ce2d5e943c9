import CLinux
import Glibc
import SystemCalls

/// One that sent datagrams to a published UDP port, with the connected socket by which they go on to the target.
struct DatagramClient {
  /// What tells clients apart. The address it sent to is part of it: answers come from there.
  struct Key: Hashable {
    let publication: Int
    /// Of the port in its range.
    let place: Int
    let remote: UInt128
    let local: UInt128
    let port: UInt16
    /// Of an address that is link-local (RFC 4007), else 0.
    let scope: UInt32

    init(_ publication: Int, _ place: Int, _ ends: martlet_datagram_ends) {
      (self.publication, self.place) = (publication, place)
      (remote, local) = (Self.bits(ends.remote), Self.bits(ends.local))
      let isIPv6 = Int32(ends.remote.common.sa_family) == AF_INET6
      port = isIPv6 ? ends.remote.v6.sin6_port : ends.remote.v4.sin_port
      scope = isIPv6 ? ends.remote.v6.sin6_scope_id : 0
    }

    /// As they lie in memory: only to be compared.
    private static func bits(_ address: martlet_socket_address) -> UInt128 {
      guard Int32(address.common.sa_family) == AF_INET6 else { return UInt128(address.v4.sin_addr.s_addr) }
      return withUnsafeBytes(of: address.v6.sin6_addr) { $0.loadUnaligned(as: UInt128.self) }
    }
  }

  let key: Key
  let ends: martlet_datagram_ends
  let socket: Int32
  /// When it is forgotten. It stands in the queue all its life, at its end after each datagram.
  var deadline: UInt64
}

extension RelayLoop {
  /// At most so many from one socket in a turn.
  static let datagramCountMax = 64

  /// From clients to the target.
  func receiveDatagrams(_ token: Token) {
    guard publications.holds(token) else { return }
    let socket = publications[token.index].sockets[token.part]
    var ends = martlet_datagram_ends()
    for _ in 0..<Self.datagramCountMax {
      let length = martlet_relay_receive(socket, buffer, Self.bufferByteCount, &ends)
      // Level-triggered: whatever it was, more of it is told again.
      guard length >= 0 else { return }
      guard martlet_is_unicast(&ends) == 1, let client = client(ends, token) else {
        statistics.datagramsDropped += 1
        continue
      }
      let sent = send(clients[client].socket, buffer, length, Int32(MSG_NOSIGNAL))
      settle(client, sent < 0 ? errno : 0)
    }
  }

  /// From a target to its client.
  func returnDatagrams(_ token: Token) {
    for _ in 0..<Self.datagramCountMax {
      guard clients.holds(token) else { return }
      let client = clients[token.index]
      let length = recv(client.socket, buffer, Self.bufferByteCount, 0)
      guard length >= 0 else {
        if errno != EAGAIN { settle(token.index, errno) }
        return
      }
      var ends = client.ends
      let socket = publications[client.key.publication].sockets[client.key.place]
      let sent = martlet_relay_reply(socket, buffer, length, &ends)
      // What cannot be sent to the client says nothing of the target.
      if sent < 0 { statistics.datagramsDropped += 1 } else { settle(token.index, 0) }
    }
  }

  /// After a datagram was passed on, or `error` was met at the target's side.
  private func settle(_ client: Int, _ error: Int32) {
    guard error == 0 else {
      statistics.datagramsDropped += 1
      guard error == ECONNREFUSED else { return }
      statistics.clientsRefusedByTarget += 1
      return endClient(client)
    }
    statistics.datagrams += 1
    clients[client].deadline = deadline(in: limits.clientIdleSeconds * 1000)
    clients.queue(client)
  }

  /// The one that sent this, be it new; nil where it cannot be remembered.
  private func client(_ ends: martlet_datagram_ends, _ token: Token) -> Int? {
    let key = DatagramClient.Key(token.index, token.part, ends)
    if let known = clientIndices[key] { return known }
    if clients.count >= limits.clientCountMax { evictClient() }
    var address = publications[token.index].target(at: token.part)
    var socket = martlet_relay_connect(&address, Int32(SOCK_DGRAM.rawValue))
    if socket == -EMFILE || socket == -ENFILE {
      evictClient()
      socket = martlet_relay_connect(&address, Int32(SOCK_DGRAM.rawValue))
    }
    guard socket >= 0 else { return nil }
    let new = DatagramClient(
      key: key, ends: ends, socket: socket, deadline: deadline(in: limits.clientIdleSeconds * 1000))
    guard let index = clients.insert(new) else {
      close(socket)
      return nil
    }
    clients.queue(index)
    clientIndices[key] = index
    statistics.clientsAdded += 1
    let watch = Token(.client, index: index, generation: clients.generation(index))
    guard martlet_epoll_add(epoll.number, socket, EPOLLIN.rawValue, watch.rawValue) == 0 else {
      endClient(index)
      return nil
    }
    return index
  }

  /// The one that was silent longest.
  private func evictClient() {
    guard let index = clients.first else { return }
    statistics.clientsEvicted += 1
    endClient(index)
  }

  func endClient(_ index: Int) {
    close(clients[index].socket)
    clientIndices[clients[index].key] = nil
    clients.remove(index)
    hasRoomAgain = true
  }
}
