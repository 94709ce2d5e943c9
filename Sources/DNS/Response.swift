import CLibldns
import Wire

/// RCODEs (RFC 1035, 4.1.1; BADVERS: RFC 6891, 9).
enum ResponseCode {
  static let noError = UInt16(LDNS_RCODE_NOERROR.rawValue)
  static let formatError = UInt16(LDNS_RCODE_FORMERR.rawValue)
  static let serverFailure = UInt16(LDNS_RCODE_SERVFAIL.rawValue)
  static let nameError = UInt16(LDNS_RCODE_NXDOMAIN.rawValue)
  static let notImplemented = UInt16(LDNS_RCODE_NOTIMPL.rawValue)
  static let refused = UInt16(LDNS_RCODE_REFUSED.rawValue)
  static let badVersion: UInt16 = 16
}

/// A record of ours.
struct Record: Equatable, Sendable {
  enum Content: Equatable, Sendable {
    case address(IPAddress)
    case pointer(DomainName)
    case service(port: UInt16, target: DomainName)
  }

  /// Nil for the question's name, as the client spelled it.
  var owner: DomainName?
  var content: Content

  /// How long a client may keep a record. Not at all: the next answer may be another, after a connect or disconnect,
  /// and the one who is asked is on the same machine.
  static let lifeSeconds: UInt32 = 0
}

/// A response of our own.
struct Response {
  var code: UInt16
  var isAuthoritative = false
  var isTruncated = false
  var answers: [Record] = []
  /// Left out, without a word, where there is no room (RFC 2181, 9).
  var additional: [Record] = []

  init(_ code: UInt16) { self.code = code }

  /// To what could not be decoded: a header alone.
  func encoded(for header: Header) -> [UInt8]? {
    guard let packet = ldns_pkt_new() else { return nil }
    defer { ldns_pkt_free(packet) }
    ldns_pkt_set_id(packet, header.id)
    ldns_pkt_set_qr(packet, true)
    ldns_pkt_set_opcode(packet, ldns_pkt_opcode(UInt32(header.opcode)))
    ldns_pkt_set_rd(packet, header.recursionDesired)
    ldns_pkt_set_ra(packet, true)
    ldns_pkt_set_rcode(packet, UInt8(code))
    return Response.wire(packet)
  }

  /// At most `limit` bytes, 512 or more: records are left out from the end, and TC tells (RFC 2181, 9). Nil without
  /// memory.
  func encoded(for query: borrowing Query, limit: Int) -> [UInt8]? {
    var part = self
    while let bytes = part.encoded(for: query) {
      if bytes.count <= limit || part.answers.isEmpty && part.additional.isEmpty { return bytes }
      if !part.additional.isEmpty {
        part.additional = []
      } else {
        // The records of an answer are of like size.
        part.answers = Array(part.answers.prefix(min(part.answers.count - 1, part.answers.count * limit / bytes.count)))
        part.isTruncated = true
      }
    }
    return nil
  }

  private func encoded(for query: borrowing Query) -> [UInt8]? {
    guard let packet = ldns_pkt_new() else { return nil }
    defer { ldns_pkt_free(packet) }
    ldns_pkt_set_id(packet, ldns_pkt_id(query.packet))
    ldns_pkt_set_qr(packet, true)
    ldns_pkt_set_aa(packet, isAuthoritative)
    ldns_pkt_set_tc(packet, isTruncated)
    ldns_pkt_set_rd(packet, ldns_pkt_rd(query.packet))
    ldns_pkt_set_cd(packet, ldns_pkt_cd(query.packet))
    ldns_pkt_set_ra(packet, true)
    ldns_pkt_set_rcode(packet, UInt8(code & 0xF))
    if query.hasEDNS {
      ldns_pkt_set_edns_udp_size(packet, UInt16(Query.safePayloadMax))
      ldns_pkt_set_edns_extended_rcode(packet, UInt8(truncatingIfNeeded: code >> 4))
      // RFC 3225, 3: copied.
      ldns_pkt_set_edns_do(packet, ldns_pkt_edns_do(query.packet))
    }
    guard let question = ldns_rr_list_rr(ldns_pkt_question(query.packet), 0), let owner = ldns_rr_owner(question),
      Response.push(ldns_rr_clone(question), to: packet, LDNS_SECTION_QUESTION)
    else { return nil }
    for record in answers {
      guard Response.push(record.encoded(question: owner), to: packet, LDNS_SECTION_ANSWER) else { return nil }
    }
    for record in additional {
      guard Response.push(record.encoded(question: owner), to: packet, LDNS_SECTION_ADDITIONAL) else { return nil }
    }
    return Response.wire(packet)
  }

  private static func push(
    _ record: UnsafeMutablePointer<ldns_rr>?, to packet: UnsafeMutablePointer<ldns_pkt>, _ section: ldns_pkt_section
  ) -> Bool {
    guard let record else { return false }
    if ldns_pkt_push_rr(packet, section, record) { return true }
    ldns_rr_free(record)
    return false
  }

  private static func wire(_ packet: UnsafeMutablePointer<ldns_pkt>) -> [UInt8]? {
    // It grows; ldns_pkt2wire would take 64 KB for each message.
    guard let buffer = ldns_buffer_new(Int(LDNS_MIN_BUFLEN)) else { return nil }
    defer { ldns_buffer_free(buffer) }
    guard ldns_pkt2buffer_wire(buffer, packet) == LDNS_STATUS_OK else { return nil }
    return Array(UnsafeBufferPointer(start: ldns_buffer_begin(buffer), count: ldns_buffer_position(buffer)))
  }
}

extension Record {
  /// The caller frees it. Nil without memory.
  fileprivate func encoded(question: UnsafeMutablePointer<ldns_rdf>) -> UnsafeMutablePointer<ldns_rr>? {
    guard let record = ldns_rr_new() else { return nil }
    ldns_rr_set_owner(record, owner.map { ldns_dname_new_frm_str($0.text) } ?? ldns_rdf_clone(question))
    ldns_rr_set_class(record, LDNS_RR_CLASS_IN)
    ldns_rr_set_ttl(record, Record.lifeSeconds)
    let fields: [UnsafeMutablePointer<ldns_rdf>?]
    switch content {
    case .address(let address):
      let bytes = address.bytes
      ldns_rr_set_type(record, address.isIPv6 ? LDNS_RR_TYPE_AAAA : LDNS_RR_TYPE_A)
      fields = [ldns_rdf_new_frm_data(address.isIPv6 ? LDNS_RDF_TYPE_AAAA : LDNS_RDF_TYPE_A, bytes.count, bytes)]
    case .pointer(let name):
      ldns_rr_set_type(record, LDNS_RR_TYPE_PTR)
      fields = [ldns_dname_new_frm_str(name.text)]
    case .service(let port, let target):
      ldns_rr_set_type(record, LDNS_RR_TYPE_SRV)
      // Priority and weight: all are alike.
      fields =
        [0, 0, port].map { ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, $0) }
        + [ldns_dname_new_frm_str(target.text)]
    }
    let isWhole = ldns_rr_owner(record) != nil && fields.allSatisfy { $0 != nil }
    for field in fields where field != nil { ldns_rr_push_rdf(record, field) }
    if isWhole { return record }
    ldns_rr_free(record)
    return nil
  }
}
