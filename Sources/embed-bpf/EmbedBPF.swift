import Foundation

/// `embed-bpf CLANG SOURCE OUTPUT`: compiles a BPF program, and writes a Swift source with the object in it.
///
/// The object becomes a string of hexadecimal digits: a literal with an element for each byte takes the compiler minutes.
@main
struct EmbedBPF {
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 4 else { fail("usage: embed-bpf CLANG SOURCE OUTPUT", status: EX_USAGE) }
    let (clang, source, output) = (arguments[1], arguments[2], URL(filePath: arguments[3]))
    let object = output.deletingPathExtension().appendingPathExtension("o")
    try run(
      clang,
      // Version 3 of the instructions is Linux 5.1's; -g is for BTF, which describes the maps.
      ["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wextra", "-Werror"] + includes()
        + ["-c", source, "-o", object.path],
      advice: "It needs the headers of libbpf and Linux: on Debian, apt-get install libbpf-dev linux-libc-dev.")
    let strip = URL(filePath: clang).deletingLastPathComponent().appending(path: "llvm-objcopy").path
    // What a debugger would need is half of it; the kernel takes it with or without.
    if FileManager.default.isExecutableFile(atPath: strip) {
      try run(strip, ["--strip-debug", object.path], advice: "")
    }
    let name = URL(filePath: source).lastPathComponent.prefix { $0 != "." }
    let text = """
      /// \(URL(filePath: source).lastPathComponent), compiled: two hexadecimal digits a byte.
      let \(name)Program: StaticString = "\(hexadecimal(try Data(contentsOf: object)))"

      """
    try Data(text.utf8).write(to: output)
  }

  /// Debian keeps asm/types.h in a directory of the architecture's, which clang does not look into for the bpf target. Any
  /// architecture's will do: what the program takes from there is the same for all.
  static func includes() throws -> [String] {
    let root = "/usr/include"
    if FileManager.default.fileExists(atPath: "\(root)/asm/types.h") { return [] }
    let directory = try FileManager.default.contentsOfDirectory(atPath: root).sorted().first {
      FileManager.default.fileExists(atPath: "\(root)/\($0)/asm/types.h")
    }
    return directory.map { ["-idirafter", "\(root)/\($0)"] } ?? []
  }

  static func run(_ program: String, _ arguments: [String], advice: String) throws {
    let process = Process()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    do { try process.run() } catch { fail("\(program) cannot be run: \(error.localizedDescription)") }
    process.waitUntilExit()
    guard process.terminationReason == .exit, process.terminationStatus == 0 else {
      fail("\(program) failed (its words are above). \(advice)")
    }
  }

  static func hexadecimal(_ bytes: Data) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(2 * bytes.count)
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  static func fail(_ words: String, status: Int32 = EXIT_FAILURE) -> Never {
    FileHandle.standardError.write(Data("error: \(words)\n".utf8))
    exit(status)
  }
}
