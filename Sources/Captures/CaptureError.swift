import Glibc

/// Why a capture cannot be read or written, or a filter not be understood: one sentence that says what to do.
public struct CaptureError: Error, CustomStringConvertible, Equatable {
  public let description: String

  public init(_ description: String) { self.description = description }

  /// With what strerror(3) says of errno.
  public static func system(_ operation: String) -> CaptureError {
    let code = errno
    var buffer = [CChar](repeating: 0, count: 256)
    return CaptureError("\(operation): \(String(cString: strerror_r(code, &buffer, buffer.count)))")
  }
}
