import CLinux
import Foundation
import Netlink
import SystemCalls
import Testing
import UplinkFilter

/// Two hosts on one cable, each a network namespace: one with an uplink `wan`, and its peer with `eth0`. The addresses are
/// those of the golden frames.
struct TestUplink: Sendable {
  let host: String
  var peer: String { host + "-peer" }

  static func with(_ body: (TestUplink) async throws -> Void) async throws {
    let uplink = TestUplink(host: "martlet-\(getpid())-\(UInt32.random(in: .min ... .max))")
    defer { for name in [uplink.host, uplink.peer] { _ = try? uplink.run("ip", "netns", "del", name) } }
    for name in [uplink.host, uplink.peer] { try uplink.run("ip", "netns", "add", name) }
    try uplink.run("ip", "-n", uplink.host, "link", "add", "wan", "type", "veth", "peer", "eth0", "netns", uplink.peer)
    for (namespace, name, number) in [(uplink.host, "wan", 1), (uplink.peer, "eth0", 2)] {
      try uplink.run("ip", "-n", namespace, "link", "set", name, "address", "02:00:00:00:00:0\(number)")
      try uplink.run("ip", "-n", namespace, "addr", "add", "192.0.2.\(number)/24", "dev", name)
      try uplink.run("ip", "-n", namespace, "addr", "add", "2001:db8::\(number)/64", "dev", name, "nodad")
      try uplink.run("ip", "-n", namespace, "link", "set", name, "up")
    }
    try await body(uplink)
  }

  /// The command's output; it must succeed.
  @discardableResult
  func run(_ words: String...) throws -> String {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = words
    (process.standardOutput, process.standardError) = (pipe, pipe)
    try process.run()
    let output = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(words.joined(separator: " ")): \(output)")
    return output
  }

  /// Runs `body` on this thread in the host's namespace.
  func onHost<Value: ~Copyable>(_ body: () throws(Errno) -> Value) throws(Errno) -> Value {
    try NetworkNamespace(path: "/run/netns/\(host)").run(body)
  }

  func onPeer<Value: ~Copyable>(_ body: () throws(Errno) -> Value) throws(Errno) -> Value {
    try NetworkNamespace(path: "/run/netns/\(peer)").run(body)
  }

  func attach(_ filter: inout UplinkFilter) throws {
    try onHost { () throws(Errno) in try filter.attach(interface: Int32(if_nametoindex("wan"))) }
  }

  /// What the host's stack has counted: `TcpOutRsts`, `UdpNoPorts`, `Udp6NoPorts`.
  func counter(_ name: String) throws -> Int {
    let lines = try run("ip", "netns", "exec", host, "nstat", "-asz", name).split(separator: "\n")
    let line = try #require(lines.first { $0.hasPrefix(name) })
    return try #require(Int(line.split(separator: " ")[1]))
  }

  /// errno of a connection that the peer tries; ETIMEDOUT where there was no answer.
  func connect(to address: String, port: UInt16, _ transport: Transport = .tcp, wait: Int32 = 5000) throws
    -> Int32
  {
    try onPeer { () throws(Errno) in
      let isIPv6 = address.contains(":")
      let number = socket(
        isIPv6 ? AF_INET6 : AF_INET,
        Int32((transport == .udp ? SOCK_DGRAM : SOCK_STREAM).rawValue | SOCK_NONBLOCK.rawValue), 0)
      guard number >= 0 else { throw .current("socket") }
      let descriptor = FileDescriptor(owning: number)
      var storage = sockaddr_storage()
      let length = withUnsafeMutablePointer(to: &storage) { storage -> Int in
        let raw = UnsafeMutableRawPointer(storage)
        if isIPv6 {
          let target = raw.assumingMemoryBound(to: sockaddr_in6.self)
          (target.pointee.sin6_family, target.pointee.sin6_port) = (UInt16(AF_INET6), port.bigEndian)
          inet_pton(AF_INET6, address, &target.pointee.sin6_addr)
          return MemoryLayout<sockaddr_in6>.size
        }
        let target = raw.assumingMemoryBound(to: sockaddr_in.self)
        (target.pointee.sin_family, target.pointee.sin_port) = (UInt16(AF_INET), port.bigEndian)
        inet_pton(AF_INET, address, &target.pointee.sin_addr)
        return MemoryLayout<sockaddr_in>.size
      }
      let result = withUnsafePointer(to: &storage) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          Glibc.connect(descriptor.number, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(length))
        }
      }
      guard result == 0 || errno == EINPROGRESS else { return errno }
      if transport == .udp { send(descriptor.number, "hello", 5, 0) }
      var poll = pollfd(fd: descriptor.number, events: Int16(transport == .udp ? POLLIN : POLLOUT), revents: 0)
      guard Glibc.poll(&poll, 1, wait) > 0 else { return ETIMEDOUT }
      var error: Int32 = 0
      var size = socklen_t(MemoryLayout<Int32>.size)
      getsockopt(descriptor.number, SOL_SOCKET, SO_ERROR, &error, &size)
      return error
    }
  }
}

enum Transport { case tcp, udp }

/// A packet socket on an interface, without virtio-net headers.
struct TestPacketSocket: ~Copyable {
  private let descriptor: FileDescriptor

  /// In the calling thread's namespace. Takes no frame before the filter is there.
  init(on interface: String, program: Int32? = nil) throws(Errno) {
    let number = socket(AF_PACKET, Int32(SOCK_RAW.rawValue), 0)
    guard number >= 0 else { throw .current("open a packet socket") }
    let descriptor = FileDescriptor(owning: number)
    if var program {
      guard setsockopt(number, SOL_SOCKET, SO_ATTACH_BPF, &program, 4) == 0 else { throw .current("attach") }
    }
    var address = sockaddr_ll()
    address.sll_family = UInt16(AF_PACKET)
    address.sll_protocol = program == nil ? 0 : UInt16(ETH_P_ALL).bigEndian
    address.sll_ifindex = Int32(if_nametoindex(interface))
    let result = withUnsafePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(number, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_ll>.size))
      }
    }
    guard result == 0 else { throw .current("bind") }
    self.descriptor = descriptor
  }

  func send(_ frame: Frame) throws {
    let count = Glibc.send(descriptor.number, frame.bytes, frame.bytes.count, 0)
    try #require(count == frame.bytes.count)
  }

  /// The next frame; nil where none comes within `wait` milliseconds.
  func receive(wait: Int32 = 5000) -> Frame? {
    var poll = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
    guard Glibc.poll(&poll, 1, wait) > 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: 70_000)
    let count = recv(descriptor.number, &bytes, bytes.count, 0)
    return count < 0 ? nil : Frame(Array(bytes.prefix(count)))
  }
}
