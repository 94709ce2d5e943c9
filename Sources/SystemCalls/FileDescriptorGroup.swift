import Glibc

/// The one owner of several file descriptors, which are handed on together, or closed when the value ends.
public struct FileDescriptorGroup: ~Copyable, Sendable {
  public private(set) var numbers: [Int32]

  public init() { numbers = [] }

  /// Takes ownership of `descriptor`.
  public init(_ descriptor: consuming FileDescriptor) { numbers = [descriptor.release()] }

  deinit { for number in numbers { close(number) } }

  public mutating func append(_ descriptor: consuming FileDescriptor) { numbers.append(descriptor.release()) }

  /// Gives the descriptors up: the caller closes them.
  public consuming func release() -> [Int32] {
    defer { numbers = [] }
    return numbers
  }
}
