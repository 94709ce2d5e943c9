import Testing

/// A lint that is a unit test. Each rule is shown to find what it is for, and then finds nothing in the tree.
@Suite struct TidyTests {
  static let sources = Result { try SourceFile.all(in: "Sources") }

  private func expectNone(_ rule: (SourceFile) throws -> [Finding]) throws {
    let files = try Self.sources.get()
    #expect(files.contains { $0.path == "Sources/Wire/MACAddress.swift" }, "the tree was not found")
    for file in files {
      for finding in try rule(file) { Issue.record("\(finding)") }
    }
  }

  private func file(_ module: String, _ text: String) -> SourceFile {
    SourceFile(path: "Sources/\(module)/Sample.swift", text: text)
  }

  @Test(arguments: [
    "let policy: any Policy", "public final class Port {", "actor Engine {", "func f() async {", "  await f()",
    "func f() throws(Errno) {", "  try f()", "let lock = Mutex(0)", "var a: InlineArray<4, Int>", "  print(frame)",
    "  clock_gettime(CLOCK_MONOTONIC, &now)", "  let body: @Sendable (Int) -> Void",
  ])
  func bannedWordIsFound(line: String) throws {
    #expect(try TidyRules.bannedWords(file("Datapath", line)).count == 1)
    #expect(try TidyRules.bannedWords(file("ControlPlane", line)).isEmpty)
    #expect(try TidyRules.bannedWords(file("Datapath", "// " + line)).isEmpty)
  }

  @Test(arguments: [
    "static let any = IPv4Address(bits: 0)", "var trafficClass: UInt8", "func f(_ body: (Int) -> Void) {",
  ])
  func harmlessLineIsNot(line: String) throws {
    #expect(try TidyRules.bannedWords(file("Wire", line)).isEmpty)
  }

  @Test(arguments: [
    ("Wire", "import Foundation"), ("Wire", "import Tables"), ("Tables", "@preconcurrency import Dispatch"),
    ("Datapath", "import LinuxIO"), ("LinuxIO", "import FoundationEssentials"), ("LinuxIO", "import ControlModel"),
    ("ControlClient", "import NIOCore"), ("Netlink", "import struct GRDB.Row"), ("Unheard", "import Wire"),
  ])
  func upwardImportIsFound(module: String, line: String) {
    #expect(TidyRules.imports(file(module, line)).count == 1)
  }

  @Test(arguments: [("Tables", "import Wire"), ("Tables", "import Glibc"), ("martlet", "import func CLinux.f")])
  func downwardImportIsNot(module: String, line: String) {
    #expect(TidyRules.imports(file(module, line)).isEmpty)
  }

  @Test func longFileAndFunctionAreFound() throws {
    let longest = file("Wire", String(repeating: "let a = 0\n", count: TidyRules.lineCountMax))
    #expect(TidyRules.length(longest).isEmpty)
    #expect(
      TidyRules.length(file("Wire", String(repeating: "let a = 0\n", count: TidyRules.lineCountMax + 1))).count == 1)

    func function(_ count: Int) -> SourceFile {
      file(
        "Wire",
        "  public mutating func f(\n  ) {\n" + String(repeating: "    g {\n    }\n", count: (count - 3) / 2) + "  }\n")
    }
    #expect(try TidyRules.functionLength(function(69)).isEmpty)
    let imported = "import func CLinux.f\n" + String(repeating: "let a = 0\n", count: 71) + "}\n"
    #expect(try TidyRules.functionLength(file("Wire", imported)).isEmpty)
    #expect(
      try TidyRules.functionLength(function(71)) == [
        Finding(path: "Sources/Wire/Sample.swift", line: 1, reason: "71 lines, more than 70")
      ])
  }

  @Test func unfinishedWorkIsFound() {
    #expect(TidyRules.unfinished(file("Wire", "let a = 0\n// TODO: more")).map(\.line) == [2])
  }

  @Test func dataPathHasNoBannedWords() throws { try expectNone(TidyRules.bannedWords) }
  @Test func importsPointDown() throws { try expectNone(TidyRules.imports) }
  @Test func filesAreShort() throws { try expectNone(TidyRules.length) }
  @Test func functionsAreShort() throws { try expectNone(TidyRules.functionLength) }
  @Test func nothingIsUnfinished() throws { try expectNone(TidyRules.unfinished) }
}
