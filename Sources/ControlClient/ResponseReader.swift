import ControlModel

/// Reads one HTTP/1.1 response (RFC 9112): a body by Content-Length, in chunks, or to the end of the connection.
struct ResponseReader: ~Copyable {
  struct Response {
    var status: Int
    var body: [UInt8]
  }

  private static let lineBytesMax = 16 << 10
  private static let headerFieldsMax = 128
  /// A MAC table of a million entries is some 200 MB of JSON.
  private static let bodyBytesMax = 512 << 20

  private let socketPath: String
  private var buffer: [UInt8] = []
  private var position = 0

  init(socketPath: String) { self.socketPath = socketPath }

  mutating func read(from connection: borrowing UnixConnection) throws(ControlError) -> Response {
    var response: (status: Int, headers: [String: String])
    // Interim answers (100 Continue) come before the one that counts (RFC 9110, section 15.2).
    repeat { response = try head(connection) } while 100..<200 ~= response.status
    let (status, headers) = response
    // Neither has a body (RFC 9112, section 6.3).
    if status == 204 || status == 304 { return Response(status: status, body: []) }
    if let coding = headers["transfer-encoding"] {
      guard coding.lowercased() == "chunked" else { throw malformed("the transfer coding \(coding)") }
      return Response(status: status, body: try chunks(connection))
    }
    if let text = headers["content-length"] {
      guard let length = Int(text), 0...Self.bodyBytesMax ~= length else { throw malformed("a body of length \(text)") }
      return Response(status: status, body: try take(length, connection))
    }
    while try connection.receive(into: &buffer) {
      guard buffer.count <= Self.bodyBytesMax else { throw malformed("a body without end") }
    }
    return Response(status: status, body: Array(buffer[position...]))
  }

  private mutating func head(_ connection: borrowing UnixConnection) throws(ControlError) -> (Int, [String: String]) {
    let words = try line(connection).split(separator: " ", maxSplits: 2)
    guard words.count >= 2, words[0].hasPrefix("HTTP/1."), words[1].utf8.count == 3, let status = Int(words[1]) else {
      throw malformed("no HTTP status line")
    }
    var headers: [String: String] = [:]
    while true {
      let field = try line(connection)
      if field.isEmpty { return (status, headers) }
      guard let colon = field.firstIndex(of: ":"), headers.count < Self.headerFieldsMax else {
        throw malformed("a malformed header")
      }
      let value = field[field.index(after: colon)...]
      headers[field[..<colon].lowercased()] = value.split(separator: " ").joined(separator: " ")
    }
  }

  private mutating func chunks(_ connection: borrowing UnixConnection) throws(ControlError) -> [UInt8] {
    var body: [UInt8] = []
    while true {
      let size = try line(connection).split(separator: ";", omittingEmptySubsequences: false)[0]
      guard let count = Int(size, radix: 16), 0...Self.bodyBytesMax - body.count ~= count else {
        throw malformed("a chunk of size \(size)")
      }
      if count == 0 { break }
      body += try take(count, connection)
      guard try line(connection).isEmpty else { throw malformed("a chunk longer than its size") }
    }
    // Trailer fields, which say nothing to us.
    while try !line(connection).isEmpty {}
    return body
  }

  /// A line without its CR LF.
  private mutating func line(_ connection: borrowing UnixConnection) throws(ControlError) -> String {
    var searched = position
    while true {
      if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        defer { position = end + 1 }
        let bytes = buffer[position..<end]
        return String(decoding: bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes, as: UTF8.self)
      }
      searched = buffer.count
      guard buffer.count - position <= Self.lineBytesMax else { throw malformed("a line without end") }
      guard try connection.receive(into: &buffer) else { throw malformed("an answer that breaks off") }
    }
  }

  private mutating func take(_ count: Int, _ connection: borrowing UnixConnection) throws(ControlError) -> [UInt8] {
    while buffer.count - position < count {
      guard try connection.receive(into: &buffer) else { throw malformed("an answer that breaks off") }
    }
    defer { position += count }
    return Array(buffer[position..<position + count])
  }

  private func malformed(_ what: String) -> ControlError {
    ControlError(.unreachable, "what answers at \(socketPath) is not martletd: \(what)")
  }
}
