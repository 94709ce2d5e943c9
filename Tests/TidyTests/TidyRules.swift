/// A place that breaks a rule: `Sources/Wire/X.swift:7: why`.
struct Finding: Equatable, CustomStringConvertible {
  let path: String
  let line: Int
  let reason: String

  var description: String { "\(path):\(line): \(reason)" }
}

/// What the compiler and swift-format do not check, or check too late.
enum TidyRules {
  static let lineCountMax = 400
  static let functionLineCountMax = 70
  /// Files that may be longer, each with its reason. There is none today.
  static let longFiles: Set<String> = []

  /// Where frames pass: no system call, clock, lock or allocation for each frame, and nothing that dispatches dynamically.
  /// What each costs was measured.
  static let dataPath: Set<String> = ["Wire", "Tables", "Datapath"]

  /// Words of the language and of libraries that have no place in the data path.
  static let banned: [(pattern: String, reason: String)] = [
    (#"\bany\s+[(A-Z]"#, "an existential dispatches dynamically, 3 to 8 ns a call"),
    (#"^\s*(\w+\s+)*class\s+[A-Z]"#, "a class costs exclusivity checks and reference counts; take a ~Copyable struct"),
    (#"\bactor\s+[A-Z]"#, "the data path has no actors"),
    (#"\basync\b|\bawait\b"#, "the data path does not suspend"),
    (#"\bthrows\b|\btry\b"#, "the data path returns a verdict or a DropReason, it does not throw"),
    (#"\bMutex\b|\bNSLock\b|pthread_mutex"#, "the data path holds no lock"),
    (#"\bInlineArray\b"#, "reading an InlineArray's element may copy it whole; take a pointer"),
    (#"\bprint\("#, "the data path has no output"),
    (#"clock_gettime|ContinuousClock|SuspendingClock|\bgettimeofday\b"#, "the data path is given the time"),
    (#"(var|let)\s+\w+\s*:\s*(@Sendable\s*)?\([^)]*\)\s*->"#, "a stored closure costs 6 ns a call"),
  ]

  /// What each module may import of the tree and of packages: the arrows of the design point down only.
  static let arrows: [String: Set<String>] = [
    "SystemCalls": ["CLinux"],
    "Wire": [],
    "Tables": ["Wire"],
    "Datapath": ["Wire", "Tables"],
    "PolicyText": ["Wire", "Tables", "Datapath"],
    "Policies": ["Wire", "Tables", "Datapath", "PolicyText", "SystemCalls", "CLinux"],
    "Captures": ["Wire", "CLibpcap"],
    "Replay": ["Wire", "Tables", "Datapath", "Policies", "Captures"],
    "SFlow": ["Wire"],
    "LinuxIO": ["Wire", "Tables", "Datapath", "SystemCalls", "CLinux", "CLiburing"],
    "Netlink": ["Wire", "SystemCalls", "CLinux", "CLibmnl"],
    "UplinkFilter": ["Wire", "Tables", "SystemCalls", "Netlink", "CLinux", "CLibbpf"],
    "embed-bpf": [],
    "Relay": ["Wire", "SystemCalls", "CLinux"],
    "DNS": ["Wire", "SystemCalls", "CLibldns", "Logging", "NIOCore", "NIOPosix"],
    "Etcd": ["Logging", "NIOCore", "NIOPosix", "NIOHTTP1", "NIOConcurrencyHelpers", "NIOTLS", "NIOSSL"],
    "Cluster": ["Etcd", "Wire", "ControlModel", "Logging"],
    "ControlModel": [],
    "ControlPlane": [
      "Wire", "Tables", "Datapath", "LinuxIO", "Netlink", "Relay", "UplinkFilter", "DNS", "SystemCalls", "CLinux",
      "Cluster", "ControlModel", "Policies", "Captures", "Logging", "GRDB",
    ],
    "HTTPService": ["ControlModel", "Logging", "NIOCore", "NIOPosix", "NIOHTTP1", "NIOConcurrencyHelpers"],
    "ControlAPI": ["HTTPService", "ControlModel", "Logging", "NIOHTTP1"],
    "DockerDriver": ["HTTPService", "ControlModel", "Logging", "NIOHTTP1"],
    "Metrics": ["HTTPService", "ControlModel", "Logging", "NIOHTTP1"],
    "LivePage": ["HTTPService", "ControlModel", "Logging", "NIOHTTP1"],
    "ControlClient": ["ControlModel", "CLinux"],
    "CNI": ["ControlModel", "Netlink", "SystemCalls", "Wire"],
    "Netavark": ["CNI", "ControlModel", "Wire"],
    "martletd": [
      "ControlPlane", "ControlAPI", "Cluster", "DNS", "DockerDriver", "Etcd", "LivePage", "Metrics", "ControlModel",
      "LinuxIO", "Policies", "SFlow", "SystemCalls", "CLinux", "Wire", "ArgumentParser", "Logging", "Yams",
    ],
    "martlet": [
      "Captures", "ControlClient", "ControlModel", "Policies", "Replay", "SystemCalls", "CLinux", "ArgumentParser",
    ],
    "martlet-cni": ["CNI", "ControlClient", "ControlModel"],
    "martlet-netavark": ["CNI", "ControlClient", "ControlModel", "Netavark"],
    "martlet-load": ["SystemCalls", "CLinux", "ArgumentParser"],
  ]

  /// Of the toolchain; every module may import these, but for `pureLibraries`' rule.
  static let toolchainLibraries: Set<String> = [
    "Glibc", "Synchronization", "Dispatch", "Foundation", "FoundationEssentials",
  ]
  /// All that the data path may import of the toolchain: memory and atomics.
  static let pureLibraries: Set<String> = ["Glibc", "Synchronization"]
  /// Beside the data path, those that need no Foundation.
  static let withoutFoundation: Set<String> = [
    "LinuxIO", "Netlink", "Relay", "SystemCalls", "UplinkFilter", "DNS", "Captures", "SFlow",
  ]
}

extension TidyRules {
  static func bannedWords(_ file: SourceFile) throws -> [Finding] {
    guard dataPath.contains(file.module) else { return [] }
    var findings: [Finding] = []
    for (pattern, reason) in banned {
      let expression = try Regex(pattern)
      for (number, text) in file.code where text.contains(expression) {
        findings.append(Finding(path: file.path, line: number, reason: reason))
      }
    }
    return findings
  }

  static func imports(_ file: SourceFile) -> [Finding] {
    guard let allowed = arrows[file.module] else {
      return [Finding(path: file.path, line: 1, reason: "module \(file.module) has no place in TidyRules.arrows")]
    }
    return file.imports.compactMap { number, module in
      let isAllowed =
        if !toolchainLibraries.contains(module) {
          allowed.contains(module)
        } else if dataPath.contains(file.module) {
          pureLibraries.contains(module)
        } else {
          !(withoutFoundation.contains(file.module) && module.hasPrefix("Foundation"))
        }
      return isAllowed ? nil : Finding(path: file.path, line: number, reason: "\(file.module) may not import \(module)")
    }
  }

  static func length(_ file: SourceFile) -> [Finding] {
    guard file.lines.count > lineCountMax, !longFiles.contains(file.path) else { return [] }
    return [
      Finding(path: file.path, line: file.lines.count, reason: "\(file.lines.count) lines, more than \(lineCountMax)")
    ]
  }

  /// Relies on swift-format: a function ends at the first line that is a brace as far in as the function's first line.
  static func functionLength(_ file: SourceFile) throws -> [Finding] {
    // Not `import func`.
    let start = try Regex(#"^\s*(?!import\s)(@?\w+(\(\w+\))?\s+)*(func\s|init[?(<]|deinit\b|subscript[(<])"#)
    let code = file.code
    var findings: [Finding] = []
    for (index, line) in code.enumerated() where line.text.contains(start) && !line.text.hasSuffix("}") {
      let end = line.text.prefix { $0 == " " } + "}"
      guard let last = code[index...].firstIndex(where: { $0.text == end }) else { continue }
      let count = last - index + 1
      if count > functionLineCountMax {
        findings.append(
          Finding(path: file.path, line: line.number, reason: "\(count) lines, more than \(functionLineCountMax)"))
      }
    }
    return findings
  }

  static func unfinished(_ file: SourceFile) -> [Finding] {
    let words = ["TODO", "FIXME"]
    return file.lines.enumerated().compactMap { index, line in
      words.first { line.contains($0) }.map {
        Finding(path: file.path, line: index + 1, reason: "\($0): do it, or file it")
      }
    }
  }
}
