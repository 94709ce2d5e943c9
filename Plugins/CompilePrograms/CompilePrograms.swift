import Foundation
import PackagePlugin

/// Compiles each `NAME.bpf.c` of the target with the toolchain's own clang, which has the bpf target, and makes a Swift source
/// with the object in it, as `NAMEProgram`.
@main
struct CompilePrograms: BuildToolPlugin {
  static let suffix = ".bpf.c"

  func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
    // Beside the compiler in use, and else on PATH.
    guard let clang = try? context.tool(named: "clang") else { throw MissingClang() }
    let sources = try FileManager.default.contentsOfDirectory(at: target.directoryURL, includingPropertiesForKeys: nil)
    return try sources.filter { $0.lastPathComponent.hasSuffix(Self.suffix) }.map { source in
      let name = source.lastPathComponent.dropLast(Self.suffix.count)
      let output = context.pluginWorkDirectoryURL.appending(path: "\(name.capitalized)Program.swift")
      return .buildCommand(
        displayName: "Compiling \(source.lastPathComponent)",
        executable: try context.tool(named: "embed-bpf").url,
        arguments: [clang.url.path, source.path, output.path],
        inputFiles: [source],
        outputFiles: [output])
    }
  }
}

struct MissingClang: Error, CustomStringConvertible {
  var description: String {
    """
    clang was found neither beside the Swift compiler nor on PATH. It compiles the BPF programs, and belongs to the Swift \
    toolchain: https://www.swift.org/install/linux
    """
  }
}
