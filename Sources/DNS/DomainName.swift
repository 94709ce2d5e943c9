import CLibldns

/// A name that the DNS can carry (RFC 1035, 2.3.4), without the final dot.
struct DomainName: Hashable, Sendable {
  /// As it was given.
  let text: String
  /// As names are compared (RFC 4343).
  let key: String

  /// Nil where a label is empty or longer than 63 bytes, the whole longer than 255 on the wire, or a byte is none
  /// that a name of ours has: letters, digits, `-`, `_` and `.`.
  init?(_ text: String) {
    guard text != ".", text.utf8.allSatisfy({ $0.isNameByte }), let name = ldns_dname_new_frm_str(text) else {
      return nil
    }
    ldns_rdf_deep_free(name)
    self.text = text.utf8.last == UInt8(ascii: ".") ? String(text.dropLast()) : text
    key = self.text.lowercasedASCII
  }

  private init(joined text: String) { (self.text, key) = (text, text.lowercasedASCII) }

  /// NAME.DOMAIN, where that is not too long.
  func within(_ domain: DomainName) -> DomainName? {
    // A length byte for each label and the root's: two more than the text has.
    text.utf8.count + 1 + domain.text.utf8.count + 2 <= Int(LDNS_MAX_DOMAINLEN)
      ? DomainName(joined: "\(text).\(domain.text)") : nil
  }
}

extension UInt8 {
  fileprivate var isNameByte: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
      true
    default: false
    }
  }

  fileprivate var lowercasedASCII: UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self
  }
}

extension StringProtocol {
  /// Only A to Z have another case in the DNS (RFC 4343, 3).
  var lowercasedASCII: String { String(decoding: utf8.lazy.map(\.lowercasedASCII), as: UTF8.self) }
}
