import ControlModel
import Glibc
import SystemCalls

extension ControlError {
  /// What the kernel refused, with the mend where there is one.
  init(_ errno: Errno) {
    switch errno.code {
    case EMFILE, ENFILE:
      self.init(
        .exhausted,
        "\(errno.operation): the daemon has no file descriptor left: raise its limit (LimitNOFILE=, ulimit -n)")
    case EPERM, EACCES:
      self.init(.system, "\(errno): martletd needs CAP_NET_ADMIN and CAP_SYS_ADMIN")
    default:
      self.init(.system, "\(errno)")
    }
  }
}

/// Runs what throws `Errno` where a `ControlError` is due.
func controlled<Value: ~Copyable>(_ body: () throws(Errno) -> Value) throws(ControlError) -> Value {
  do { return try body() } catch { throw ControlError(error) }
}
