import CLibldns

/// A header (RFC 1035, 4.1.1), read without looking at what follows.
struct Header: Sendable {
  let id: UInt16
  let isResponse: Bool
  let opcode: UInt8
  let isTruncated: Bool
  let recursionDesired: Bool
  /// The low four bits: EDNS may add to them.
  let responseCode: UInt8
  let questionCount: UInt16

  init?(_ message: [UInt8]) {
    guard message.count >= Header.byteCount else { return nil }
    id = martlet_ldns_id(message)
    isResponse = martlet_ldns_is_response(message)
    opcode = martlet_ldns_opcode(message)
    isTruncated = martlet_ldns_is_truncated(message)
    recursionDesired = martlet_ldns_recursion_desired(message)
    responseCode = martlet_ldns_rcode(message)
    questionCount = martlet_ldns_question_count(message)
  }

  static let byteCount = Int(LDNS_HEADER_SIZE)
  static let standardQuery = UInt8(LDNS_PACKET_QUERY.rawValue)
}

/// A decoded query, which has one question (RFC 9619).
struct Query: ~Copyable {
  /// Over UDP without EDNS (RFC 1035, 4.2.1), and the least with it (RFC 6891, 6.2.3).
  static let plainPayloadMax = 512
  /// What passes any path in one piece: what we take and send over UDP ourselves.
  static let safePayloadMax = 1232

  let packet: UnsafeMutablePointer<ldns_pkt>
  let question: Question

  /// Nil is a format error: what cannot be decoded to its end, another number of questions, or a second OPT record
  /// (RFC 6891, 6.1.1).
  init?(_ message: [UInt8]) {
    var decoded: UnsafeMutablePointer<ldns_pkt>?
    guard ldns_wire2pkt(&decoded, message, message.count) == LDNS_STATUS_OK, let decoded else { return nil }
    // ldns takes OPT records out of the additional section.
    let options = Int(martlet_ldns_additional_count(message)) - Int(ldns_pkt_arcount(decoded))
    guard ldns_pkt_qdcount(decoded) == 1, options <= 1,
      let record = ldns_rr_list_rr(ldns_pkt_question(decoded), 0), let question = Question(record)
    else {
      ldns_pkt_free(decoded)
      return nil
    }
    (packet, self.question) = (decoded, question)
  }

  deinit { ldns_pkt_free(packet) }

  var hasEDNS: Bool { ldns_pkt_edns(packet) }
  var versionOfEDNS: UInt8 { ldns_pkt_edns_version(packet) }

  /// What the client takes over UDP.
  var payloadMax: Int {
    hasEDNS ? max(Int(ldns_pkt_edns_udp_size(packet)), Query.plainPayloadMax) : Query.plainPayloadMax
  }
}
