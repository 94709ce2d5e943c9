import FoundationEssentials

/// A network namespace, and what runs in it.
struct Namespace {
  let name: String
  let testbed: Testbed
  let path: String

  /// - Parameter path: nil: below /run/netns.
  init(name: String, testbed: Testbed, path: String? = nil) {
    self.name = name
    self.testbed = testbed
    self.path = path ?? "/run/netns/" + name
  }

  func start(_ words: String..., input: String = "") throws -> Program { try start(words, input: input) }

  func start(_ words: [String], input: String = "") throws -> Program {
    try testbed.start(words, in: path, input: input)
  }

  /// Runs a program that must succeed; its output.
  @discardableResult
  func run(_ words: String..., input: String = "") throws -> String { try start(words, input: input).succeed() }

  func attempt(_ words: String...) throws -> Program.Outcome { try start(words).end() }

  func remove() throws { try testbed.run(["ip", "netns", "delete", name]) }

  // MARK: What the kernel says

  struct Link: Decodable {
    struct Statistics: Decodable {
      struct Direction: Decodable {
        var bytes: UInt64
        var packets: UInt64
      }
      var rx: Direction
      var tx: Direction
    }
    var name: String
    var mtu: Int
    var address: String
    var statistics: Statistics

    enum CodingKeys: String, CodingKey {
      case name = "ifname"
      case mtu, address
      case statistics = "stats64"
    }
  }

  func link(_ name: String = "eth0") throws -> Link {
    let links = try JSONDecoder().decode([Link].self, from: Data(try run("ip", "-j", "-s", "link", "show", name).utf8))
    guard let link = links.first else { throw Failure("no interface \(name) in \(self.name)") }
    return link
  }

  func linkNames() throws -> [String] {
    struct Name: Decodable { var ifname: String }
    return try JSONDecoder().decode([Name].self, from: Data(try run("ip", "-j", "link").utf8)).map(\.ifname)
  }

  /// Everything of the network stack that lasts: what must be the same before and after a command that was refused.
  ///
  /// But for what the kernel does in its own time after an interface comes up: its state, and link-local IPv6.
  func configuration() throws -> String {
    var text = try run("ip", "-d", "link") + run("ip", "addr", "show", "scope", "global")
    for family in ["-4", "-6"] {
      text += try run("ip", family, "rule") + run("ip", family, "route", "show", "table", "all")
    }
    let lines = text.split(separator: "\n").filter { !$0.contains("fe80::") && !$0.contains("ff00::/8") }
    return lines.map { $0.replacing(#/NO-CARRIER,|,LOWER_UP| state \w+| linkdown/#, with: "") }.joined(separator: "\n")
  }

  /// What its stack has counted since it was made, by nstat's names.
  func counters() throws -> [String: Int] {
    struct Counters: Decodable { var kernel: [String: Int] }
    return try JSONDecoder().decode(Counters.self, from: Data(run("nstat", "-a", "-s", "-z", "-j").utf8)).kernel
  }

  // MARK: Probes

  /// Waits until a program is bound to the port.
  func waitForSocket(_ protocol: String, port: Int) throws {
    let family = `protocol` == "tcp" ? ["--tcp", "--listening"] : ["--udp", "--all"]
    try eventually("\(`protocol`) port \(port) is bound in \(name)") {
      try !start(["ss", "--no-header", "--numeric"] + family + ["sport", "=", ":\(port)"]).succeed().isEmpty
    }
  }

  /// Whether an address answers one of `count` echo requests at least.
  func reaches(_ address: String, count: Int = 3, options: String...) throws -> Bool {
    try ping(address, count: count, options).end().status == 0
  }

  /// Those of the addresses that answer. Asks all at once.
  func answering(_ addresses: [String], count: Int = 2) throws -> [String] {
    let programs = try addresses.map { try ping($0, count: count) }
    return try zip(addresses, programs).filter { try $1.end().status == 0 }.map(\.0)
  }

  private func ping(_ address: String, count: Int, _ options: [String] = []) throws -> Program {
    try start(["ping", "-n", "-q", "-c", "\(count)", "-i", "0.2", "-W", "1"] + options + [address])
  }
}
