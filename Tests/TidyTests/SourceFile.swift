import Foundation

/// One Swift file of the tree.
struct SourceFile {
  /// From the tree's root: `Sources/Wire/MACAddress.swift`.
  let path: String
  let lines: [Substring]

  init(path: String, text: String) {
    self.path = path
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    if lines.last == "" { lines.removeLast() }
    self.lines = lines
  }

  /// `Wire`.
  var module: String { path.split(separator: "/").dropFirst().first.map { String($0) } ?? "" }

  /// The lines without comments, numbered from 1. A `//` within a string ends the line too, which no rule minds.
  var code: [(number: Int, text: String)] {
    lines.enumerated().map { number, line in
      (number + 1, line.firstRange(of: "//").map { String(line[..<$0.lowerBound]) } ?? String(line))
    }
  }

  /// The names of the modules that the file imports, with their lines.
  var imports: [(number: Int, module: String)] {
    code.compactMap { number, text in
      let words = text.split(separator: " ")
      guard let keyword = words.firstIndex(of: "import"), keyword + 1 < words.count,
        words[..<keyword].allSatisfy({ $0.hasPrefix("@") || ["public", "package", "internal", "private"].contains($0) })
      else { return nil }
      let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
      let name = kinds.contains(words[keyword + 1]) ? words[keyword + 2] : words[keyword + 1]
      return (number, String(name.prefix { $0 != "." }))
    }
  }

  /// All Swift files below `folder` of the tree in which this file stands.
  static func all(in folder: String) throws -> [SourceFile] {
    var root = URL(filePath: #filePath).resolvingSymlinksInPath()
    for _ in 0..<3 { root.deleteLastPathComponent() }
    guard let files = FileManager.default.enumerator(at: root.appending(path: folder), includingPropertiesForKeys: nil)
    else { return [] }
    var all: [SourceFile] = []
    for case let file as URL in files where file.pathExtension == "swift" {
      let path = String(file.resolvingSymlinksInPath().path.dropFirst(root.path.count + 1))
      all.append(SourceFile(path: path, text: try String(contentsOf: file, encoding: .utf8)))
    }
    return all
  }
}
