import Datapath
import Policies
import Support
import Testing
import Wire

@testable import Replay

@Suite("Traffic models")
struct ModelTests {
  private struct Sent: Equatable {
    var port: Int
    var nanoseconds: UInt64
    var bytes: [UInt8]

    var destination: UInt64 { bytes[..<6].reduce(0) { $0 << 8 | UInt64($1) } }
    var type: UInt16 { UInt16(bytes[12]) << 8 | UInt16(bytes[13]) }
  }

  private func frames(_ model: TrafficModel) -> [Sent] {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: ModelFrames.lengthMax, alignment: 16)
    defer { memory.deallocate() }
    var (generator, sent) = (ModelFrames(model), [Sent]())
    while let (port, length) = generator.next(memory) {
      let bytes = Array(UnsafeRawBufferPointer(start: memory, count: length))
      sent.append(Sent(port: port, nanoseconds: generator.nanoseconds, bytes: bytes))
    }
    return sent
  }

  /// How often each host is sent to.
  private func destinations(_ sent: [Sent], _ ports: Int) -> [Int] {
    (0..<ports).map { port in sent.count { $0.destination == TrafficModel.mac(port).bits } }
  }

  @Test(
    "the seed alone decides: the same frames from the same one, others from another",
    arguments: TrafficModel.Kind.allCases)
  func seeds(_ kind: TrafficModel.Kind) {
    let model = TrafficModel(kind, frames: 2000, ports: 5, rate: 1_000_000, seed: 9)
    var other = model
    other.seed = 10
    let sent = frames(model)
    #expect(sent.count == 2000 && sent == frames(model))
    #expect(sent != frames(other))
    #expect(zip(sent, sent.dropFirst()).allSatisfy { $0.nanoseconds <= $1.nanoseconds })
  }

  /// Steele, Lea and Flood's generator, as java.util.SplittableRandom has it: the first numbers of seed 1234567.
  @Test("the generator's numbers are those of its inventors")
  func splitMix() {
    var random = SplitMix(seed: 1_234_567)
    #expect(
      (0..<3).map { _ in random.next() } == [
        6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
      ])
  }

  @Test("frames are whole: checksums are right, sources are their ports'", arguments: TrafficModel.Kind.allCases)
  func whole(_ kind: TrafficModel.Kind) {
    for frame in frames(TrafficModel(kind, frames: 500, ports: 300)) {
      let bytes = frame.bytes.span.bytes
      let headers = FrameHeaders(bytes)
      let source = EthernetView(bytes)?.source
      #expect(!headers.layers.contains(.malformed) && source == TrafficModel.mac(frame.port))
      #expect(headers.source == TrafficModel.address(frame.port).mapped)
      guard headers.layers.contains(.udp) else {
        #expect(headers.layers == .arp)
        continue
      }
      let isValid = InternetChecksum.isValid(bytes.extracting(14..<34))
      var sum = InternetChecksum(
        source: IPv4Address(bytes: frame.bytes[26..<30])!, destination: IPv4Address(bytes: frame.bytes[30..<34])!,
        protocol: .udp, length: frame.bytes.count - 34)
      sum.add(bytes.extracting(34..<bytes.byteCount))
      #expect(isValid && sum.value == 0)
    }
  }

  @Test("uniform: everyone sends and gets about the same, at the rate")
  func uniform() {
    let sent = frames(TrafficModel(.uniform, frames: 40_000, ports: 4, rate: 20_000))
    #expect(destinations(sent, 4).allSatisfy { (9_500...10_500).contains($0) })
    #expect((0..<4).allSatisfy { port in (9_500...10_500).contains(sent.count { $0.port == port }) })
    #expect((1_950_000_000...2_050_000_000).contains(sent.last!.nanoseconds))
  }

  @Test("zipf: the k-th host gets a k-th of what the first gets")
  func zipf() {
    let counts = destinations(frames(TrafficModel(.zipf, frames: 60_000, ports: 10)), 10)
    // Of the harmonic number 2.929.
    #expect((19_900...21_100).contains(counts[0]))
    for rank in 2...10 {
      let share = Double(counts[0]) / Double(rank)
      #expect((0.9 * share...1.1 * share).contains(Double(counts[rank - 1])), "\(rank)")
    }
  }

  @Test("incast: all others to one, at the same time, in full frames")
  func incast() {
    let sent = frames(TrafficModel(.incast, frames: 700, ports: 8, rate: 7000))
    #expect(destinations(sent, 8)[0] == 700 && sent.allSatisfy { $0.bytes.count == 1514 })
    for round in 0..<100 {
      let frames = sent[(round * 7)..<(round * 7 + 7)]
      #expect(frames.map(\.port).sorted() == Array(1...7))
      #expect(Set(frames.map(\.nanoseconds)) == [UInt64(round) * 1_000_000])
    }
  }

  @Test("scan: one asks for every address, and who is there answers")
  func scan() {
    let sent = frames(TrafficModel(.scan, frames: 1000, ports: 4))
    let questions = sent.filter { $0.destination == MACAddress.broadcast.bits }
    let answers = sent.filter { $0.destination == TrafficModel.mac(0).bits }
    #expect(questions.count == 997 && answers.map(\.port) == [1, 2, 3])
    #expect(questions.allSatisfy { $0.port == 0 && $0.type == 0x0806 })
    #expect(questions.enumerated().allSatisfy { Int($1.bytes[40]) << 8 | Int($1.bytes[41]) == $0 + 1 })
  }

  @Test("storm: broadcasts of one come on top of the others' traffic, and end")
  func storm() {
    let sent = frames(TrafficModel(.storm, frames: 10_000, ports: 4, rate: 10_000))
    let storm = sent.enumerated().filter { $1.destination == MACAddress.broadcast.bits }
    #expect((4_400...4_600).contains(storm.count))
    #expect(storm.allSatisfy { (2500..<7500).contains($0.offset) && $0.element.port == 0 })
    let during = sent[7499].nanoseconds - sent[2500].nanoseconds
    #expect((45_000_000...55_000_000).contains(during))
  }

  @Test("of every model each frame is accounted for", arguments: TrafficModel.Kind.allCases)
  func conserved(_ kind: TrafficModel.Kind) throws {
    let model = TrafficModel(kind, frames: 3000, ports: 6)
    let report = try Replay.run(.model(model), policies: [learning(), installed(Editor())])
    #expect(report.frames == 3000 && report.policies.allSatisfy { $0.isConserved })
    #expect(report.policies[0].macTable.count == (kind == .incast ? 5 : 6))
  }
}
