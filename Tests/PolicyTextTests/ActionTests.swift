import Policies
import PolicyText
import Support
import Testing
import Wire

@testable import Datapath

@Suite("What rules of a policy's text do")
struct ActionTests {
  private let udp = SampleFrame()
  private let arp = SampleFrame(
    destination: 0xFFFF_FFFF_FFFF, content: .arp(operation: 1, sender: 0x0A00_0001, target: 0x0A00_0002))

  @Test("frames are forwarded, flooded, dropped and switched by address, and named counters and hits counted")
  func endings() throws {
    var bed = try PolicyBed(
      """
      rule udp.dst 53 -> count dns, forward c
      rule udp.dst 54 -> count dns, flood
      rule udp.dst 55 -> drop
      rule udp.dst 56 -> forward c, "id-3", c
      rule udp.dst 57 -> forward a
      """)
    func frame(_ port: UInt16) -> [UInt8] {
      var frame = udp
      frame.transport = .udp(source: 1, destination: port)
      return frame.bytes
    }
    #expect(bed.send(frame(53)).map(\.port) == [2])
    #expect(bed.send(frame(54)).map(\.port) == [1, 2, 3])
    #expect(bed.send(frame(55)).isEmpty && bed.drops(0, .policy) == 1)
    #expect(bed.send(frame(56)).map(\.port) == [2, 3])
    #expect(bed.send(frame(57)).isEmpty && bed.drops(0, .samePort) == 1)
    // The default: the learning switch, which knows the destination once it has sent.
    #expect(bed.send(frame(58)).map(\.port) == [1, 2, 3])
    var answer = udp
    (answer.source, answer.destination) = (udp.destination, udp.source)
    answer.transport = .udp(source: 58, destination: 1)
    #expect(bed.send(answer.bytes, from: 2).map(\.port) == [0])
    #expect(bed.send(frame(58)).map(\.port) == [2])
    #expect(bed.counted("dns") == 2)
    #expect((1...5).map { bed.counted("rule \($0)") } == [1, 1, 1, 1, 1])
  }

  @Test("next goes on with its actions done, and all rules look at the frame as it came")
  func next() throws {
    var bed = try PolicyBed(
      """
      default drop
      rule ip.dst 10.0.0.2 -> set ip.dst 10.0.0.9, mirror port d, next
      rule ip.dst 10.0.0.9 -> drop
      rule ip.dst 10.0.0.2 -> set eth.dst 02:00:00:00:00:0b, dec ttl, forward b
      """)
    for _ in 0..<2 {
      let sent = bed.send(udp.bytes)
      #expect(sent.map(\.port) == [3, 1])
      var expected = udp
      expected.content = .ipv4(source: 0x0A00_0001, destination: 0x0A00_0009)
      (expected.destination, expected.timeToLive) = (0x02_00_00_00_00_0B, 63)
      for frame in sent {
        let ipv4 = frame.bytes.dropFirst(14)
        #expect(Array(ipv4.dropFirst(12).prefix(8)) == [10, 0, 0, 1, 10, 0, 0, 9])
        #expect(frame.bytes[22] == 63 && Array(frame.bytes.prefix(6)) == MACAddress(bits: expected.destination).bytes)
      }
    }
  }

  @Test("a rewrite leaves frames without the field as they are, and drops those in which it cannot be done")
  func rewrites() throws {
    var bed = try PolicyBed(
      """
      rule in.port a -> set tcp.dst 8080, set ip.src fd00::7, set ip.dscp ef, forward b
      rule in.port b -> dec ttl, forward a
      """)
    // UDP over IPv4: the code point alone.
    var expected = udp.bytes
    expected[15] = 46 << 2
    let sent = bed.send(udp.bytes)
    #expect(sent.count == 1 && Array(sent[0].bytes.dropFirst(26)) == Array(expected.dropFirst(26)))
    #expect(sent.first?.bytes[15] == 46 << 2)
    #expect(bed.send(arp.bytes).map(\.bytes) == [arp.bytes])
    var last = udp
    last.timeToLive = 1
    #expect(bed.send(last.bytes, from: 1).isEmpty && bed.drops(1, .timeToLiveExceeded) == 1)
  }

  @Test("a tag is set, changed with its priority kept, and taken away, where frames are forwarded")
  func tags() throws {
    var bed = try PolicyBed(
      """
      rule vlan none -> set vlan 10, forward b
      rule vlan 5 -> set vlan 10, forward b
      rule vlan 6 -> strip vlan, forward b
      """)
    func tagged(_ tag: UInt16?) -> [UInt8] {
      var frame = udp
      frame.tag = tag
      return frame.bytes
    }
    #expect(bed.send(tagged(nil)) == [.init(port: 1, bytes: tagged(10))])
    #expect(bed.send(tagged(0xA005)) == [.init(port: 1, bytes: tagged(0xA00A))])
    #expect(bed.send(tagged(6)) == [.init(port: 1, bytes: tagged(nil))])
  }

  @Test("a meter lets pass its rate and its burst, and what is beyond it goes where else says")
  func meters() throws {
    var bed = try PolicyBed(
      """
      meter slow { rate 8k burst 100 }
      rule in.port a -> meter slow, forward b
      rule in.port c -> meter slow else next, forward b
      rule in.port c -> forward d
      """)
    // 1,000 bytes a second; a frame may be ahead by a tenth of a second.
    let length = UInt64(udp.bytes.count)
    var passed: UInt64 = 0
    for millisecond in stride(from: UInt64(0), to: 10_000, by: 5) {
      if !bed.send(udp.bytes, nanoseconds: millisecond * 1_000_000).isEmpty { passed += length }
    }
    #expect((9_900...10_300).contains(passed))
    #expect(bed.drops(0, .policy) > 0)
    #expect(bed.send(udp.bytes, from: 2, nanoseconds: 9_995_000_000).map(\.port) == [3])
    #expect(bed.send(udp.bytes, from: 2, nanoseconds: 20_000_000_000).map(\.port) == [1])
  }

