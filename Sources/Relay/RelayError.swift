import SystemCalls

/// Why ports were not opened. None of them is then.
public enum RelayError: Error, Equatable, Sendable {
  /// Another socket of the host has this port of the range.
  case portInUse(UInt16)
  /// Every other refusal: EADDRNOTAVAIL, the host has no such address; EMFILE, no descriptor is left; EINVAL, a range with
  /// port 0, or whose targets go beyond 65535; ENOENT, no such publication is open; ESHUTDOWN, the relay was stopped.
  case refused(Errno)
}

extension RelayError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .portInUse(let port): "port \(port) is in use on the host"
    case .refused(let error): "\(error)"
    }
  }
}
