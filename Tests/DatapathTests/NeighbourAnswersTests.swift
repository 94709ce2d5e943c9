import Support
import Tables
import Testing
import Wire

@testable import Datapath

/// Questions of Linux 6.18 and its answers, as a packet socket read them at one end of a veth pair: 02:00:00:00:00:01 has 10.0.0.1 and
/// fd00::1, and asks; 02:00:00:00:00:02 has 10.0.0.2 and fd00::2.
private enum Golden {
  static let bytes = GoldenTunnel.bytes
  static let ask = (
    arp: bytes(
      "ffffffffffff020000000001 0806 0001080006040001 0200000000010a000001 0000000000000a000002"),
    /// ARP probe (RFC 5227), sent by hand.
    probe: bytes(
      "ffffffffffff020000000001 0806 0001080006040001 02000000000100000000 0000000000000a000002"),
    solicitation: bytes(
      """
      3333ff000002020000000001 86dd 6000000000203aff fd000000000000000000000000000001
      ff0200000000000000000001ff000002 87007d9700000000 fd000000000000000000000000000002 0101020000000001
      """),
    /// With a nonce option (RFC 7527).
    duplicate: bytes(
      """
      3333ff000002020000000001 86dd 6000000000203aff 00000000000000000000000000000000
      ff0200000000000000000001ff000002 8700450d00000000 fd000000000000000000000000000002 0e010dd7d7ae4507
      """)
  )
  static let answer = (
    arp: bytes(
      "020000000001020000000002 0806 0001080006040002 0200000000020a000002 0200000000010a000001"),
    probe: bytes(
      "020000000001020000000002 0806 0001080006040002 0200000000020a000002 02000000000100000000"),
    advertisement: bytes(
      """
      020000000001020000000002 86dd 6000000000203aff fd000000000000000000000000000002
      fd000000000000000000000000000001 88001c9a60000000 fd000000000000000000000000000002 0201020000000002
      """),
    duplicate: bytes(
      """
      333300000001020000000002 86dd 6000000000203aff fd000000000000000000000000000002
      ff020000000000000000000000000001 88005a9820000000 fd000000000000000000000000000002 0201020000000002
      """)
  )
  static let pairs = [
    (ask.arp, answer.arp), (ask.probe, answer.probe), (ask.solicitation, answer.advertisement),
    (ask.duplicate, answer.duplicate),
  ]
}

@Suite struct NeighbourAnswersTests {
  private enum Outcome: Equatable {
    case answered([UInt8])
    case unknown, notAsked
  }

  private static let network: UInt32 = 5

  /// What knows the two addresses of the goldens.
  private static func answers(mac: UInt64 = 0x0200_0000_0002, isRouter: Bool = false) -> NeighbourAnswers {
    var answers = NeighbourAnswers(seed: 3)
    let neighbour = KnownNeighbours.Neighbour(mac: MACAddress(bits: mac), isRouter: isRouter)
    for address in ["10.0.0.2", "fd00::2"] {
      let isSet = answers.neighbours.set(IPAddress(address)!.mapped, network: network, to: neighbour)
      #expect(isSet)
    }
    return answers
  }

  private static func outcome(
    _ frame: [UInt8], _ answers: borrowing NeighbourAnswers = answers(), network: UInt32 = network,
    header: [UInt8] = [UInt8](repeating: 0, count: 10)
  ) -> Outcome {
    let buffer = TunnelBuffer(header + frame, room: NeighbourAnswers.growthMax)
    switch answers.answer(buffer.frame, network: network) {
    case .answered(let answer):
      #expect(buffer.holds(answer, room: NeighbourAnswers.growthMax) && buffer.isIntactBelow)
      let bytes = TunnelBuffer.bytes(answer)
      #expect(bytes.prefix(10).allSatisfy { $0 == 0 })
      return .answered(Array(bytes.dropFirst(10)))
    case .unknown:
      #expect(TunnelBuffer.bytes(buffer.frame) == header + frame)
      return .unknown
    case .notAsked:
      #expect(TunnelBuffer.bytes(buffer.frame) == header + frame)
      return .notAsked
    }
  }

