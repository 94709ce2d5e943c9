import Glibc

/// For whom a request is meant. A name that somebody else's name server leads to loopback ("DNS rebinding") makes a browser
/// show our answers to that name's page; only names that mean this host are answered.
enum HostHeader {
  /// Whether the field's value (RFC 9110, section 7.2) is `localhost` or a loopback address, with any port or none: the port is
  /// another one where a tunnel leads here.
  static func isLoopback(_ value: String) -> Bool {
    guard let host = host(of: value) else { return false }
    if host.lowercased() == "localhost" || host == "[::1]" { return true }
    var address = in_addr()
    return inet_pton(AF_INET, host, &address) == 1 && UInt32(bigEndian: address.s_addr) >> 24 == UInt32(IN_LOOPBACKNET)
  }

  /// Without the port; nil where what is there is none.
  private static func host(of value: String) -> String? {
    var host = value[...]
    if let colon = value.lastIndex(of: ":"), !value.hasSuffix("]") {
      let port = value[colon...].dropFirst()
      guard port.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else { return nil }
      host = value[..<colon]
    }
    return host.isEmpty ? nil : String(host)
  }
}
