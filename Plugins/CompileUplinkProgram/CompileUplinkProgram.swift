import Foundation
import PackagePlugin

/// Compiles `uplink.bpf.c` of the target with the toolchain's own clang, which has the bpf target, and makes a Swift source
/// with the object in it.
@main
struct CompileUplinkProgram: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
    let source = target.directoryURL.appending(path: "uplink.bpf.c")
    let output = context.pluginWorkDirectoryURL.appending(path: "UplinkProgram.swift")
    // Beside the compiler in use, and else on PATH.
    guard let clang = try? context.tool(named: "clang") else { throw MissingClang() }
    return [
      .buildCommand(
        displayName: "Compiling \(source.lastPathComponent)",
        executable: try context.tool(named: "embed-bpf").url,
        arguments: [clang.url.path, source.path, output.path],
        inputFiles: [source],
        outputFiles: [output])
    ]
  }
}

struct MissingClang: Error, CustomStringConvertible {
  var description: String {
    """
    clang was found neither beside the Swift compiler nor on PATH. It compiles uplink.bpf.c, and belongs to the Swift \
    toolchain: https://www.swift.org/install/linux
    """
  }
}
