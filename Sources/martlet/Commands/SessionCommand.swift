import ArgumentParser
import ControlModel

struct SessionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "session",
    abstract: "Show and end sessions of the translation, and set how it is done.",
    subcommands: [SessionList.self, SessionFlush.self, SessionTimeoutsCommand.self, SessionTranslation.self])
}

extension Session: Shown {
  static let hasShortIDs = false

  var id: String { "\(`protocol`) \(inside) \(remote)" }

  static var columns: [Column<Session>] {
    [
      Column("PROTOCOL", \.protocol),
      Column("INSIDE", \.inside),
      Column("OUTSIDE", \.outside),
      Column("REMOTE", \.remote),
      Column("STATE", \.state),
      Column("EXPIRES") { "\($0.expiresSeconds)s" },
    ]
  }

  static var filters: [String: (Session, String) -> Bool] {
    [
      "protocol": { $0.protocol == $1 },
      "state": { $0.state == $1 },
      "inside": { end($0.inside, isNamed: $1) },
      "outside": { end($0.outside, isNamed: $1) },
      "remote": { end($0.remote, isNamed: $1) },
    ]
  }

  private static func end(_ end: String, isNamed name: String) -> Bool {
    end == name || end.hasPrefix("[\(name)]:") || end.hasPrefix(name + ":") && !name.contains(":")
  }
}

struct SessionList: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls",
    abstract: "List sessions.",
    discussion: "Filters: protocol, inside, outside, remote (an address, with or without its port), state.",
    aliases: ["list"])

  @OptionGroup var show: ShowOptions
  @OptionGroup var list: ListOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: Session.self) }

  /// What the daemon leaves out itself; alternatives of one key are left to be sorted out here.
  private var filter: SessionFilter {
    let values = Dictionary(grouping: show.filter, by: \.key).filter { $0.value.count == 1 }
    return SessionFilter(values.mapValues { $0[0].value })
  }

  func perform(on service: any ControlService, output: Output) throws {
    try output.list(service.sessions(filter), show, list)
  }
}

struct SessionFlush: ServiceCommand {
  static let configuration = CommandConfiguration(commandName: "flush", abstract: "End all sessions at once.")

  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws { try service.flushSessions() }
}

struct SessionTimeoutsCommand: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "timeouts",
    abstract: "Show after how many idle seconds sessions end, or set it.",
    discussion: "There are udp, udp_stream (answered; both at least 120), tcp_established, tcp_transitory and icmp.")

  @Option(name: .customLong("set"), help: "KEY=SECONDS.", transform: KeyValue.complete)
  var settings: [KeyValue] = []

  @OptionGroup(title: "Global options") var global: GlobalOptions

  private static let fields: [String: WritableKeyPath<SessionTimeoutsChange, Int?> & Sendable] = [
    "udp": \.udp, "udp_stream": \.udpStream, "tcp_established": \.tcpEstablished,
    "tcp_transitory": \.tcpTransitory, "icmp": \.icmp,
  ]

  func validate() throws { _ = try change() }

  private func change() throws -> SessionTimeoutsChange {
    var change = SessionTimeoutsChange()
    for setting in settings {
      guard let field = Self.fields[setting.key] else {
        throw ValidationError(
          "there is no timeout '\(setting.key)'; there are \(Self.fields.keys.sorted().joined(separator: ", "))")
      }
      guard let seconds = Int(setting.value) else {
        throw ValidationError("'\(setting.value)' is no number of seconds for \(setting.key)")
      }
      change[keyPath: field] = seconds
    }
    return change
  }

  func perform(on service: any ControlService, output: Output) throws {
    let timeouts = settings.isEmpty ? try service.sessionTimeouts() : try service.changeSessionTimeouts(try change())
    if output.json { return try output.value(timeouts) }
    guard settings.isEmpty else { return }
    output.write(
      Table(rows: [
        ["TIMEOUT", "SECONDS"], ["udp", "\(timeouts.udp)"], ["udp_stream", "\(timeouts.udpStream)"],
        ["tcp_established", "\(timeouts.tcpEstablished)"], ["tcp_transitory", "\(timeouts.tcpTransitory)"],
        ["icmp", "\(timeouts.icmp)"],
      ]).text)
  }
}

enum Mapping: String, ExpressibleByArgument, CaseIterable {
  case endpointIndependent = "endpoint-independent"
  case addressAndPortDependent = "address-and-port-dependent"
}

enum Filtering: String, ExpressibleByArgument, CaseIterable {
  case endpointIndependent = "endpoint-independent"
  case addressDependent = "address-dependent"
  case addressAndPortDependent = "address-and-port-dependent"
}

struct SessionTranslation: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "translation",
    abstract: "Show how sources are translated, or set it (RFC 4787). Sessions that are there stay as they are.")

  @Option(help: "What a source's outside port depends on.")
  var mapping: Mapping?

  @Option(help: "Whose packets a mapping lets in.")
  var filtering: Filtering?

  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    let change = TranslationChange(mapping: mapping?.rawValue, filtering: filtering?.rawValue)
    let isChange = change != TranslationChange()
    let translation = isChange ? try service.changeTranslation(change) : try service.translation()
    if output.json { return try output.value(translation) }
    if isChange { return }
    output.write(Table(rows: [["MAPPING", "FILTERING"], [translation.mapping, translation.filtering]]).text)
  }
}
