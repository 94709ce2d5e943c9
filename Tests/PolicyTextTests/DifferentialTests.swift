import PolicyText
import Support
import Testing

@testable import Datapath

@Suite("Policies as text, beside a matcher that looks at one rule after the other")
struct DifferentialTests {
  private static let ethernet = ["in.port", "eth.src", "eth.dst", "eth.type", "vlan"]

  @Test(
    "1,000 rules decide as one after the other would, from the tables and from the flow cache",
    arguments: [
      (1, 1000, SeededPolicy.allFields), (2, 1000, ["ip.src", "ip.dst", "tcp.dst", "udp.dst", "in.port"]),
      (3, 100, ["in.port", "eth.type", "vlan"]), (4, 100, ethernet),
      (5, 2500, ["ip.src", "tcp.dst", "tcp.flags", "ip.dscp"]),
      (6, 3, ["udp.src"]), (7, 40, SeededPolicy.allFields),
      (8, 60, ["vlan.pcp"]), (9, 60, ["udp.dst", "tcp.src", "ip.frag"]),
    ])
  func decides(seed: UInt64, ruleCount: Int, fields: [String]) throws {
    var policy = SeededPolicy(seed: seed, fields: fields)
    let matcher = ReferenceMatcher(rules: (0..<ruleCount).map { _ in policy.rule() })
    let lines = policy.sets + matcher.rules.map(\.text)
    var bed = try PolicyBed("default drop\n" + lines.joined(separator: "\n"))
    var hits = Array(repeating: UInt64(0), count: ruleCount)
    for _ in 0..<(200_000 / (ruleCount + 200)) {
      let frame = policy.frame()
      let expected = matcher.decide(frame)
      // The second time it is in the flow cache.
      for time in 1...2 {
        let verdict = bed.decide(frame.bytes, from: frame.port)
        #expect(verdict == Self.verdict(expected.ending, frame.port), "time \(time): \(frame)")
        for rule in expected.met { hits[rule] += 1 }
      }
    }
    let counted = bed.installed.counters().map(\.value)
    #expect(Array(counted.suffix(ruleCount)) == hits)
    // Or the test would say little.
    #expect(hits.reduce(0, +) > 10)
  }

  private static func verdict(_ ending: ReferenceRule.Ending?, _ port: UInt16) -> Verdict {
    switch ending {
    case .forward(let target): target == port ? .drop(.samePort) : .forward(target)
    case .flood: .flood
    case .drop, .next, nil: .drop(.policy)
    }
  }
}
