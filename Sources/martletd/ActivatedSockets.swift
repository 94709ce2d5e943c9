import ControlModel
import Glibc

/// The sockets that a service manager has opened for the daemon (socket activation, sd_listen_fds(3)).
///
/// By hand, and not by libsystemd: three variables are all there is to it, and the daemon runs where there is no systemd.
struct ActivatedSockets {
  /// `FileDescriptorName=` of the socket's unit.
  enum Name: String, CaseIterable {
    case control
    case dockerPlugin = "docker-plugin"
  }

  /// A Unix stream socket that listens. Whoever takes it closes the descriptor, and leaves the file that names it alone.
  struct Socket: Equatable {
    let descriptor: Int32
    /// What it is bound to.
    let path: String
  }

  /// SD_LISTEN_FDS_START: systemd counts from here.
  private static let first: Int32 = 3
  private static let variables = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]

  private var sockets: [Name: Socket] = [:]

  /// Takes those that were handed to this process. Once, before it opens anything and has threads.
  static func take() throws(ControlError) -> ActivatedSockets {
    let environment = variables.map(ServiceManager.variable)
    // Not for those that this process starts.
    for name in variables { unsetenv(name) }
    return try ActivatedSockets(pid: environment[0], count: environment[1], names: environment[2])
  }

  /// - Parameter first: the descriptor that is counted first.
  init(pid: String?, count: String?, names: String?, first: Int32 = Self.first) throws(ControlError) {
    // Another process's: it was started by one that did not take them.
    guard let pid, pid_t(pid) == getpid(), let count else { return }
    let names = (names ?? "").split(separator: ":", omittingEmptySubsequences: false)
    guard let count = Int(count), count == names.count else {
      throw ControlError(.invalid, "LISTEN_FDS is \(count) with \(names.count) names in LISTEN_FDNAMES: each needs one")
    }
    for (name, descriptor) in zip(names, first...) {
      guard let known = Name(rawValue: String(name)) else {
        let all = Name.allCases.map(\.rawValue).joined(separator: " and ")
        throw ControlError(
          .invalid, "no use for an activated socket named \(name) (FileDescriptorName=): there are \(all)")
      }
      guard sockets[known] == nil else { throw ControlError(.invalid, "two activated sockets are named \(name)") }
      guard let path = Self.path(descriptor) else {
        throw ControlError(
          .invalid, "the activated socket \(name) is no Unix stream socket that listens (ListenStream=)")
      }
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
      sockets[known] = Socket(descriptor: descriptor, path: path)
    }
  }

  /// nil: there was none of that name, or it has been taken.
  mutating func take(_ name: Name) -> Socket? { sockets.removeValue(forKey: name) }

  /// What a listening Unix stream socket is bound to; nil: it is none.
  private static func path(_ descriptor: Int32) -> String? {
    func option(_ name: Int32) -> Int32? {
      var (value, length) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
      return getsockopt(descriptor, SOL_SOCKET, name, &value, &length) == 0 ? value : nil
    }
    guard option(SO_DOMAIN) == AF_UNIX, option(SO_TYPE) == Int32(SOCK_STREAM.rawValue), option(SO_ACCEPTCONN) == 1
    else {
      return nil
    }
    var address = sockaddr_un()
    var length = socklen_t(MemoryLayout<sockaddr_un>.size)
    let got = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getsockname(descriptor, __SOCKADDR_ARG(__sockaddr__: $0), &length)
      }
    }
    guard got == 0 else { return nil }
    return withUnsafeBytes(of: address.sun_path) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
