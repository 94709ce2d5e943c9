import Glibc
import SystemCalls

/// The process that has a socket open: of several, as after fork(2), the one with the lowest number.
struct SocketHolder {
  let processID: Int32
  let name: String?

  /// By the sockets' inodes, from `/proc/PID/fd` (proc(5)). Processes that end meanwhile, or that we may not look into,
  /// are left out.
  static func find(_ inodes: Set<UInt64>) -> [UInt64: SocketHolder] {
    var missing = inodes.subtracting([0])
    var holders: [UInt64: SocketHolder] = [:]
    guard !missing.isEmpty else { return holders }
    for processID in names(in: "/proc").compactMap({ Int32($0) }).sorted() where !missing.isEmpty {
      let directory = "/proc/\(processID)/fd"
      for descriptor in names(in: directory) {
        guard let inode = socketInode("\(directory)/\(descriptor)"), missing.remove(inode) != nil else { continue }
        holders[inode] = SocketHolder(processID: processID, name: commandName(processID))
      }
    }
    return holders
  }

  private static func names(in directory: String) -> [String] {
    guard let stream = opendir(directory) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: $0.pointee)) { String(cString: $0) }
      }
      names.append(name)
    }
    return names
  }

  /// N of a link to `socket:[N]`.
  private static func socketInode(_ path: String) -> UInt64? {
    let count = 64
    let target = String(unsafeUninitializedCapacity: count) { bytes in
      bytes.withMemoryRebound(to: CChar.self) { max(0, readlink(path, $0.baseAddress!, count)) }
    }
    guard target.hasPrefix("socket:["), target.hasSuffix("]") else { return nil }
    return UInt64(target.dropFirst("socket:[".count).dropLast())
  }

  private static func commandName(_ processID: Int32) -> String? {
    guard let file = try? FileDescriptor.open("/proc/\(processID)/comm", O_RDONLY) else { return nil }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = read(file.number, &bytes, bytes.count)
    guard count > 0 else { return nil }
    return String(decoding: bytes[..<count].split(separator: UInt8(ascii: "\n")).first ?? [], as: UTF8.self)
  }
}
