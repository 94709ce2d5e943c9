import Datapath
import Policies
import Support
import Testing

@Suite("Built-in policies")
struct CatalogTests {
  /// For those that cannot do without.
  static let needed = [
    "active-standby": ["active": "e1", "standby": "e2"], "ecmp": ["members": "e1,e2"], "rate-limit": ["rate": "10M"],
  ]

  @Test("each has a name of its own and refuses a parameter it does not know")
  func catalog() throws {
    let names = PolicyCatalog.builtIn.map(\.name)
    #expect(Set(names).count == names.count && names == names.sorted())
    for policy in PolicyCatalog.builtIn {
      #expect(!policy.summary.isEmpty)
      var parameters = Self.needed[policy.name] ?? [:]
      _ = try policy.make(parameters, workers: 2)
      parameters["no-such"] = "1"
      let error = #expect(throws: PolicyError.self) { try policy.make(parameters, workers: 1) }
      #expect(error?.description.contains("no-such") == true)
    }
  }

  @Test("of a policy's own counters each name is there once, of all workers, and no rule's hits")
  func ownCounters() throws {
    let runners = (0..<2).map { _ in PolicyRunner(counterCount: 5) }
    for (worker, runner) in runners.enumerated() {
      for index in 0..<5 { runner.counters?.add(index, UInt64(10 * index + worker)) }
    }
    let policy = InstalledPolicy(name: "p", counterNames: ["a", "rule 7", "b", "a", "c"], runners: runners)
    let counters = policy.ownCounters(max: 2)
    #expect(counters.map(\.name) == ["a", "b"] && counters.map(\.value) == [1 + 61, 41])
  }

  private static let wrong: [(policy: String, parameters: [String: String], part: String)] = [
    ("active-standby", [:], "active=NAME"), ("active-standby", ["active": "a", "standby": "a"], "two ports"),
    ("active-standby", ["active": "a", "standby": "b", "silence": "never"], "silence=never"),
    ("active-standby", ["active": "a", "standby": "b", "revert": "maybe"], "revert=maybe"),
    ("ecmp", [:], "members=NAME"), ("ecmp", ["members": "a,a"], "different"),
    ("ecmp", ["members": "a", "to": "01:00:5e:00:00:01"], "to=01:00"),
    ("ecmp", ["members": "a", "by": "luck"], "by=luck"),
    ("port-guard", ["allow.a": "10.0.0.0/8"], "allow.a=10.0.0.0/8"),
    ("port-guard", ["link-local": "x"], "link-local=x"),
    ("rate-limit", [:], "rate=RATE"), ("rate-limit", ["rate": "fast"], "rate=fast"),
    ("rate-limit", ["port.a": "1"], "port.a=1"), ("rate-limit", ["rate": "0fps"], "0fps"),
    ("rate-limit", ["rate": "99999999999999999999G"], "bits a second"),
    ("static", ["mac.x": "a"], "mac.x=a"), ("static", ["mac.ff:ff:ff:ff:ff:ff": "a"], "one station"),
    ("static", ["mac.2:0:0:0:0:1": "a", "mac.02:00:00:00:00:01": "b"], "twice"),
    ("static", ["groups": "x"], "groups=x"),
    ("storm-control", ["broadcast": "10"], "broadcast=10"),
    ("storm-control", ["multicast": "-1fps"], "multicast=-1fps"),
    ("vlan", ["port.a": "access:0"], "port.a=access:0"), ("vlan", ["port.a": "access:4095"], "access:4095"),
    ("vlan", ["port.a": "trunk:20-10"], "trunk:20-10"), ("vlan", ["port.a": "trunk:"], "trunk:"),
    ("vlan", ["port.a": "trunk:1,native=x"], "native=x"), ("vlan", ["default": "hybrid:1"], "default=hybrid:1"),
    ("vlan", ["port.a": "trunk:1-2-3"], "1-2-3"), ("vlan", ["table": "1"], "table=1"),
    ("snooping", ["unknown": "drop"], "unknown=drop"), ("snooping", ["ageing": "0"], "ageing=0"),
  ]

  @Test("a parameter that is wrong is named, and it is said what it must be", arguments: wrong)
  func refused(policy: String, parameters: [String: String], part: String) throws {
    let error = #expect(throws: PolicyError.self) {
      try #require(PolicyCatalog.policy(named: policy)).make(parameters, workers: 1)
    }
    #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
  }

  /// Frames that the policies look into, and frames of chance, whole and mutated, from ports that come and go.
  @Test(
    "no frame stops a policy, and every frame is handed out or dropped", arguments: PolicyCatalog.builtIn.map(\.name))
  func fuzz(name: String) throws {
    var random = SeededGenerator(seed: 20)
    var parameters = Self.needed[name] ?? [:]
    if name == "vlan" {
      parameters = ["port.e1": "trunk:1-100,s1-100,native=7", "port.e2": "qinq:5", "port.e3": "access:7"]
    }
    if name == "isolated" { parameters = ["promiscuous": "gateway,e3"] }
    if name == "snooping" { parameters = ["table": "64"] }
    let bed = try PolicyBed(name, ports(4), parameters)
    for _ in 0..<400 {
      let frames = (0..<random.below(70)).map { _ in
        (port: UInt16(random.below(5)), bytes: Self.frame(&random))
      }
      _ = bed.process(frames)
      if let frame = frames.first(where: { $0.bytes.count >= Engine.ethernetHeaderLength }) {
        _ = bed.ask(frame.bytes, from: frame.port)
      }
      bed.now += UInt32(random.below(3))
      #expect(bed.isConserved)
    }
  }

  private static func frame(_ random: inout SeededGenerator) -> [UInt8] {
    var bytes = Golden.all[random.below(Golden.all.count)]
    switch random.below(4) {
    case 0: bytes = (0..<random.below(120)).map { _ in UInt8(random.below(256)) }
    case 1: bytes.removeLast(random.below(bytes.count))
    default:
      for _ in 0..<random.below(4) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
    }
    return bytes
  }
}
