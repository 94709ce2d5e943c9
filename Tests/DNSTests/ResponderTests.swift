import Testing
import Wire

@testable import DNS

/// Messages in, messages out, against bytes of others: queries of dig 9.18, answers of dnsmasq 2.90 to the same names.
@Suite struct ResponderTests {
  let responder = Responder(limits: NameServerLimits())
  let asker = Asker(clientele: .sandbox("s1"))

  init() {
    responder.table.withLock { table in
      table.setNetwork(id: "n1", domain: DomainName("lan"))
      table.setEndpoint(
        NamedEndpoint(
          id: "e1", network: "n1", sandbox: "s1", names: ["web"], addresses: [IPAddress("10.0.0.2")!],
          services: [.init(port: 80)]),
        serviceNames: [["http"]])
      table.setEndpoint(
        NamedEndpoint(id: "e2", network: "n1", sandbox: "s2", names: ["two"], addresses: [IPAddress("fd00::2")!]),
        serviceNames: [])
      for number in 0..<100 {
        table.setEndpoint(
          NamedEndpoint(
            id: "m\(number)", network: "n1", sandbox: "m\(number)", names: ["many"],
            addresses: [IPAddress("10.0.1.\(number)")!]),
          serviceNames: [])
      }
    }
  }

  func answer(_ query: String, isOverTCP: Bool = false) -> String {
    var asker = asker
    asker.isOverTCP = isOverTCP
    guard case .answer(let bytes) = responder.decide([UInt8](hex: query), from: asker) else { return "none" }
    return bytes.hex
  }

  @Test(arguments: [
    // `dig +noedns +noadflag WeB A`: the question's spelling stays.
    (
      "096201000001000000000000035765420000010001",
      "096285800001000100000000035765420000010001c00c000100010000000000040a000002"
    ),
    // `dig +edns=0 +nocookie web A`
    (
      "e7f70120000100000000000103776562000001000100002904d0000000000000",
      "e7f785800001000100000001037765620000010001c00c000100010000000000040a00000200002904d0000000000000"
    ),
    // `dig web A`, with a cookie, which is not ours to answer.
    (
      "b4a50120000100000000000103776562000001000100002904d000000000000c000a0008cbc448d58442b028",
      "b4a585800001000100000001037765620000010001c00c000100010000000000040a00000200002904d0000000000000"
    ),
    // `dig +dnssec web`
    (
      "c61c0120000100000000000103776562000001000100002904d000008000000c000a0008f0710dd6433e78c8",
      "c61c85800001000100000001037765620000010001c00c000100010000000000040a00000200002904d0000080000000"
    ),
    // `dig +noedns two AAAA`
    (
      "177b012000010000000000000374776f00001c0001",
      "177b858000010001000000000374776f00001c0001c00c001c0001000000000010fd000000000000000000000000000002"
    ),
    // `dig +noedns -x 10.0.0.2`
    (
      "73290120000100000000000001320130013002313007696e2d61646472046172706100000c0001",
      "73298580000100010000000001320130013002313007696e2d61646472046172706100000c0001c00c000c000100000000000903776562036c616e00"
    ),
  ])
  func `dnsmasq says the same`(query: String, expected: String) { #expect(answer(query) == expected) }

  @Test func `SRV tells port, target and its address`() {
    // `dig +noedns _http._tcp.web SRV`. dnsmasq's answer, but that its pointer to `web` leads to the target and ours
    // to the question (c017), where it is first: RFC 1035, 4.1.4, leaves that to the sender. The target is whole (RFC
    // 2782).
    #expect(
      answer("fbc201200001000000000000055f68747470045f746370037765620000210001")
        == "fbc285800001000100000001055f68747470045f746370037765620000210001c00c0021000100000000000b0000000000500377656200"
        + "c017000100010000000000040a000002")
  }

