/// Where etcd is, and who we are to it.
public struct EtcdConfiguration: Sendable {
  /// `http://HOST[:PORT]` or `https://HOST[:PORT]`, 2379 without a port; an IPv6 address in brackets. All of one
  /// cluster.
  public var endpoints: [String]
  /// PEM file of the authorities that etcd's certificate must come from; nil: the system's.
  public var certificateAuthority: String?
  /// PEM files of our certificate (with those between it and the authority) and its key; nil: none is shown. All three
  /// files are read for each new connection, so renewed ones need no restart.
  public var certificate: String?
  public var key: String?
  /// The name that etcd's certificate must carry; nil: the endpoint's host.
  public var serverName: String?
  public var user: String?
  public var password: String?
  public var limits = EtcdLimits()

  public init(endpoints: [String]) { self.endpoints = endpoints }
}

/// One address of etcd.
struct EtcdEndpoint: Sendable, Equatable, CustomStringConvertible {
  static let defaultPort = 2379

  var isSecure: Bool
  var host: String
  var port: Int

  init(_ text: String) throws(EtcdError) {
    func refuse(_ reason: String) -> EtcdError {
      EtcdError(.invalid, "etcd endpoint \"\(text)\": \(reason), such as https://etcd1.example:2379")
    }
    if text.hasPrefix("https://") {
      isSecure = true
    } else if text.hasPrefix("http://") {
      isSecure = false
    } else {
      throw refuse("it must begin with http:// or https://")
    }
    var rest = text.dropFirst(isSecure ? 8 : 7)
    if rest.last == "/" { rest.removeLast() }
    guard !rest.contains(where: { "/?#@ \r\n".contains($0) }) else { throw refuse("nothing may follow host and port") }
    if rest.first == "[" {
      guard let end = rest.firstIndex(of: "]") else { throw refuse("] is missing") }
      host = String(rest[rest.index(after: rest.startIndex)..<end])
      rest = rest[rest.index(after: end)...]
    } else {
      let end = rest.firstIndex(of: ":") ?? rest.endIndex
      host = String(rest[..<end])
      rest = rest[end...]
    }
    guard !host.isEmpty else { throw refuse("a host is needed") }
    port = Self.defaultPort
    if !rest.isEmpty {
      guard rest.first == ":", let number = UInt16(rest.dropFirst()), number > 0 else {
        throw refuse("its port must be 1 to 65535")
      }
      port = Int(number)
    }
  }

  /// As the header Host and messages show it.
  var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
  var description: String { (isSecure ? "https://" : "http://") + authority }
}
