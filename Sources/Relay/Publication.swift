import CLinux
import Glibc
import SystemCalls
import Wire

/// A range of ports that is open: its sockets, in the order of the ports.
struct Publication {
  var ports: RelayedPorts
  var target: martlet_socket_address
  var sockets: [Int32] = []

  init(_ ports: RelayedPorts) {
    self.ports = ports
    target = martlet_socket_address(ports.targetAddress, port: 0)
  }

  /// Where what comes to the port at `place` of the range is sent.
  func target(at place: Int) -> martlet_socket_address {
    var address = target
    martlet_set_socket_port(&address, ports.firstTargetPort + UInt16(place))
    return address
  }
}

extension martlet_socket_address {
  init(_ address: IPAddress, port: UInt16) {
    self = martlet_make_socket_address(address.bytes, address.isIPv6 ? 1 : 0, port)
  }
}

extension RelayLoop {
  /// The kernel's LOOPBACK_IFINDEX (include/net/flow.h): the device lo of every network namespace.
  static let loopbackInterface: Int32 = 1
  /// From so many on, room for a range's descriptors is made at once. The kernel doubles the table when it is full, and
  /// waits for an RCU grace period each time if the process has threads: seven times on the way to 10,000.
  static let reservedCountMin = 64

  func openPorts(_ ports: RelayedPorts) throws(RelayError) {
    guard ports.isValid else { throw .refused(Errno(EINVAL, "open \(ports)")) }
    guard publicationIndices[ports] == nil else { throw .portInUse(ports.hostPorts.lowerBound) }
    guard let index = publications.insert(Publication(ports)) else {
      throw .refused(Errno(ENOSPC, "open \(ports)"))
    }
    if ports.hostPorts.count >= Self.reservedCountMin { reserveDescriptors(ports.hostPorts.count) }
    publications[index].sockets.reserveCapacity(ports.hostPorts.count)
    publicationIndices[ports] = index
    var address = martlet_socket_address(ports.hostAddress, port: 0)
    for (place, port) in ports.hostPorts.enumerated() {
      martlet_set_socket_port(&address, port)
      let result = openSocket(
        &address, ports, Token(kind(ports), index: index, part: place, generation: publications.generation(index)))
      guard result >= 0 else {
        closePorts(ports)
        throw -result == EADDRINUSE
          ? .portInUse(port) : .refused(Errno(-result, "open port \(port) of \(ports)"))
      }
      publications[index].sockets.append(result)
    }
    statistics.ports += ports.hostPorts.count
  }

  private func kind(_ ports: RelayedPorts) -> Token.Kind { ports.transport == .tcp ? .listener : .datagrams }

  /// The socket, watched; or -errno.
  private func openSocket(_ address: inout martlet_socket_address, _ ports: RelayedPorts, _ token: Token) -> Int32 {
    let interface = ports.isOnLoopback ? Self.loopbackInterface : 0
    let isTCP = ports.transport == .tcp
    let socket =
      isTCP
      ? martlet_relay_listen(&address, interface, limits.backlog) : martlet_relay_bind_datagrams(&address, interface)
    guard socket >= 0 else { return socket }
    let events = isTCP ? EPOLLIN.rawValue | EPOLLET.rawValue : EPOLLIN.rawValue
    return martlet_close_on_error(socket, martlet_epoll_add(epoll.number, socket, events, token.rawValue))
  }

  /// Where it fails, the sockets are refused in their turn, or made after all.
  private func reserveDescriptors(_ count: Int) {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    let last = statistics.ports + connections.count * 2 + clients.count + count + Self.reservedCountMin
    _ = martlet_reserve_descriptors(epoll.number, Int32(min(last, Int(clamping: limit.rlim_cur) - 1)))
  }

  func closePorts(_ ports: RelayedPorts) {
    guard let index = publicationIndices.removeValue(forKey: ports) else { return }
    endTraffic(of: index)
    let sockets = publications[index].sockets
    for socket in sockets { close(socket) }
    // An open that failed did not count them.
    if sockets.count == ports.hostPorts.count { statistics.ports -= sockets.count }
    publications.remove(index)
    hasRoomAgain = true
  }

  func retarget(_ ports: RelayedPorts, to moved: RelayedPorts) throws(RelayError) {
    guard moved.isValid, publicationIndices[moved] == nil || moved == ports else {
      throw .refused(Errno(EINVAL, "move \(ports) to \(moved)"))
    }
    guard let index = publicationIndices.removeValue(forKey: ports) else {
      throw .refused(Errno(ENOENT, "move \(ports), which is not open"))
    }
    publicationIndices[moved] = index
    publications[index].ports = moved
    publications[index].target = martlet_socket_address(moved.targetAddress, port: 0)
    endTraffic(of: index)
  }

  /// Looks at every connection and client: there is no list of them for each publication, as this is rare.
  private func endTraffic(of publication: Int) {
    for index in connections.indices where connections[index].publication == publication {
      statistics.reset += 1
      endConnection(index, byReset: true)
    }
    for index in clients.indices where clients[index].key.publication == publication { endClient(index) }
  }
}