  @Test func `a name without such a record is no error, and authoritative`() {
    // `dig +noedns web AAAA`: dnsmasq's answer but for AA, which it leaves out.
    #expect(answer("53fd012000010000000000000377656200001c0001") == "53fd858000010000000000000377656200001c0001")
    // _ftp._tcp.web: no such service, which is no business of the upstreams.
    #expect(
      answer("fbc201200001000000000000045f667470045f746370037765620000210001")
        == "fbc285830001000000000000045f667470045f746370037765620000210001")
  }

  @Test(arguments: [
    ("no question", "4c6801200000000000000000", "4c6881810000000000000000"),
    (
      "two questions", "096201000002000000000000035765420000010001035765420000010001", "096281810000000000000000"
    ),
    ("a question that is not there", "096201000001000000000000", "096281810000000000000000"),
    ("half a question", "0962010000010000000000000357654200000100", "096281810000000000000000"),
    ("a name that points to itself", "096201000001000000000000c00c00010001", "096281810000000000000000"),
    ("a name that points outside", "096201000001000000000000c0ff00010001", "096281810000000000000000"),
    ("two names that point to each other", "096201000001000000000000c00ec00c00010001", "096281810000000000000000"),
    ("a label of a reserved kind", "0962010000010000000000004577650000010001", "096281810000000000000000"),
    ("a label past the end", "0962010000010000000000003f776562", "096281810000000000000000"),
    ("additional records that are not there", "096201000001000000000007035765420000010001", "096281810000000000000000"),
    (
      "two OPT records",
      "e7f70120000100000000000203776562000001000100002904d000000000000000002904d0000000000000",
      "e7f781810000000000000000"
    ),
    // Of opcode NOTIFY, and of DSO (RFC 8490).
    ("a notification", "2b1421200001000000000000037765620000010001", "2b14a1840000000000000000"),
    ("an unknown opcode", "2b1430000000000000000000", "2b14b0840000000000000000"),
    // Class CHAOS, AXFR, IXFR, TSIG as a type, OPT as a type, class ANY.
    (
      "another class", "5e74012000010000000000000776657273696f6e0462696e640000100003",
      "5e74818500010000000000000776657273696f6e0462696e640000100003"
    ),
    ("AXFR", "096201000001000000000000035765420000fc0001", "096281850001000000000000035765420000fc0001"),
    ("IXFR", "096201000001000000000000035765420000fb0001", "096281850001000000000000035765420000fb0001"),
    ("TSIG", "096201000001000000000000035765420000fa0001", "096281850001000000000000035765420000fa0001"),
    ("OPT", "096201000001000000000000035765420000290001", "096281850001000000000000035765420000290001"),
    ("any class", "0962010000010000000000000357654200000100ff", "0962818500010000000000000357654200000100ff"),
    ("ANY", "096201000001000000000000035765420000ff0001", "096281840001000000000000035765420000ff0001"),
    // RFC 6891, 6.1.3: BADVERS is 16, its upper bits are in the OPT record.
    (
      "EDNS of another version",
      "45070120000100000000000103776562000001000100002904d000010000000c000a0008795d59e3258ff85e",
      "450781800001000000000001037765620000010001 00002904d0010000000000"
    ),
    // The CD bit is copied, AD and Z are not.
    ("other flags", "096201700001000000000000035765420000ff0001", "096281940001000000000000035765420000ff0001"),
  ])
  func `what is not served is refused as the RFCs say`(what: String, query: String, expected: String) {
    #expect(answer(query) == [UInt8](hex: expected).hex, "\(what)")
  }

  @Test(arguments: [
    ("", "nothing"), ("00", "a byte"), ("0962010000010000000000", "half a header"),
    ("096285800001000100000000035765420000010001c00c000100010000000000040a000002", "a response"),
    ("096281000000000000000000", "a bare response"),
  ])
  func `what may not be answered is not`(message: String, what: String) {
    #expect(responder.decide([UInt8](hex: message), from: asker) == .drop, "\(what)")
  }

  @Test func `a stranger is refused, whatever it asks`() {
    let stranger = Asker(clientele: .network("n1"), source: IPAddress("10.9.9.9"))
    for query in ["096201000001000000000000035765420000010001", "096201000001000000000000037878780000010001"] {
      guard case .answer(let bytes) = responder.decide([UInt8](hex: query), from: stranger) else {
        Issue.record("no answer")
        continue
      }
      #expect(bytes.hex == query.replacing("0962010000", with: "0962818500"))
    }
  }

  @Test func `what is not ours goes upstream, with what the client takes`() throws {
    let expected = Question(key: "xxx", type: .a)
    let plain = [UInt8](hex: "096201000001000000000000035878580000010001")
    #expect(responder.decide(plain, from: asker) == .forward(expected, payloadMax: 512))
    // 1232 bytes, then 4096, then 0, which means 512 (RFC 6891, 6.2.3).
    for (size, payloadMax) in [("04d0", 1232), ("1000", 4096), ("0000", 512)] {
      let query = [UInt8](hex: "e7f7012000010000000000010378787800000100010000 29\(size)000000000000")
      #expect(responder.decide(query, from: asker) == .forward(expected, payloadMax: payloadMax))
    }
    let escaped = [UInt8](hex: "09620100000100000000000005 772e6c616e 0000010001")
    #expect(responder.decide(escaped, from: asker) == .forward(Question(key: "w\\.lan", type: .a), payloadMax: 512))
  }

  @Test func `an answer that is more than the client takes is cut, and says so`() throws {
    let plain = "096201000001000000000000046d616e790000010001"
    let cut = [UInt8](hex: answer(plain))
    // 22 bytes, and 16 a record.
    #expect(cut.count == 22 + 30 * 16)
    #expect(cut[2] & 2 == 2 && cut[7] == 30)
    let whole = [UInt8](hex: answer(plain, isOverTCP: true))
    #expect(whole.count == 22 + 100 * 16)
    #expect(whole[2] & 2 == 0 && whole[7] == 100)
    // 4096 bytes are taken, and 1232 sent.
    let extended = [UInt8](hex: answer("0962010000010000000000010 46d616e790000010001 00002910000000000000 00"))
    #expect(extended.count <= 1232 && extended.count > 1232 - 16)
    #expect(extended[2] & 2 == 2)
  }

  @Test func `what was done is counted`() {
    for query in ["096201000001000000000000035765420000010001", "096201000001000000000000", "0962", "0962850000"] {
      _ = responder.decide([UInt8](hex: query), from: asker)
    }
    _ = responder.decide([UInt8](hex: "096285000000000000000000"), from: asker)
    let counters = responder.counters.withLock { $0 }
    var expected = NameServerCounters()
    (expected.queries, expected.answered, expected.malformed) = (5, 1, 1)
    (expected.droppedRunts, expected.droppedResponses) = (2, 1)
    #expect(counters == expected)
  }
}
