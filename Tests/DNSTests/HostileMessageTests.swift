import Support
import Testing
import Wire

@testable import DNS

/// Messages that nobody would send by mistake. A crash ends the run.
@Suite struct HostileMessageTests {
  static let seeds = [
    "096201000001000000000000035765420000010001",
    "b4a50120000100000000000103776562000001000100002904d000000000000c000a0008cbc448d58442b028",
    "fbc285800001000100000001055f68747470045f746370037765620000210001c00c0021000100000000000b0000000000500377656200"
      + "c032000100010000000000040a000002",
    "73298580000100010000000001320130013002313007696e2d61646472046172706100000c0001c00c000c000100000000000903776562036c616e00",
    "5e74858000010001000000000776657273696f6e0462696e640000100003c00c0010000300000000000d0c646e736d6173712d322e3930",
  ].map { [UInt8](hex: $0) }

  @Test func `a hundred thousand broken messages get an answer that is none of a query, or none`() {
    let responder = Responder(limits: NameServerLimits())
    responder.table.withLock { table in
      table.setNetwork(id: "n1", domain: DomainName("lan"))
      table.setEndpoint(
        NamedEndpoint(
          id: "e1", network: "n1", sandbox: "s1", names: ["web"], addresses: [IPAddress("10.0.0.2")!],
          services: [.init(port: 80)]),
        serviceNames: [["http"]])
    }
    var random = SeededGenerator(seed: 1035)
    var (answers, drops, forwards) = (0, 0, 0)
    for _ in 0..<100_000 {
      let message = Self.broken(&random)
      var asker = Asker(clientele: .sandbox("s1"))
      asker.isOverTCP = random.below(4) == 0
      switch responder.decide(message, from: asker) {
      case .answer(let bytes):
        answers += 1
        #expect(bytes.count >= 12 && bytes.count <= 1232 && bytes[..<2] == message[..<2] && bytes[2] & 0x80 != 0)
        // Ours are of one piece, or the decoder would not take them.
        #expect(bytes[5] == 0 || Question(message: bytes) != nil)
        #expect(responder.decide(bytes, from: asker) == .drop)
      case .drop:
        drops += 1
        #expect(message.count < 12 || message[2] & 0x80 != 0)
      case .forward(let question, let payloadMax):
        forwards += 1
        #expect(question.key != "web" && payloadMax >= 512)
      }
      _ = Question(message: message)
    }
    // All three ways were gone.
    #expect(answers > 1000 && drops > 1000 && forwards > 1000)
  }

  /// One of `seeds`, or noise, with some bytes changed, cut or doubled.
  private static func broken(_ random: inout SeededGenerator) -> [UInt8] {
    var message = seeds[random.below(seeds.count)]
    if random.below(20) == 0 { message = (0..<random.below(600)).map { _ in UInt8(random.below(256)) } }
    // Half of them as queries: more of the code is reached.
    if random.below(2) == 0, message.count > 2 { message[2] &= 0x7F }
    for _ in 0..<random.below(4) where !message.isEmpty {
      let place = random.below(message.count)
      switch random.below(5) {
      case 0: message[place] = UInt8(random.below(256))
      case 1: message[place] ^= 1 << UInt8(random.below(8))
      case 2: message.removeSubrange(place...)
      case 3: message.insert(contentsOf: message[place...].prefix(random.below(64)), at: place)
      default: message[place] = [0xC0, 0xFF, 0, 0x3F, 0x40][random.below(5)]
      }
    }
    return message
  }

  @Test func `a message that is all pointers ends soon`() {
    // 2000 names, each a pointer to the one before: what a decoder that follows them all takes too long for.
    var message = [UInt8](hex: "096201000001 000000000000 00 0001 0001")
    message[11] = 200
    for number in 0..<1000 {
      let target = number == 0 ? 12 : 17 + 2 * (number - 1)
      message += [0xC0 | UInt8(target >> 8), UInt8(target & 0xFF)]
    }
    let start = ContinuousClock.now
    let responder = Responder(limits: NameServerLimits())
    _ = responder.decide(message, from: Asker(clientele: .sandbox("s1")))
    #expect(ContinuousClock.now - start < .seconds(1))
  }
}