  @Test("names of ports are what they are now: others match nothing, and nothing is forwarded there")
  func ports() throws {
    var bed = try PolicyBed(
      """
      default drop
      rule in.port new -> forward a
      rule in.port not new -> mirror new, forward new
      """)
    #expect(bed.send(udp.bytes).isEmpty && bed.drops(0, .noSuchPort) == 1)
    var ports = PolicyBed.ports(4)
    ports[2].names.append("new")
    bed.runner.portsChanged(ports)
    #expect(bed.send(udp.bytes).map(\.port) == [2, 2])
    #expect(bed.send(udp.bytes, from: 2).map(\.port) == [0])
    bed.runner.portsChanged(PolicyBed.ports(4))
    #expect(bed.send(udp.bytes).isEmpty && bed.send(udp.bytes, from: 2).isEmpty)
  }

  @Test("a trace says what the flow cache, sets, rules and meters have to do with it, and changes nothing")
  func traced() throws {
    var bed = try PolicyBed(
      """
      set servers { 10.0.0.2, fd00::/64 }
      meter slow { rate 1k burst 1 }
      rule ip.dst in servers -> count seen,
        next
      rule ip.dst in servers udp.dst 53 -> meter slow, mirror gone, forward b
      """)
    let steps = [
      "flow cache: this flow is new", "ip.dst 10.0.0.2 is in set servers",
      "line 3 matches: rule ip.dst in servers -> count seen, next",
      "line 5 matches: rule ip.dst in servers udp.dst 53 -> meter slow, mirror gone, forward b",
      "meter slow lets it pass", "not mirrored: no port of the network is called gone",
    ]
    for _ in 0..<3 {
      let (verdict, said) = bed.trace(udp.bytes)
      #expect(verdict == .forward(1) && said.starts(with: steps))
    }
    #expect(bed.counted("seen") == 0 && bed.counted("rule 3") == 0)
    #expect(bed.send(udp.bytes).map(\.port) == [1])
    #expect(bed.trace(udp.bytes).steps.first == "flow cache: this flow is known")
    #expect(bed.trace(udp.bytes).steps.contains("meter slow is exceeded"))
    #expect(bed.counted("seen") == 1)
    #expect(bed.trace(arp.bytes).steps.contains("no rule decides: default learn"))
  }

  @Test("ports and code are read behind tags, options and extension headers, and of pieces of datagrams")
  func hiddenPorts() throws {
    var bed = try PolicyBed("default drop\nrule udp.dst 53 -> flood\nrule icmp.type 128 ip.version 6 -> flood")
    var frame = udp
    (frame.tag, frame.optionsLength, frame.fragment) = (7, 16, .first)
    // A first fragment's UDP length is the whole datagram's.
    var bytes = frame.bytes
    bytes[18 + 36 + 4] = 0x20
    #expect(bed.decide(bytes, from: 0) == .flood)
    frame.content = .ipv6(source: 1, destination: 2)
    #expect(bed.decide(frame.bytes, from: 0) == .flood)
    frame.transport = .icmp(type: 128, code: 0)
    #expect(bed.decide(frame.bytes, from: 0) == .flood)
    frame.fragment = .later
    #expect(bed.decide(frame.bytes, from: 0) == .drop(.policy))
  }

  @Test("a piece of a datagram, and one that is cut off, are not taken for the flow whose ports they seem to have")
  func lookAlikes() throws {
    var bed = try PolicyBed("default drop\nrule udp.dst 53 -> flood")
    for _ in 0..<2 { #expect(bed.decide(udp.bytes, from: 0) == .flood) }
    var later = udp
    later.fragment = .later
    #expect(bed.decide(later.bytes, from: 0) == .drop(.policy))
    // An IPv4 packet that claims to be longer than its frame.
    #expect(bed.decide(Array(udp.bytes.dropLast()), from: 0) == .drop(.policy))
    var other = udp
    other.transport = .other(47)
    #expect(bed.decide(other.bytes, from: 0) == .drop(.policy))
  }

  @Test("no frame, however it lies, stops the program, and the flow cache never says other than the rules")
  func fuzz() throws {
    var policy = SeededPolicy(seed: 9, fields: SeededPolicy.allFields)
    let rules = (0..<200).map { _ in policy.rule().text.replacing("forward", with: "dec ttl, set tcp.dst 5, forward") }
    let source = (["default drop"] + policy.sets + rules).joined(separator: "\n")
    var bed = try PolicyBed(source)
    var fresh = try PolicyBed(source)
    for _ in 0..<1500 {
      let frame = policy.frame()
      var bytes = frame.bytes
      for _ in 0...policy.generator.below(4) {
        bytes[12 + policy.generator.below(bytes.count - 12)] = UInt8(policy.generator.below(256))
      }
      if policy.generator.below(2) == 0 { bytes.removeLast(policy.generator.below(bytes.count - 13)) }
      let first = bed.decide(bytes, from: frame.port)
      #expect(bed.decide(bytes, from: frame.port) == first)
      // A dry run asks the rules, not the flow cache.
      #expect(fresh.trace(bytes, from: frame.port).verdict == first)
    }
  }

  @Test("there is no policy of the name alone")
  func withoutFile() {
    var parameters = PolicyParameters()
    #expect(TextPolicy(&parameters) == nil)
    #expect(parameters.complaint == "its rules are in a file: load it by the file's name")
  }
}
