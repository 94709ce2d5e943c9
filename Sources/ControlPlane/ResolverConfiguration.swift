import ControlModel
import Wire

/// A resolv.conf(5).
struct ResolverConfiguration {
  /// The first line of files of ours: files without it are left alone.
  static let mark = "# Made by martletd"

  /// An empty file was being written when the daemon was killed.
  static func isOurs(_ text: String) -> Bool { text.isEmpty || text.hasPrefix(mark) }

  private(set) var nameServers = NameServers()

  init(_ text: String) {
    for line in text.split(whereSeparator: \.isNewline) {
      let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
      guard let keyword = words.first, keyword.first != "#", keyword.first != ";" else { continue }
      switch keyword {
      case "nameserver": nameServers.servers += words.dropFirst().prefix(1)
      // The last one counts (resolv.conf(5)).
      case "search", "domain": nameServers.search = Array(words.dropFirst())
      case "options": nameServers.options += words.dropFirst()
      default: continue
      }
    }
  }

  /// Without the servers on a loopback address, which another namespace cannot reach.
  var withoutLoopback: ResolverConfiguration {
    var copy = self
    copy.nameServers.servers.removeAll { server in
      switch IPAddress(String(server.prefix { $0 != "%" })) {
      case .v4(let address): address.isLoopback
      case .v6(let address): address.isLoopback
      case nil: false
      }
    }
    return copy
  }

  /// With other servers, and what the host says of how to ask them.
  func asking(_ servers: [IPAddress]) -> ResolverConfiguration {
    var copy = self
    copy.nameServers.servers = servers.map(\.description)
    // A name of one label is a sandbox's before it is anything in a search domain.
    copy.nameServers.options.removeAll { $0.hasPrefix("ndots:") }
    copy.nameServers.options.append("ndots:0")
    return copy
  }

  var text: String {
    var lines = [Self.mark + " from the host's resolv.conf."]
    if !nameServers.search.isEmpty { lines.append("search " + nameServers.search.joined(separator: " ")) }
    lines += nameServers.servers.map { "nameserver \($0)" }
    if !nameServers.options.isEmpty { lines.append("options " + nameServers.options.joined(separator: " ")) }
    return lines.joined(separator: "\n") + "\n"
  }
}
