import CLinux
import Glibc
import SystemCalls

/// A network namespace (network_namespaces(7)), held open by a descriptor: it lives at least as long as this value.
///
/// A namespace belongs to a thread, not to the process. Only `run` changes that of a thread, and puts it back before it
/// returns; so a value may be used from any thread, and from several.
public struct NetworkNamespace: ~Copyable, Sendable {
  /// What tells one namespace from every other on the machine (namespaces(7), "The /proc/pid/ns/ directory").
  public struct Identity: Hashable, Sendable {
    public let device: UInt64
    /// The number in `net:[4026532177]`, as `readlink /proc/PID/ns/net` prints it.
    public let inode: UInt64
  }

  public let identity: Identity
  let descriptor: FileDescriptor

  public var inode: UInt64 { identity.inode }

  /// Opens the namespace at `path`: `/run/netns/NAME`, `/proc/PID/ns/net`. EINVAL where something else is there.
  public init(path: String) throws(Errno) {
    // O_NONBLOCK: the path is a user's, and opening a FIFO must not wait for its writer.
    let descriptor = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK)
    let isNetwork = try check(
      martlet_is_network_namespace(descriptor.number), "ask for the kind of namespace of \(path)")
    guard isNetwork == 1 else { throw Errno(EINVAL, "open \(path), which is not a network namespace") }
    var status = stat()
    guard fstat(descriptor.number, &status) == 0 else { throw .current("fstat \(path)") }
    self.identity = Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    self.descriptor = descriptor
  }

  /// The namespace of the calling thread.
  public static func current() throws(Errno) -> NetworkNamespace {
    try NetworkNamespace(path: "/proc/thread-self/ns/net")
  }

  /// Runs `body` on the calling thread with the thread inside this namespace (setns(2)): sockets and TAPs that it opens,
  /// and what it reads and writes below /proc/sys/net, are the namespace's.
  ///
  /// Ends the process if the way back is barred: a thread in the wrong namespace would do harm without a sign.
  public borrowing func run<Result: ~Copyable>(_ body: () throws(Errno) -> Result) throws(Errno) -> Result {
    let home = try NetworkNamespace.current()
    _ = try check(martlet_setns_network(descriptor.number), "enter network namespace \(inode)")
    defer {
      let result = martlet_setns_network(home.descriptor.number)
      if result < 0 { fatalError("\(Errno(-result, "return to network namespace \(home.inode)"))") }
    }
    return try body()
  }
}