  @Test(arguments: 0..<4) func `answers as the kernel does, to the byte`(index: Int) {
    let (question, answer) = Golden.pairs[index]
    #expect(Self.outcome(question) == .answered(answer))
    #expect(Self.outcome(question, network: 6) == .unknown, "of another network")
    // Its own address: nobody is told that it is taken.
    #expect(Self.outcome(question, Self.answers(mac: 0x0200_0000_0001)) == .notAsked)
    var unicast = question
    unicast.replaceSubrange(0..<6, with: [2, 0, 0, 0, 0, 2])
    #expect(Self.outcome(unicast) == .notAsked, "whether the neighbour still answers")
    #expect(Self.outcome(answer) == .notAsked)
    // Padding is not answered with.
    #expect(Self.outcome(question + [UInt8](repeating: 0xEE, count: 18)) == .answered(answer))
    let tag: [UInt8] = [0x81, 0, 0, 100]
    #expect(
      Self.outcome(Array(question[..<12] + tag + question[12...]))
        == .answered(Array(answer[..<12] + tag + answer[12...])))
  }

  @Test(arguments: 0..<4) func `a question that ends anywhere is none`(index: Int) {
    let question = Golden.pairs[index].0
    for length in 0..<question.count where Self.outcome(Array(question.prefix(length))) != .notAsked {
      Issue.record("\(length) bytes")
    }
  }

  @Test func `a router's advertisement says so`() {
    guard case .answered(let answer) = Self.outcome(Golden.ask.solicitation, Self.answers(isRouter: true)) else {
      Issue.record("not answered")
      return
    }
    #expect(answer[14 + 40 + 4] == 0xE0)
    let pseudo = Array(answer[22..<54]) + [0, 0, 0, 32, 0, 0, 0, 58]
    #expect(IPPacket.sum(pseudo + answer[54...]) == 0xFFFF)
  }

  @Test func `announcements are for all to hear`() {
    let gratuitous = AddressAnnouncement.frame(for: IPAddress("10.0.0.2")!, at: MACAddress(bits: 0x0200_0000_0009))
    #expect(Self.outcome(gratuitous) == .notAsked)
    let advertisement = AddressAnnouncement.frame(for: IPAddress("fd00::2")!, at: MACAddress(bits: 0x0200_0000_0009))
    #expect(Self.outcome(advertisement) == .notAsked)
  }

  private static func changed(_ frame: [UInt8], _ offset: Int, _ bytes: [UInt8], sum: Bool = true) -> [UInt8] {
    var frame = frame
    frame.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    guard sum && frame[12] == 0x86 else { return frame }
    (frame[56], frame[57]) = (0, 0)
    let length = frame.count - 54
    let checksum = ~UInt16(IPPacket.sum(Array(frame[22..<54]) + [0, 0, 0, UInt8(length), 0, 0, 0, 58] + frame[54...]))
    (frame[56], frame[57]) = (UInt8(checksum >> 8), UInt8(truncatingIfNeeded: checksum))
    return frame
  }

  @Test func `ARP that is not to be trusted`() {
    let arp = Golden.ask.arp
    #expect(Self.outcome(Self.changed(arp, 27, [9])) == .notAsked, "sender is not who sent it")
    #expect(Self.outcome(Self.changed(arp, 6, [3])) == .notAsked, "from a group")
    #expect(Self.outcome(Self.changed(arp, 21, [3])) == .notAsked, "no request")
    #expect(Self.outcome(Self.changed(arp, 15, [6])) == .notAsked, "no Ethernet")
    #expect(Self.outcome(Self.changed(arp, 41, [3])) == .unknown)
  }

  @Test func `solicitations that are not to be trusted`() {
    let (solicitation, probe) = (Golden.ask.solicitation, Golden.ask.duplicate)
    #expect(Self.outcome(Self.changed(solicitation, 21, [254])) == .notAsked, "a router let it pass")
    #expect(Self.outcome(Self.changed(solicitation, 57, [0x98], sum: false)) == .notAsked, "checksum")
    #expect(Self.outcome(Self.changed(solicitation, 55, [1])) == .notAsked, "code")
    #expect(Self.outcome(Self.changed(solicitation, 62, [0xFF, 2])) == .notAsked, "a group's address")
    #expect(Self.outcome(Self.changed(solicitation, 85, [9])) == .notAsked, "another's MAC address")
    #expect(Self.outcome(Self.changed(solicitation, 79, [0])) == .notAsked, "an option of no length")
    #expect(Self.outcome(Self.changed(solicitation, 22, [0xFF])) == .notAsked, "from a group")
    #expect(Self.outcome(Self.changed(solicitation, 77, [3])) == .unknown)
    #expect(Self.outcome(Self.changed(probe, 78, [1, 1])) == .notAsked, "a probe with an address")
    #expect(Self.outcome(Self.changed(probe, 53, [3])) == .notAsked, "a probe to another group")
    // A checksum that is yet to be filled in is the asker's kernel's own.
    let partial = Self.changed(solicitation, 57, [0x98], sum: false)
    let header: [UInt8] = [1, 0, 0, 0, 0, 0, 54, 0, 2, 0]
    #expect(Self.outcome(partial, header: header) == .answered(Golden.answer.advertisement))
    #expect(Self.outcome(partial, header: [1, 0, 0, 0, 0, 0, 54, 0, 4, 0]) == .notAsked)
  }

  @Test func `a solicitation without an option grows into its answer`() {
    var short = Golden.ask.solicitation
    short.removeLast(8)
    short[19] = 24
    #expect(Self.outcome(Self.changed(short, 0, [])) == .answered(Golden.answer.advertisement))
  }

  @Test func `whatever comes, nothing is touched but an answered frame`() {
    var random = SeededGenerator(seed: 20)
    let answers = Self.answers()
    let questions = Golden.pairs.map(\.0)
    var answered = 0
    for _ in 0..<20_000 {
      var frame = questions[random.below(questions.count)]
      for _ in 0..<1 + random.below(3) { frame[random.below(frame.count)] = UInt8(truncatingIfNeeded: random.next()) }
      if random.below(4) == 0 { frame.removeLast(random.below(frame.count)) }
      guard case .answered(let answer) = Self.outcome(Self.changed(frame, 0, [], sum: frame.count >= 60), answers)
      else { continue }
      answered += 1
      #expect(answer.count == 42 || answer.count == 86)
      #expect(Array(answer[6..<12]) == [2, 0, 0, 0, 0, 2])
    }
    #expect(answered > 100)
  }
}
