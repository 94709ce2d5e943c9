import CLibmnl
import Glibc
import SystemCalls

/// A socket to one of the kernel's netlink families (netlink(7)) in one network namespace.
///
/// Each call sends one request and waits for the kernel's answer. An error carries what was asked, and the kernel's own
/// words where it gave any.
struct NetlinkSocket: ~Copyable, @unchecked Sendable {  // Owns all it points to.
  /// The kernel puts no more than 32 KiB of a dump into one datagram (netlink_dump in net/netlink/af_netlink.c).
  static let receiveCapacity = 32 << 10
  /// The kernel answers at once, but may wait for another holder of its lock.
  static let receiveTimeoutSeconds = 10
  /// How often a dump is begun that finds its table changed under it.
  static let dumpAttemptLimit = 16

  private let socket: OpaquePointer
  private let buffer: UnsafeMutableRawBufferPointer
  private var sequence: UInt32 = 0

  /// A socket to `protocolNumber` (NETLINK_*) in the calling thread's namespace.
  init(_ protocolNumber: Int32) throws(Errno) { self.init(owning: try Self.open(protocolNumber)) }

  /// The same in `namespace`.
  init(_ protocolNumber: Int32, in namespace: borrowing NetworkNamespace) throws(Errno) {
    self.init(owning: try namespace.run { () throws(Errno) in try Self.open(protocolNumber) })
  }

  private init(owning socket: OpaquePointer) {
    self.socket = socket
    buffer = .allocate(byteCount: Self.receiveCapacity, alignment: MemoryLayout<nlmsghdr>.alignment)
  }

  var descriptor: Int32 { mnl_socket_get_fd(socket) }

  deinit {
    mnl_socket_close(socket)
    buffer.deallocate()
  }

  private static func open(_ protocolNumber: Int32) throws(Errno) -> OpaquePointer {
    guard let socket = mnl_socket_open2(protocolNumber, Int32(SOCK_CLOEXEC.rawValue)) else {
      throw .current("open a netlink socket")
    }
    do throws(Errno) {
      try configure(socket)
      return socket
    } catch {
      mnl_socket_close(socket)
      throw error
    }
  }

  private static func configure(_ socket: OpaquePointer) throws(Errno) {
    // STRICT_CHK: the kernel refuses what it does not understand, and filters dumps. EXT_ACK: it says why it refuses.
    // CAP_ACK: a refusal does not repeat the request, so that the words stand at a fixed place.
    for option in [NETLINK_GET_STRICT_CHK, NETLINK_EXT_ACK, NETLINK_CAP_ACK] {
      var on: Int32 = 1
      guard mnl_socket_setsockopt(socket, Int32(option), &on, socklen_t(MemoryLayout.size(ofValue: on))) == 0 else {
        throw .current("set option \(option) of a netlink socket")
      }
    }
    var timeout = timeval(tv_sec: receiveTimeoutSeconds, tv_usec: 0)
    let descriptor = mnl_socket_get_fd(socket)
    guard setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size)) == 0 else {
      throw .current("set the time-out of a netlink socket")
    }
    guard mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0 else { throw .current("bind a netlink socket") }
  }

  /// Asks for a change; returns when the kernel has made it.
  mutating func execute(_ request: borrowing Request, _ operation: @autoclosure () -> String) throws(Errno) {
    request.message.pointee.nlmsg_flags |= UInt16(NLM_F_ACK)
    _ = try exchange(request, operation(), each: { _ in })
  }

  /// Asks for one object; nil where the kernel says `absent`, an error number.
  mutating func get<Object>(
    _ request: borrowing Request, absent: Int32, _ operation: @autoclosure () -> String,
    parse: (Message) -> Object?
  ) throws(Errno) -> Object? {
    var object: Object?
    request.message.pointee.nlmsg_flags |= UInt16(NLM_F_ACK)
    do {
      _ = try exchange(request, operation()) { object = parse($0) ?? object }
      return object
    } catch {
      guard error.code == absent else { throw error }
      return nil
    }
  }

  /// Asks for a table. A dump during which the table changed may lack entries or have them twice, and is begun anew.
  mutating func dump<Object>(
    _ request: borrowing Request, _ operation: @autoclosure () -> String, parse: (Message) -> Object?
  ) throws(Errno) -> [Object] {
    request.message.pointee.nlmsg_flags |= UInt16(NLM_F_DUMP)
    for _ in 0..<Self.dumpAttemptLimit {
      var objects: [Object] = []
      let isConsistent = try exchange(request, operation()) { message in
        if let object = parse(message) { objects.append(object) }
      }
      if isConsistent { return objects }
    }
    throw Errno(EAGAIN, "\(operation()), which changes all the time")
  }

  /// Sends `request`, hands each object of the answer to `each`, and returns at its end: an acknowledgement, or the end
  /// of a dump. false where the dump was interrupted by a change.
  private mutating func exchange(
    _ request: borrowing Request, _ operation: @autoclosure () -> String, each: (Message) -> Void
  ) throws(Errno) -> Bool {
    guard !request.isOverfull else { throw Errno(EMSGSIZE, operation()) }
    sequence &+= 1
    request.message.pointee.nlmsg_seq = sequence
    guard mnl_socket_sendto(socket, request.message, Int(request.message.pointee.nlmsg_len)) >= 0 else {
      throw .current(operation())
    }
    var isConsistent = true
    while true {
      var remaining = try receive(operation())
      var cursor = UnsafePointer(buffer.baseAddress!.assumingMemoryBound(to: nlmsghdr.self))
      while mnl_nlmsg_ok(cursor, remaining) {
        let message = Message(header: cursor)
        cursor = UnsafePointer(mnl_nlmsg_next(cursor, &remaining))
        // What came of an earlier request after its time was out.
        guard mnl_nlmsg_seq_ok(message.header, sequence),
          mnl_nlmsg_portid_ok(message.header, mnl_socket_get_portid(socket))
        else { continue }
        if message.has(flag: NLM_F_DUMP_INTR) { isConsistent = false }
        switch Int32(message.type) {
        case NLMSG_ERROR, NLMSG_DONE:
          try message.checkOutcome(operation())
          return isConsistent
        case NLMSG_NOOP: continue
        default: each(message)
        }
      }
    }
  }

  private func receive(_ operation: @autoclosure () -> String) throws(Errno) -> Int32 {
    while true {
      let count = mnl_socket_recvfrom(socket, buffer.baseAddress, buffer.count)
      if count >= 0 { return Int32(count) }
      switch errno {
      case EINTR: continue
      case EAGAIN: throw Errno(ETIMEDOUT, operation())
      default: throw .current(operation())
      }
    }
  }
}

extension Message {
  /// Throws what an NLMSG_ERROR or NLMSG_DONE reports: both begin with 0 or -errno, and under NETLINK_EXT_ACK may go on
  /// with attributes (linux/netlink.h, nlmsgerr_attrs).
  fileprivate func checkOutcome(_ operation: @autoclosure () -> String) throws(Errno) {
    guard let code = family(Int32.self) else { throw Errno(EBADMSG, operation()) }
    guard code < 0 else { return }
    var operation = operation()
    if has(flag: NLM_F_ACK_TLVS) {
      // An error names the request behind its number; a dump's end has only the number.
      let attributes = Int32(type) == NLMSG_ERROR ? attributes(after: nlmsgerr.self) : attributes(after: Int32.self)
      for attribute in attributes where attribute.type == Int(NLMSGERR_ATTR_MSG.rawValue) {
        if let words = attribute.string { operation += " (\(words))" }
      }
    }
    throw Errno(-code, operation)
  }
}
