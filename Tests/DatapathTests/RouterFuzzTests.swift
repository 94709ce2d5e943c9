import Support
import Tables
import Testing
import Wire

@testable import Datapath

/// Frames that were good and are damaged, cut short, or lie, at random from a seed: the router must neither read beyond them nor
/// let them harm others. A sanitizer sees reads beyond a frame, whose memory ends with it.
@Suite("Hostile frames through the router")
struct RouterFuzzTests {
  private static let far = "2001:db8:9::1"

  private func seedFrames() -> [(port: UInt16, packet: IPPacket)] {
    let remote = RouterBed.remote
    let external = RouterBed.external
    let quoted = IPPacket.udp((external, 61_002), (remote, 53))
    let quote = Array(quoted.bytes[14...])
    return [
      (0, .udp(("10.1.0.2", 61_002), (remote, 53))),
      (0, .tcp(("10.1.0.2", 61_002), (remote, 80), IPPacket.syn, options: [2, 4, 5, 180, 3, 3, 7, 0])),
      (0, .icmp("10.1.0.2", remote, type: 8, word: 0x1234_0001)), (0, .udp(("10.1.0.2", 61_002), (external, 8080))),
      (0, .udp(("fd01::2", 5001), (Self.far, 53))), (0, .icmp("fd01::2", Self.far, type: 128, word: 0x1234_0001)),
      (0, .icmp("10.1.0.2", remote, type: 3, code: 3, payload: quote)),
      (
        0,
        IPPacket(from: "10.1.0.2", to: remote, protocol: 17, payload: [UInt8](repeating: 1, count: 64), flags: 0x2000)
      ),
      (
        0,
        IPPacket(from: "10.1.0.2", to: remote, protocol: 17, payload: [UInt8](repeating: 1, count: 64), flags: 0x2008)
      ),
      (4, .udp((remote, 53), (external, 61_002), mac: outside)),
      (4, .udp((remote, 53), (external, 8080), mac: outside)),
      (4, .tcp((remote, 80), (external, 61_002), IPPacket.syn | IPPacket.ack, mac: outside)),
      (4, .icmp(remote, external, type: 3, code: 4, word: 1280, payload: quote, mac: outside)),
      (4, .icmp(remote, external, type: 0, word: 0x1234_0001, mac: outside)),
      (4, .udp((Self.far, 53), ("fd01::2", 5001), mac: outside)),
      (
        4,
        IPPacket(
          from: remote, to: external, protocol: 17, payload: [UInt8](repeating: 1, count: 64), flags: 0x2008,
          mac: outside)
      ),
    ]
  }

  private func damaged(_ packet: IPPacket, _ random: inout SeededGenerator) -> IPPacket {
    var packet = packet
    switch Int.random(in: 0..<6, using: &random) {
    case 0: break
    case 1: packet.bytes.removeLast(Int.random(in: 0..<packet.bytes.count - 14, using: &random))
    case 2: packet.bytes += [UInt8](repeating: 0xEE, count: Int.random(in: 1...64, using: &random))
    default:
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let offset = Int.random(in: 12..<packet.bytes.count, using: &random)
        packet.bytes[offset] = Bool.random(using: &random) ? UInt8.random(in: 0...255, using: &random) : 0xFF
      }
      // A header whose sum is right is looked into.
      if Bool.random(using: &random), packet.bytes.count >= 34, packet.bytes[12] == 8, packet.bytes[14] & 15 >= 5 {
        let end = min(packet.bytes.count, packet.transport)
        packet.bytes.replaceSubrange(24..<26, with: [0, 0])
        let sum = ~IPPacket.sum(Array(packet.bytes[14..<end])) & 0xFFFF
        packet.bytes.replaceSubrange(24..<26, with: [UInt8(sum >> 8), UInt8(sum & 0xFF)])
      }
    }
    return packet
  }

  @Test(
    "nothing is read beyond a frame, every frame is counted, and another's session stays",
    arguments: Array(1...12) as [UInt64])
  func hostile(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let bed = RouterBed(sessions: 64)
    bed.router.pointee.filter = [.endpointIndependent, .addressDependent, .addressAndPortDependent][Int(seed % 3)]
    #expect(bed.publish(8080...8080, 17, to: "10.1.0.2", 80))
    let other = try #require(
      bed.out(.udp(("10.1.0.3", 61_900), (RouterBed.remote, 53), mac: (RouterBed.gatewayMAC, host(2))), at: 1))
    let frames = seedFrames()
    for turn in 0..<5000 {
      let (port, packet) = frames.randomElement(using: &random)!
      var header = VirtioNetHeader()
      if Int.random(in: 0..<4, using: &random) == 0 {
        header = VirtioNetHeader(
          flags: .needsChecksum, segmentation: [.none, .tcp4, .udp, .tcp6].randomElement(using: &random)!,
          segmentSize: UInt16.random(in: 0...2000, using: &random),
          checksumStart: UInt16.random(in: 30...60, using: &random),
          checksumOffset: [6, 16, 2].randomElement(using: &random)!)
      }
      for sent in bed.send(damaged(packet, &random), at: port, header: header) {
        // No source of the inside is seen outside.
        guard sent.port == RouterBed.uplinkPort, sent.bytes.count >= 34, sent.bytes[12] == 8 else { continue }
        #expect(IPPacket(bytes: sent.bytes).source == RouterBed.external)
      }
      if turn % 500 == 0 { bed.pass(seconds: 1) }
    }
    #expect(bed.router.pointee.sessionCount <= 64)
    #expect(bed.into(1, .udp((RouterBed.remote, 53), (RouterBed.external, other.sourcePort), mac: outside)) != nil)
    // Everything that was held has been given back.
    for _ in 0..<20 { bed.pass(seconds: 1) }
    var places: [UInt16] = []
    while true {
      let place = bed.router.pointee.held.take()
      if place == HeldFrames.none { break }
      places.append(place)
    }
    #expect(Set(places).count == HeldFrames.capacity)
  }
}
