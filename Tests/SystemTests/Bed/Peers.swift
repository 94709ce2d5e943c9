import FoundationEssentials
import Glibc

/// Programs at the ends of a connection, as tests of translation want them.
extension Namespace {
  /// One of the small programs that says `ready` when it waits.
  @discardableResult
  func serve(_ script: String, _ words: String...) throws -> Program { try serve(script, words) }

  @discardableResult
  func serve(_ script: String, _ words: [String]) throws -> Program {
    let program = try start(Script.words(script) + words)
    try eventually("\(script) \(words.joined(separator: " ")) is ready") {
      guard program.isRunning else { throw Failure("\(script) \(words) ended: \(program.complaintSoFar)") }
      return program.outputSoFar.hasPrefix("ready\n") || program.complaintSoFar.hasPrefix("ready\n")
    }
    return program
  }

  /// Serves `whoami.py` on these ports, TCP and UDP.
  @discardableResult
  func serveWhoami(_ ports: String...) throws -> Program { try serve("whoami.py", ["serve"] + ports) }

  /// Its answer over TCP: by what address and port the server knows this client. nil: not reached.
  ///
  /// - Parameter options: further ones of curl(1).
  func asksTCP(_ address: String, _ port: Int, patience: String = "5", _ options: String...) throws -> Answer? {
    let host = address.contains(":") ? "[\(address)]" : address
    let words = ["curl", "--silent", "--globoff", "--noproxy", "*", "--max-time", patience]
    let outcome = try start(words + options + ["http://\(host):\(port)/"]).end()
    return outcome.status == 0 ? Answer(outcome.output) : nil
  }

  /// Its answer over UDP.
  func asksUDP(_ address: String, _ port: Int, tries: Int = 3, _ options: String...) throws -> Answer? {
    let words = Script.words("whoami.py") + ["ask", address, "\(port)", "--tries", "\(tries)"]
    let outcome = try start(words + options).end()
    return outcome.status == 0 ? Answer(outcome.output) : nil
  }

  /// A connection that stays, and asks when it is told to.
  func hold(_ address: String, _ port: Int, _ options: String...) throws -> HeldConnection {
    HeldConnection(program: try serve("whoami.py", ["hold", address, "\(port)"] + options))
  }
}

/// What `whoami.py` says of a client.
struct Answer: Equatable {
  /// The client's, as the server sees them.
  let address: String
  let port: Int
  let serverPort: Int

  init?(_ text: String) {
    let words = text.split(whereSeparator: \.isWhitespace)
    guard words.count == 2, let colon = words[0].lastIndex(of: ":"),
      let port = Int(words[0][words[0].index(after: colon)...]), let serverPort = Int(words[1])
    else { return nil }
    address = words[0][..<colon].filter { $0 != "[" && $0 != "]" }
    (self.port, self.serverPort) = (port, serverPort)
  }
}

struct HeldConnection {
  let program: Program

  /// The answer of the server; or `closed`, `timeout`, `reset`, `refused`.
  ///
  /// - Parameter body: is done when it has asked, before the answer is waited for.
  func ask(during body: () throws -> Void = {}) throws -> String {
    let before = program.outputSoFar.split(separator: "\n").count
    program.signal(SIGUSR1)
    try body()
    try eventually("an answer") {
      guard program.isRunning else { throw Failure("whoami.py hold ended: \(program.complaintSoFar)") }
      return program.outputSoFar.split(separator: "\n").count > before
    }
    return String(program.outputSoFar.split(separator: "\n").last!)
  }

  func answer() throws -> Answer? { try Answer(ask()) }
}

/// The lines of JSON that a small program printed; keys_like_this are names likeThis here.
func objects<Object: Decodable>(_: Object.Type, of output: String) throws -> [Object] {
  let decoder = JSONDecoder()
  decoder.keyDecodingStrategy = .convertFromSnakeCase
  return try output.split(separator: "\n").filter { $0.hasPrefix("{") }.map {
    try decoder.decode(Object.self, from: Data($0.utf8))
  }
}
