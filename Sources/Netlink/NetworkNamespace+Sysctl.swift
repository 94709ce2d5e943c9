import Glibc
import SystemCalls

/// Below /proc/sys/net a thread sees the values of its own namespace (proc(5), Documentation/networking/ip-sysctl.rst).
extension NetworkNamespace {
  /// The longest value we read: far beyond a number or a range.
  private static let sysctlCapacity = 256

  /// Writes to `/proc/sys/net/PATH` of this namespace: `ipv4/ip_forward`, `ipv6/conf/eth0/accept_dad`. With slashes
  /// because an interface's name may hold dots. ENOENT where the kernel has no such value.
  public borrowing func setSysctl(_ path: String, to value: String) throws(Errno) {
    try run { () throws(Errno) in
      let file = try FileDescriptor.open("/proc/sys/net/\(path)", O_WRONLY)
      let bytes = Array(value.utf8)
      guard write(file.number, bytes, bytes.count) == bytes.count else {
        throw .current("write '\(value)' to /proc/sys/net/\(path)")
      }
    }
  }

  /// Reads `/proc/sys/net/PATH` of this namespace, without the newline at its end.
  public borrowing func sysctl(_ path: String) throws(Errno) -> String {
    try run { () throws(Errno) in
      let file = try FileDescriptor.open("/proc/sys/net/\(path)", O_RDONLY)
      var bytes = [UInt8](repeating: 0, count: Self.sysctlCapacity)
      let count = read(file.number, &bytes, bytes.count)
      guard count >= 0 else { throw .current("read /proc/sys/net/\(path)") }
      let text = bytes[..<count]
      return String(decoding: text.last == UInt8(ascii: "\n") ? text.dropLast() : text, as: UTF8.self)
    }
  }

  /// Ports the kernel itself chooses from for sockets of both families (ip-sysctl.rst, `ip_local_port_range`). EBADMSG
  /// where the value is no range.
  public borrowing func localPortRange() throws(Errno) -> ClosedRange<UInt16> {
    let path = "ipv4/ip_local_port_range"
    let text = try sysctl(path)
    let bounds = text.split { $0 == "\t" || $0 == " " }.map { UInt16($0) }
    guard bounds.count == 2, let first = bounds[0], let last = bounds[1], first <= last else {
      throw Errno(EBADMSG, "read '\(text)' in /proc/sys/net/\(path)")
    }
    return first...last
  }
}
