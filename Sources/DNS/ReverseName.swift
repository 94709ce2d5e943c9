import Wire

extension IPAddress {
  /// The address of which `key`, in small letters and without the final dot, is the name for reverse look-up:
  /// `in-addr.arpa` (RFC 1035, 3.5), `ip6.arpa` (RFC 3596, 2.5). Nil for anything else, parts of an address too.
  init?(reverseName key: String) {
    if let labels = key.labels(before: ".in-addr.arpa", count: 4) {
      // Refuses leading zeros and signs, so each address has one name.
      guard let address = IPv4Address(labels.reversed().joined(separator: ".")) else { return nil }
      self = .v4(address)
    } else if let labels = key.labels(before: ".ip6.arpa", count: 32) {
      var bits: UInt128 = 0
      for label in labels.reversed() {
        guard label.utf8.count == 1, let digit = label.first?.hexDigitValue else { return nil }
        bits = bits << 4 | UInt128(digit)
      }
      self = .v6(IPv6Address(bits: bits))
    } else {
      return nil
    }
  }
}

extension String {
  fileprivate func labels(before suffix: String, count: Int) -> [Substring]? {
    guard hasSuffix(suffix) else { return nil }
    let labels = dropLast(suffix.utf8.count).split(separator: ".", omittingEmptySubsequences: false)
    return labels.count == count ? labels : nil
  }
}
