import Glibc

/// Bytes whose end is the end of mapped memory: a load beyond it is a fault, not a wrong answer.
struct GuardedBytes: ~Copyable {
  static let pageSize = 4096
  private let pages: UnsafeMutableRawPointer

  init() {
    pages = mmap(nil, 2 * Self.pageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    precondition(pages != MAP_FAILED && mprotect(pages + Self.pageSize, Self.pageSize, PROT_NONE) == 0)
  }

  func with(_ bytes: some Collection<UInt8>, _ body: (RawSpan) -> Void) {
    let start = pages + Self.pageSize - bytes.count
    let buffer = UnsafeMutableRawBufferPointer(start: start, count: bytes.count)
    buffer.copyBytes(from: bytes)
    body(UnsafeRawBufferPointer(buffer).bytes)
  }

  /// Memory of that many bytes, of undefined content.
  func withRoom(_ count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    body(UnsafeMutableRawBufferPointer(start: pages + Self.pageSize - count, count: count))
  }

  deinit { munmap(pages, 2 * Self.pageSize) }
}
