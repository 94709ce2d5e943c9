import Datapath
import Policies
import Tables
import Testing
import Wire

@Suite("Rate limit and storm control")
struct RatePolicyTests {
  /// How many of so many frames in one burst leave.
  private func passed(_ count: Int, _ bytes: [UInt8], from port: UInt16, _ bed: PolicyBed) -> Int {
    (0..<count).count { _ in !bed.send(bytes, from: port).isEmpty }
  }

  @Test("an endpoint sends as much as its rate allows, and more after a pause; others do not suffer")
  func rate() throws {
    let bed = try PolicyBed("rate-limit", ports(4), ["rate": "8M", "port.e2": "16M", "port.e3": "20fps"])
    let long = frame(to: host(0), from: host(1), payload: 986)
    // A burst of 128 KB at least, or a tenth of a second's worth.
    #expect(passed(300, long, from: 1, bed) == 132)
    #expect(bed.drops(1, .rateExceeded) == 168)
    #expect(bed.counter("limited_frames") == 168 && bed.counter("limited_bytes") == 168_000)
    #expect(passed(300, long, from: 2, bed) == 200 + 1)
    #expect(passed(50, long, from: 3, bed) == 10)
    #expect(passed(300, long, from: 0, bed) == 300, "the gateway has no rate unless it is named")
    bed.now += 1
    #expect(passed(300, long, from: 1, bed) == 132)
    #expect(passed(50, long, from: 3, bed) == 10)
    #expect(bed.isConserved)
  }

  @Test("all workers share a port's bucket, and a frame that is asked about takes nothing from it")
  func shared() throws {
    let policy = try #require(PolicyCatalog.policy(named: "rate-limit")).make(["rate": "20fps"], workers: 2)
    let (first, second) = (PolicyBed(policy, worker: 0, ports(2)), PolicyBed(policy, worker: 1, ports(2)))
    let bytes = frame(to: broadcast, from: host(1))
    for _ in 0..<20 { #expect(first.ask(bytes, from: 1).verdict == .flood) }
    #expect(passed(6, bytes, from: 1, first) == 6)
    #expect(passed(6, bytes, from: 1, second) == 4)
    let asked = first.ask(bytes, from: 1)
    #expect(asked.verdict == .drop(.rateExceeded) && asked.steps.contains { $0.contains("{1}") })
    #expect(second.counter("limited_frames") == 2)
  }

  @Test("floods are bounded by kind and port; what goes to known stations is not")
  func storm() throws {
    let limits = ["broadcast": "20fps", "multicast": "80k", "unknown": "50fps"]
    let bed = try PolicyBed("storm-control", ports(3), limits)
    #expect(passed(30, frame(to: broadcast, from: host(1)), from: 1, bed) == 10)
    #expect(passed(30, frame(to: host(9), from: host(1)), from: 1, bed) == 10)
    // 80 kbit/s is 10,000 bytes a second; 128 KB pass at once.
    #expect(passed(300, frame(to: 0x0100_5E00_0001, from: host(1), payload: 986), from: 1, bed) == 132)
    #expect(bed.drops(1, .storm) == 20 + 20 + 168)
    #expect(bed.counter("broadcast_limited") == 20 && bed.counter("unknown_limited") == 20)
    #expect(bed.counter("multicast_limited") == 168)
    #expect(passed(30, frame(to: broadcast, from: host(2)), from: 2, bed) == 10, "a bucket for each port")
    #expect(passed(100, frame(to: host(1), from: host(2)), from: 2, bed) == 100)
    bed.now += 1
    #expect(passed(30, frame(to: broadcast, from: host(1)), from: 1, bed) == 10)
    #expect(bed.isConserved)
  }

  @Test("without parameters, 1000 broadcasts and frames to unknown addresses a second, and any multicast")
  func stormDefaults() throws {
    let bed = try PolicyBed("storm-control", ports(2), ["unknown": "off"])
    #expect(passed(150, frame(to: broadcast, from: host(1)), from: 1, bed) == 100)
    #expect(passed(150, frame(to: host(9), from: host(1)), from: 1, bed) == 150)
    #expect(passed(150, frame(to: 0x0100_5E00_0001, from: host(1)), from: 1, bed) == 150)
    let routed = try PolicyBed("storm-control", ports(2), ["unknown": "1fps"])
    #expect(passed(150, frame(to: host(0), from: host(1)), from: 1, routed) == 150, "the gateway is never unknown")
    #expect(bed.isConserved)
  }
}
