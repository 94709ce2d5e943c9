import Glibc
import SystemCalls
import Tables

// Theory of operation.
//
// The sessions lie in a file below the run directory, which is memory (tmpfs) and goes with the machine. When the daemon ends, however
// it does, the file stays; the next one reads the sessions out of it and takes up those whose endpoints are there still. What
// is in the file is only believed as far as the router can check it (`Router.restore`). One process has the file at a time (flock).

/// A file that holds a session table's memory.
final class SessionMemory: @unchecked Sendable {
  private struct Header: BitwiseCopyable {
    static let magic: UInt64 = 0x4D41_5254_4C45_5431

    var magic = Self.magic
    /// Another layout has another.
    var stride = UInt64(MemoryLayout<Session>.stride)
    var capacity: UInt64
  }

  /// A page, so that the sessions are aligned.
  private static let headerBytes = 4096

  private let address: UnsafeMutableRawPointer
  private let bytes: Int
  private let path: String
  /// Keeps the lock.
  private let file: FileDescriptor
  /// Of an earlier process.
  private var earlier: [Session]

  var sessions: UnsafeMutableRawPointer { address + Self.headerBytes }

  /// Makes the file anew; what was in it is for `takeEarlier`. EWOULDBLOCK: another process has it.
  init(path: String, capacity: Int) throws(Errno) {
    let file = try FileDescriptor.open(path, O_RDWR | O_CREAT, mode: 0o600)
    guard flock(file.number, LOCK_EX | LOCK_NB) == 0 else { throw .current("lock \(path)") }
    self.path = path
    earlier = Self.read(file.number)
    bytes = Self.headerBytes + SessionTable.memorySize(capacity: capacity)
    guard ftruncate(file.number, 0) == 0, ftruncate(file.number, off_t(bytes)) == 0 else {
      throw .current("make \(path) \(bytes) bytes long")
    }
    let mapped = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file.number, 0)
    guard let mapped, mapped != MAP_FAILED else { throw .current("map \(path)") }
    address = mapped
    address.storeBytes(of: Header(capacity: UInt64(capacity)), as: Header.self)
    self.file = file
  }

  /// The next process finds no sessions.
  func remove() { unlink(path) }

  deinit { munmap(address, bytes) }

  /// The sessions of an earlier process, the longest idle first. Once.
  func takeEarlier() -> [Session] {
    defer { earlier = [] }
    return earlier.sorted { $0.lastSeen < $1.lastSeen }
  }

  /// The sessions that are in the file; none where it is of another layout.
  private static func read(_ descriptor: Int32) -> [Session] {
    let length = Int(lseek(descriptor, 0, SEEK_END))
    guard length > headerBytes else { return [] }
    let mapped = mmap(nil, length, PROT_READ, MAP_SHARED, descriptor, 0)
    guard let mapped, mapped != MAP_FAILED else { return [] }
    defer { munmap(mapped, length) }
    let header = mapped.load(as: Header.self)
    guard header.magic == Header.magic, header.stride == MemoryLayout<Session>.stride else { return [] }
    let count = min(Int(clamping: header.capacity), (length - headerBytes) / MemoryLayout<Session>.stride)
    return used(UnsafeRawPointer(mapped) + headerBytes, count: count, descriptor)
  }

  /// Only what was ever written is looked at: the rest of the file is a hole.
  private static func used(_ sessions: UnsafeRawPointer, count: Int, _ descriptor: Int32) -> [Session] {
    let stride = MemoryLayout<Session>.stride
    var found: [Session] = []
    var offset = off_t(headerBytes)
    let end = off_t(headerBytes + count * stride)
    while offset < end {
      let start = lseek(descriptor, offset, SEEK_DATA)
      guard start >= 0, start < end else { break }
      var stop = lseek(descriptor, start, SEEK_HOLE)
      if stop < start || stop > end { stop = end }
      // Pages hold whole sessions.
      let first = max(0, Int(start) - headerBytes) / stride
      for index in first..<max(first, (Int(stop) - headerBytes) / stride)
      where Session.isWellFormed(sessions + index * stride) {
        found.append((sessions + index * stride).load(as: Session.self))
      }
      offset = stop
    }
    return found
  }
}
