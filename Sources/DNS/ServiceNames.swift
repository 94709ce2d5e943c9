import Glibc

extension NamedEndpoint.Service {
  /// Enough for a line of /etc/services.
  private static let lineBytesMax = 2048

  /// What getservbyport(3) calls the port, aliases too, in small letters; none where nothing does. Reads a file.
  var registeredNames: [String] {
    var (entry, found) = (servent(), UnsafeMutablePointer<servent>?.none)
    var buffer = [CChar](repeating: 0, count: Self.lineBytesMax)
    guard
      getservbyport_r(
        Int32(port.bigEndian), transport.rawValue, &entry, &buffer, buffer.count, &found) == 0, let found
    else { return [] }
    var names = [String(cString: found.pointee.s_name).lowercasedASCII]
    var alias = found.pointee.s_aliases
    while let text = alias?.pointee {
      names.append(String(cString: text).lowercasedASCII)
      alias = alias?.advanced(by: 1)
    }
    return names
  }
}
