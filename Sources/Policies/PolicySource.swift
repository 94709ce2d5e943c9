import Glibc
import PolicyText

/// Where a policy comes from.
public enum PolicySource: Sendable, Equatable {
  /// One of the tree's own.
  case builtIn(String)
  /// Rules; `name` for people.
  case text(name: String, String)
  /// A dynamic library, by its path.
  case library(path: String)

  /// Bytes of a text: what goes into one request to the daemon.
  public static let textLengthMax = 512 << 10
  static let libraryEnding = ".so"

  /// What somebody means who names a policy on a command line: a built-in, or a file that is a library or has rules.
  /// - Parameter argument: as typed; a built-in goes before a file of the same name, which `./` in front tells apart.
  public init(argument: String) throws(PolicyError) {
    if PolicyCatalog.policy(named: argument) != nil {
      self = .builtIn(argument)
    } else if argument.hasSuffix(Self.libraryEnding) {
      guard let path = realpath(argument, nil) else {
        throw PolicyError("\(argument): \(String(cString: strerror(errno)))")
      }
      defer { free(path) }
      self = .library(path: String(cString: path))
    } else {
      self = .text(name: Self.name(ofFile: argument), try Self.read(argument))
    }
  }

  /// - Parameters:
  ///   - workers: how many are to run it.
  ///   - watch: notes the calls of a library's policy for `network`, the network's id; nil: nobody does.
  public func make(
    _ parameters: [String: String], workers: Int, watch: PolicyWatch? = nil, network: String = ""
  ) throws(PolicyError) -> InstalledPolicy {
    switch self {
    case .builtIn(let name):
      guard let policy = PolicyCatalog.policy(named: name) else {
        let names = PolicyCatalog.builtIn.map(\.name).joined(separator: ", ")
        throw PolicyError("no policy is called \(name): there are \(names)")
      }
      return try policy.make(parameters, workers: workers)
    case .text(let name, let text): return try Self.make(name, text, parameters, workers: workers)
    case .library(let path):
      let lease = try watch?.lease(slots: workers, network: network)
      return try PolicyLibrary.make(
        path: path, parameters, name: Self.name(ofFile: path), workers: workers, lease: lease)
    }
  }

  private static func make(
    _ name: String, _ text: String, _ parameters: [String: String], workers: Int
  ) throws(PolicyError) -> InstalledPolicy {
    if let key = parameters.keys.sorted().first {
      throw PolicyError("policy \(name): no parameter is called \(key): rules take none")
    }
    switch CompiledPolicy.compile(text) {
    case .success(let compiled):
      return InstalledPolicy(TextPolicy(compiled), name: compiled.name ?? name, workers: workers)
    case .failure(let refusal):
      let more = refusal.diagnostics.count - 1
      let first = refusal.diagnostics.first?.description ?? "it does not say why"
      throw PolicyError(
        "\(name):\(first)" + (more > 0 ? " (and \(more) more: martlet policy check \(name) shows them)" : ""))
    }
  }

  /// What is wrong with rules, each with its line and a mark below the place; nil: nothing is, or they are no text.
  public func diagnosis() -> String? {
    guard case .text(let name, let text) = self, case .failure(let refusal) = CompiledPolicy.compile(text) else {
      return nil
    }
    return refusal.diagnostics.map { $0.rendered(in: text, file: name) }.joined(separator: "\n")
  }

  public static func name(ofFile path: String) -> String {
    let file = path.split(separator: "/").last.map(String.init) ?? path
    return file.hasSuffix(".so") && file.hasPrefix("lib") ? String(file.dropFirst(3).dropLast(3)) : file
  }

  private static func read(_ path: String) throws(PolicyError) -> String {
    guard let file = fopen(path, "re") else {
      let names = PolicyCatalog.builtIn.map(\.name).joined(separator: ", ")
      guard errno == ENOENT, !path.contains("/") else {
        throw PolicyError("\(path): \(String(cString: strerror(errno)))")
      }
      throw PolicyError("\(path) is neither a file nor a policy of Martlet's own, which are \(names)")
    }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: textLengthMax + 1)
    let count = fread(&bytes, 1, bytes.count, file)
    guard ferror(file) == 0 else { throw PolicyError("\(path): \(String(cString: strerror(errno)))") }
    guard count <= textLengthMax else { throw PolicyError("\(path) is longer than \(textLengthMax >> 10) KiB") }
    guard let text = String(validating: bytes.prefix(count), as: UTF8.self) else {
      throw PolicyError("\(path) is no text in UTF-8")
    }
    return text
  }
}
