import CLibldns

/// TYPE and QTYPE (RFC 6895, 3.1).
struct RecordType: Hashable, Sendable {
  let rawValue: UInt16

  init(rawValue: UInt16) { self.rawValue = rawValue }
  private init(_ type: ldns_rr_type) { rawValue = UInt16(truncatingIfNeeded: type.rawValue) }

  static let a = RecordType(LDNS_RR_TYPE_A)
  static let aaaa = RecordType(LDNS_RR_TYPE_AAAA)
  static let ptr = RecordType(LDNS_RR_TYPE_PTR)
  static let srv = RecordType(LDNS_RR_TYPE_SRV)
  static let any = RecordType(LDNS_RR_TYPE_ANY)

  /// Asks for something else than records: a transfer, a signature, EDNS (RFC 6895, 3.1: 128 to 255, and OPT).
  var isMeta: Bool {
    self != .any && (128...255).contains(rawValue) || self == RecordType(LDNS_RR_TYPE_OPT)
  }
}

/// What a query asks (RFC 1035, 4.1.2). Equal whatever the spelling.
struct Question: Hashable, Sendable {
  /// In small letters, without the final dot; what no name of ours has is escaped as in a master file (RFC 1035, 5.1).
  let key: String
  let type: RecordType
  let recordClass: UInt16

  var isInternet: Bool { recordClass == UInt16(LDNS_RR_CLASS_IN.rawValue) }

  init(key: String, type: RecordType) {
    (self.key, self.type, recordClass) = (key, type, UInt16(LDNS_RR_CLASS_IN.rawValue))
  }

  init?(_ record: UnsafeMutablePointer<ldns_rr>) {
    guard let owner = ldns_rr_owner(record), let text = ldns_rdf2str(owner) else { return nil }
    defer { free(text) }
    let name = String(cString: text)
    key = name.dropLast().lowercasedASCII
    type = RecordType(rawValue: UInt16(truncatingIfNeeded: ldns_rr_get_type(record).rawValue))
    recordClass = UInt16(truncatingIfNeeded: ldns_rr_get_class(record).rawValue)
  }

  /// The first question of `message`, whatever follows.
  init?(message: [UInt8]) {
    guard let header = Header(message), header.questionCount > 0 else { return nil }
    var record: UnsafeMutablePointer<ldns_rr>?
    var position = Header.byteCount
    guard
      ldns_wire2rr(&record, message, message.count, &position, LDNS_SECTION_QUESTION) == LDNS_STATUS_OK,
      let record
    else { return nil }
    defer { ldns_rr_free(record) }
    self.init(record)
  }
}
