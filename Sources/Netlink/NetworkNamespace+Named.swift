import CLinux
import Glibc
import SystemCalls

/// Namespaces with a name: a file below /run/netns over which the namespace is mounted, where ip-netns(8) looks for them.
extension NetworkNamespace {
  public static let directory = "/run/netns"

  /// A name is one component of a path: not empty, not `.` or `..`, without `/` and zero bytes, of NAME_MAX bytes at most.
  public static func isValidName(_ name: String) -> Bool {
    (1...Int(NAME_MAX)).contains(name.utf8.count) && name != "." && name != ".."
      && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
  }

  /// Where the namespace `name` is, or would be. EINVAL where `name` is not a valid one.
  public static func path(name: String) throws(Errno) -> String {
    guard isValidName(name) else { throw Errno(EINVAL, "name a network namespace '\(name)'") }
    return "\(directory)/\(name)"
  }

  /// Makes the namespace `name` as `ip netns add` does, and brings its loopback up. EEXIST where the name is taken; on any
  /// error nothing is left behind. The calling thread stays where it is.
  public static func create(name: String) throws(Errno) -> NetworkNamespace {
    let path = try path(name: name)
    try shareDirectory()
    _ = try FileDescriptor.open(path, O_RDONLY | O_CREAT | O_EXCL, mode: 0)
    do {
      try mountNewNamespace(over: path)
      let namespace = try NetworkNamespace(path: path)
      var socket = try RouteSocket(in: namespace)
      try socket.setLink(Link.loopbackIndex, up: true)
      return namespace
    } catch {
      umount2(path, Int32(MNT_DETACH) | Int32(UMOUNT_NOFOLLOW))
      unlink(path)
      throw error
    }
  }

  /// Takes the name away, as `ip netns del` does; the namespace goes with its last process, socket and descriptor. ENOENT
  /// where there is none.
  public static func remove(name: String) throws(Errno) {
    let path = try path(name: name)
    // EINVAL: nothing is mounted there, only the file is left, of a creation that was cut short.
    guard umount2(path, Int32(MNT_DETACH) | Int32(UMOUNT_NOFOLLOW)) == 0 || errno == EINVAL else {
      throw .current("unmount \(path)")
    }
    guard unlink(path) == 0 else { throw .current("remove \(path)") }
  }

  /// Makes /run/netns a shared mount, so that a name that goes, goes in every mount namespace that has a copy of it, and
  /// the namespace does not live on unseen.
  private static func shareDirectory() throws(Errno) {
    guard mkdir(directory, 0o755) == 0 || errno == EEXIST else { throw .current("make \(directory)") }
    let lock = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
    // iproute2 takes the same lock: two that find no mount at the same moment would stack two of them.
    guard flock(lock.number, LOCK_EX) == 0 else { throw .current("lock \(directory)") }
    let shared = UInt(Glibc.MS_SHARED) | UInt(Glibc.MS_REC)
    if mount("", directory, "none", shared, nil) == 0 { return }
    // EINVAL: the directory is not a mount yet.
    guard errno == EINVAL, mount(directory, directory, "none", UInt(Glibc.MS_BIND) | UInt(Glibc.MS_REC), nil) == 0,
      mount("", directory, "none", shared, nil) == 0
    else { throw .current("make \(directory) a shared mount") }
  }

  /// On a thread of its own, which ends with it: no thread that goes on ever changes its namespace.
  private static func mountNewNamespace(over path: String) throws(Errno) {
    struct Job {
      let path: String
      var error: Errno?
    }
    var job = Job(path: path)
    var thread = pthread_t()
    let started = withUnsafeMutablePointer(to: &job) { job in
      let code = pthread_create(
        &thread, nil,
        { context in
          let job = context!.assumingMemoryBound(to: Job.self)
          let unshared = martlet_unshare_network()
          if unshared < 0 {
            job.pointee.error = Errno(-unshared, "make a network namespace")
          } else if mount("/proc/thread-self/ns/net", job.pointee.path, "none", UInt(Glibc.MS_BIND), nil) != 0 {
            job.pointee.error = .current("mount a network namespace over \(job.pointee.path)")
          }
          return nil
        }, job)
      if code == 0 { pthread_join(thread, nil) }
      return code
    }
    guard started == 0 else { throw Errno(started, "start a thread to make a network namespace") }
    if let error = job.error { throw error }
  }
}
