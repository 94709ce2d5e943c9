import Netlink

/// The parameters that come in the environment (CNI 1.1.0, "Parameters").
public struct Invocation: Equatable, Sendable {
  public enum Command: String, CaseIterable, Sendable {
    case add = "ADD"
    case delete = "DEL"
    case check = "CHECK"
    case garbageCollect = "GC"
    case status = "STATUS"
    case version = "VERSION"
  }

  static let containerIDBytesMax = 256
  static let pathBytesMax = 4096

  public var command: Command
  public var containerID = ""
  /// A path; empty where the namespace is gone, as far as the caller knows.
  public var namespace = ""
  public var interface = ""
  /// CNI_ARGS as it came.
  public var arguments = ""
  /// Where plugins are looked for.
  public var path: [String] = []

  /// Reads what the command needs; what it does not need may be anything.
  public init(environment: [String: String]) throws(CNIError) {
    let word = environment["CNI_COMMAND"] ?? ""
    guard let command = Command(rawValue: word) else {
      throw CNIError(
        .invalidEnvironment,
        word.isEmpty
          ? "CNI_COMMAND is not set: this is a CNI plugin, to be run by a container runtime"
          : "CNI_COMMAND: there is no command \(quoted(word))")
    }
    self.command = command
    path = (environment["CNI_PATH"] ?? "").split(separator: ":").map(String.init)
    guard command == .add || command == .delete || command == .check else { return }
    containerID = environment["CNI_CONTAINERID"] ?? ""
    namespace = environment["CNI_NETNS"] ?? ""
    interface = environment["CNI_IFNAME"] ?? ""
    arguments = environment["CNI_ARGS"] ?? ""
    let needed = ["CNI_CONTAINERID", "CNI_IFNAME"] + (command == .delete ? [] : ["CNI_NETNS"])
    let missing = needed.filter { environment[$0]?.isEmpty ?? true }
    guard missing.isEmpty else {
      throw CNIError(.invalidEnvironment, "\(missing.joined(separator: ", ")): \(word) needs a value")
    }
    try check()
  }

  private func check() throws(CNIError) {
    guard Self.isIdentifier(containerID), containerID.utf8.count <= Self.containerIDBytesMax else {
      throw CNIError(
        .invalidEnvironment,
        "CNI_CONTAINERID \(quoted(containerID)): letters, digits, _ . and - are allowed, the first a letter or digit, at most \(Self.containerIDBytesMax)"
      )
    }
    guard Link.isValidName(interface) else {
      throw CNIError(.invalidEnvironment, "CNI_IFNAME \(quoted(interface)) cannot be the name of an interface")
    }
    guard namespace.isEmpty || namespace.hasPrefix("/") && namespace.utf8.count <= Self.pathBytesMax else {
      throw CNIError(.invalidEnvironment, "CNI_NETNS \(quoted(namespace)) is no absolute path")
    }
  }

  /// What the specification lets containers and networks be called.
  static func isIdentifier(_ text: String) -> Bool {
    func isLetterOrDigit(_ byte: UInt8) -> Bool {
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
    guard let first = text.utf8.first, isLetterOrDigit(first) else { return false }
    return text.utf8.allSatisfy { isLetterOrDigit($0) || "_.-".utf8.contains($0) }
  }
}

private let quotedScalarsMax = 80

/// A caller's text for a message: in quotes, on one line, cut where it is long.
func quoted(_ text: String) -> String {
  let scalars = text.unicodeScalars.prefix(quotedScalarsMax).map { scalar in
    scalar.value < 0x20 || scalar.value == 0x7F ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
  }
  return "\"\(scalars.joined())\(text.unicodeScalars.count > quotedScalarsMax ? "..." : "")\""
}
