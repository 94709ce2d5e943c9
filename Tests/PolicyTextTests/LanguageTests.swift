import Foundation
import PolicyText
import Support
import Testing

@Suite("The policy language")
struct LanguageTests {
  @Test("what docs/policy-language.md shows is understood")
  func example() throws {
    let policy = try CompiledPolicy.compile(Self.example).get()
    #expect(policy.name == "web-guard")
    #expect((policy.ruleCount, policy.setCount, policy.meterCount) == (9, 3, 1))
    #expect(policy.counterNames == ["web"] + [8, 9, 10, 11, 12, 13, 14, 15, 16].map { "rule \($0)" })
    #expect(policy.fields.contains("ip.dst") && !policy.fields.contains("ip.ttl"))
  }

  /// The first block of the page that is set as code.
  private static let example: String = {
    var page = URL(filePath: #filePath).resolvingSymlinksInPath()
    for _ in 0..<3 { page.deleteLastPathComponent() }
    page.append(path: "docs/policy-language.md")
    let text = (try? String(contentsOf: page, encoding: .utf8)) ?? ""
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let block = lines.drop { !$0.hasPrefix("    ") }.prefix { $0.hasPrefix("    ") }
    return block.map { $0.dropFirst(4) }.joined(separator: "\n")
  }()

  @Test(
    "an error points at its place and says what to do",
    arguments: [
      ("rul ip.src 10.0.0.1 -> drop", "1:1: a line begins with policy, default, set, meter or rule"),
      ("default forward", "1:9: say default learn, drop or flood"),
      ("default drop\ndefault learn", "2:9: there is a default already"),
      ("policy a\npolicy b", "2:8: the policy has a name already"),
      (
        "rule tcp.port 80 -> drop", "1:6: no field is called tcp.port: there are tcp.src, tcp.dst, tcp.flags"
      ),
      ("rule tcp.dst 80-70 -> drop", "1:14: tcp.dst 80-70: the range begins behind its end"),
      ("rule tcp.dst 80, 70000 -> drop", "1:18: tcp.dst 70000: tcp.dst goes up to 65535"),
      (
        "rule ip.src 10.0.0.1/24 -> drop",
        "1:13: ip.src 10.0.0.1/24: the prefix has bits of hosts set; write 10.0.0.0/24"
      ),
      ("rule arp.spa fd00::1 -> drop", "1:14: arp.spa fd00::1: ARP has addresses of IPv4 only"),
      ("rule ip.src in s -> drop", "1:16: no set is called s; a set stands above the rules that use it"),
      (
        "rule ip.src 10.0.0.1 ip.src 10.0.0.2 -> drop",
        "1:22: ip.src is asked for twice: write its values once, with commas between"
      ),
      (
        "set s { 10.0.0.1, x }\nrule ip.src in s -> drop",
        "2:16: set s cannot be asked for ip.src, because of x: give an address or prefix, as 10.0.0.0/24 or fd00::1"
      ),
      ("set s { 10.0.0.1", "1:17: } is missing at the end of set s"),
      ("set s { }", "1:7: set s is empty"),
      ("set s { 1 }\nset s { 2 }", "2:5: there is a set s already"),
      ("meter m { burst 1k }", "1:7: meter m has no rate"),
      (
        "meter m { rate 1 }",
        "1:16: a rate is bits a second from 1000 to 1000000000000, as 500k, 10M or 1G"
      ),
      ("rule vlan 1 -> meter m, drop", "1:22: no meter is called m; a meter stands above the rules that use it"),
      (
        "rule vlan 1 -> count web",
        "1:25: a rule ends with learn, forward, flood, drop or next; actions are separated by commas"
      ),
      ("rule vlan 1 -> drop, count web", "1:20: drop ends the rule: what else it does stands before it"),
      (
        "rule vlan 1 -> set vlan 2, learn",
        "1:28: a VLAN tag can be changed only where the frame is forwarded to ports: end with forward"
      ),
      (
        "rule vlan 1 -> set vlan 4095, forward a",
        "1:25: set vlan 4095: give an identifier from 1 to 4094; strip vlan takes the tag away"
      ),
      (
        "rule vlan 1 -> set ip.ttl 3, learn",
        "1:20: set changes eth.src, eth.dst, ip.src, ip.dst, ip.dscp, tcp.src, tcp.dst, udp.src, udp.dst, vlan; "
          + "this cannot be set"
      ),
      (
        "rule vlan 1 -> forward a, drop",
        "1:27: the name of a port is expected here, and what else the rule does before forward; a port that is called "
          + "drop stands between quotes"
      ),
      (
        "rule vlan 1 drop",
        "1:13: no field is called drop: there are in.port, eth.src, eth.dst, eth.type, vlan, vlan.pcp, "
          + "arp.op, arp.spa, arp.tpa, ip.src, ip.dst, ip.version, ip.proto, ip.dscp, ip.ecn, ip.ttl, ip.frag, tcp.src, "
          + "tcp.dst, tcp.flags, udp.src, udp.dst, icmp.type, icmp.code"
      ),
      (
        "rule eth.dst 02:00:00:00:00:01/ff:00:00:00:00:00 -> drop",
        "1:14: eth.dst 02:00:00:00:00:01/ff:00:00:00:00:00: bits are set that the mask leaves out"
      ),
      // The column counts characters, and a tab is one.
      ("\t# ä\n\trule in.port \"ä\"  vlan 5000 -> drop", "2:25: vlan 5000: vlan goes up to 4095"),
    ])
  func refuses(source: String, complaint: String) {
    #expect(complaints(source) == [complaint])
  }

  @Test("all that is wrong is said, line by line")
  func allErrors() {
    let source = """
      set s { 10.0.0.1,
        broken broken }
      rule ip.src 10.0.0.300, 10.0.0.1/33 tcp.dst x -> drop
      nonsense
      rule vlan 1 -> drop
      meter m { rate fast }
      """
    #expect(complaints(source).map { $0.prefix(5) } == ["2:10:", "3:13:", "3:25:", "3:45:", "4:1: ", "6:16:"])
  }

  @Test("an error is shown with its line and a caret")
  func rendered() throws {
    let source = "default drop\r\n\trule tcp.port 80 -> drop\r\n"
    guard case .failure(let error) = CompiledPolicy.compile(source) else { throw Unexpected() }
    let expected = """
      a.policy:2:7: no field is called tcp.port: there are tcp.src, tcp.dst, tcp.flags
          \trule tcp.port 80 -> drop
          \t     ^
      """
    #expect(error.rendered(in: source, file: "a.policy") == expected)
  }

  private struct Unexpected: Error {}

  @Test("what is too large is refused")
  func limits() {
    let rules = String(repeating: "rule vlan 1 -> drop\n", count: PolicyLimits.countersMax)
    #expect(complaints(rules).isEmpty)
    #expect(
      complaints("rule vlan 1 -> count a, drop\n" + rules).first?.hasPrefix("65536:1: a policy has at most 65536")
        == true)
    #expect(complaints("set \(String(repeating: "n", count: 65)) { 1 }").first?.hasPrefix("1:5: a set's name") == true)
    #expect(
      complaints(String(repeating: "#", count: PolicyLimits.sourceBytesMax + 1)) == [
        "1:1: the text is longer than 16 MB"
      ])
    #expect(complaints(String(repeating: "x\n", count: 1000)).count == PolicyLimits.diagnosticCountMax)
  }

  @Test("no text, however senseless, stops the program")
  func fuzz() {
    var generator = SeededGenerator(seed: 42)
    let pieces =
      Array(Self.example.split(separator: " ").map(String.init)) + [
        "\n", "\"", "{", "}", ",", "->", "-", "/", "not", "in", "else", "0x", "+", "99999999999999999999", "::", "é",
        "\0", "\r",
      ]
    for _ in 0..<1500 {
      var text = ""
      for _ in 0..<generator.below(40) {
        text += pieces[generator.below(pieces.count)]
        if generator.below(3) > 0 { text += " " }
      }
      check(text)
    }
    // The example with bytes changed, taken out and put in.
    for _ in 0..<1500 {
      var bytes = Array(Self.example.utf8)
      for _ in 0...generator.below(6) {
        let place = generator.below(bytes.count)
        switch generator.below(3) {
        case 0: bytes[place] = UInt8(generator.below(128))
        case 1: bytes.remove(at: place)
        default: bytes.insert(UInt8(generator.below(128)), at: place)
        }
      }
      check(String(decoding: bytes, as: UTF8.self))
    }
  }

  private func check(_ text: String) {
    switch CompiledPolicy.compile(text) {
    case .success(let policy): #expect(policy.counterNames.count >= policy.ruleCount)
    case .failure(let error):
      #expect(error.diagnostics.allSatisfy { $0.line >= 1 && $0.column >= 1 })
      #expect(!error.rendered(in: text).isEmpty)
    }
  }
}
