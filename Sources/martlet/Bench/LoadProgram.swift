import ControlModel
import Glibc

/// Where the program is that generates load and measures.
struct LoadProgram: Equatable {
  static let name = "martlet-load"

  let path: String

  /// Beside this program, else on PATH.
  static func find() throws(ControlError) -> LoadProgram {
    let own = realpath("/proc/self/exe", nil)
    defer { free(own) }
    return try find(beside: own.map { String(cString: $0) }, path: getenv("PATH").map { String(cString: $0) })
  }

  static func find(beside program: String?, path: String?) throws(ControlError) -> LoadProgram {
    let beside = program.map { $0.split(separator: "/").dropLast().map { "/" + $0 }.joined() }
    let directories = [beside].compactMap(\.self) + (path ?? "").split(separator: ":").map(String.init)
    for directory in directories where access("\(directory)/\(name)", X_OK) == 0 {
      return LoadProgram(path: "\(directory)/\(name)")
    }
    throw ControlError(
      .system, "\(name), which makes the load, is neither beside this program nor on PATH: it comes with Martlet")
  }
}
