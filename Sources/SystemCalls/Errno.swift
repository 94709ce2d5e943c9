import Glibc

/// An error number of the kernel (errno(3)), with what was being done when it came.
public struct Errno: Error, Equatable, Sendable {
  public let code: Int32
  /// What was refused, for the message: `open /dev/net/tun`.
  public let operation: String

  public init(_ code: Int32, _ operation: String) { (self.code, self.operation) = (code, operation) }

  /// The calling thread's errno, read before the words are made, which may change it.
  public static func current(_ operation: @autoclosure () -> String) -> Errno {
    let code = Glibc.errno
    return Errno(code, operation())
  }

  /// What strerror(3) says of the code.
  public var reason: String {
    var buffer = [CChar](repeating: 0, count: 256)
    return String(cString: strerror_r(code, &buffer, buffer.count))
  }
}

extension Errno: CustomStringConvertible {
  public var description: String { "\(operation): \(reason)" }
}

/// Takes the answer of a C function that gives a value >= 0 or -errno.
@inlinable
public func check(_ result: Int32, _ operation: @autoclosure () -> String) throws(Errno) -> Int32 {
  guard result >= 0 else { throw Errno(-result, operation()) }
  return result
}
