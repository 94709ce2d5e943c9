import CLibbpf
import CLinux
import Glibc
import SystemCalls
import Tables

/// The one owner of a loaded BPF object: programs and maps, with their descriptors.
///
/// Threads: after `init` only its descriptors are used.
struct BPFObject: ~Copyable, @unchecked Sendable {
  private let pointer: OpaquePointer

  /// Loads `digits`, an ELF object of which each byte is two hexadecimal digits.
  init(_ digits: StaticString, named name: StaticString) throws(Errno) {
    let handle = try ObjectHandle(digits, name)
    _ = try Self.check(bpf_object__load(handle.pointer), "load the BPF programs of \(name)")
    pointer = handle.release()
  }

  deinit { bpf_object__close(pointer) }

  /// The descriptor of a program, which stays the object's.
  func program(_ name: String) throws(Errno) -> Int32 {
    guard let program = bpf_object__find_program_by_name(pointer, name) else {
      throw Errno(ENOENT, "find BPF program \(name)")
    }
    return bpf_program__fd(program)
  }

  /// The descriptor of a map, which stays the object's.
  func map(_ name: String) throws(Errno) -> Int32 {
    try Self.check(bpf_object__find_map_fd_by_name(pointer, name), "find BPF map \(name)")
  }

  /// Takes what libbpf answered, a value >= 0 or -errno, and adds its words, where it had any.
  static func check(_ result: Int32, _ operation: @autoclosure () -> String) throws(Errno) -> Int32 {
    defer { martlet_bpf_forget_words() }
    guard result < 0 else { return result }
    let words = String(cString: martlet_bpf_words()).split(whereSeparator: \.isNewline).first
    throw Errno(-result, operation() + (words.map { " (\($0))" } ?? ""))
  }
}

/// What libbpf wants to be told of its structures, which may grow: how much of one is filled in, to the end of `field`. With what
/// lies behind it, it would refuse the structure where padding is not 0, and Swift does not clear padding.
func sizeThrough<Structure, Field>(_ field: KeyPath<Structure, Field>) -> Int {
  MemoryLayout<Structure>.offset(of: field)! + MemoryLayout<Field>.size
}

/// An object on its way: closed unless it is handed on.
private struct ObjectHandle: ~Copyable {
  let pointer: OpaquePointer

  init(_ digits: StaticString, _ name: StaticString) throws(Errno) {
    // Kept for the error's message in place of being printed.
    libbpf_set_print { level, format, arguments in
      // Imported as an optional on some architectures only.
      let arguments: CVaListPointer? = arguments
      guard level == LIBBPF_WARN, let arguments else { return 0 }
      return martlet_bpf_keep_words(format, arguments)
    }
    martlet_bpf_forget_words()
    var options = bpf_object_open_opts()
    options.sz = sizeThrough(\bpf_object_open_opts.object_name)
    let bytes = Self.bytes(digits)
    let name = name.description
    let object = name.withCString { name in
      options.object_name = name
      return bytes.withUnsafeBytes { bpf_object__open_mem($0.baseAddress, $0.count, &options) }
    }
    guard let object else {
      _ = try BPFObject.check(-errno, "open BPF object \(name)")
      fatalError("libbpf gave neither an object nor an error")
    }
    pointer = object
  }

  deinit { bpf_object__close(pointer) }

  consuming func release() -> OpaquePointer {
    let pointer = self.pointer
    discard self
    return pointer
  }

  private static func bytes(_ digits: StaticString) -> [UInt8] {
    func value(_ digit: UInt8) -> UInt8 { digit <= UInt8(ascii: "9") ? digit &- 48 : digit &- 87 }
    return (0..<digits.utf8CodeUnitCount / 2).map {
      value(digits.utf8Start[2 * $0]) << 4 | value(digits.utf8Start[2 * $0 + 1])
    }
  }
}

/// The map of the claims, in this process' memory.
struct MappedClaims: ~Copyable, @unchecked Sendable {
  /// `PortClaims.byteCount` bytes.
  let memory: UnsafeMutableRawPointer

  init(map: Int32) throws(Errno) {
    let memory = mmap(nil, PortClaims.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0)
    guard let memory, memory != MAP_FAILED else { throw .current("map the claims of the uplink") }
    self.memory = memory
  }

  deinit { munmap(memory, PortClaims.byteCount) }
}
