import Glibc

/// The programs under test: of the same build as the tests, or where MARTLET_BINARIES says.
enum Binaries {
  static func path(_ name: String) throws -> String {
    let directory = try directory()
    let path = "\(directory)/\(name)"
    guard access(path, X_OK) == 0 else {
      throw Failure("there is no \(name) in \(directory): swift build makes it, or MARTLET_BINARIES names where it is")
    }
    return path
  }

  /// The test bundle's executable stands beside them.
  static func directory() throws -> String {
    if let given = getenv("MARTLET_BINARIES") { return String(cString: given) }
    guard let resolved = realpath("/proc/self/exe", nil) else { throw Failure("cannot read /proc/self/exe") }
    defer { free(resolved) }
    return String(String(cString: resolved).split(separator: "/").dropLast().map { "/" + $0 }.joined())
  }
}
