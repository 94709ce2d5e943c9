import Support
import Testing
import Wire

/// Whatever the bytes are, a view refuses them or all of its accessors work.
@Suite struct HostileInputTests {
  @Test func everyPrefixOfEveryFrame() {
    let memory = GuardedBytes()
    for (_, frame) in GoldenFrames.frames {
      for length in 0...frame.count { memory.with(frame.prefix(length)) { readAll($0) } }
    }
  }

  /// A frame that was valid until one byte changed reaches deeper than random bytes do.
  @Test func everyByteOfEveryFrameChanged() {
    let memory = GuardedBytes()
    for (_, frame) in GoldenFrames.frames {
      for index in frame.indices {
        for value in [0x00, 0x01, 0x0F, 0x2C, 0x33, 0x3C, 0x45, 0x7F, 0x80, 0xFF] as [UInt8] {
          var changed = frame
          changed[index] = value
          memory.with(changed) { readAll($0) }
        }
      }
    }
  }

  @Test func randomBytes() {
    let memory = GuardedBytes()
    var random = SeededGenerator(seed: 10)
    for _ in 0..<20_000 {
      var bytes = (0..<random.below(200)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      if bytes.count > 20 {
        let types: [(UInt8, UInt8)] = [(0x08, 0x00), (0x86, 0xDD), (0x08, 0x06), (0x81, 0x00), (0x88, 0xA8)]
        (bytes[12], bytes[13]) = types[random.below(types.count)]
        if random.below(2) == 0 { bytes[14] = [0x45, 0x60, 0x4F][random.below(3)] }
        if random.below(2) == 0 { (bytes[16], bytes[18]) = (0, 0) }
        if random.below(2) == 0 { bytes[20] = [0, 43, 44, 51, 58, 60, 135][random.below(7)] }
      }
      memory.with(bytes) { readAll($0) }
    }
  }

  @Test func checksumReadsNoFurtherThanItsBytes() {
    let memory = GuardedBytes()
    for length in 0...300 {
      memory.with([UInt8](repeating: 0xFF, count: length)) { _ = InternetChecksum.isValid($0) }
    }
  }

  private func readAll(_ bytes: RawSpan) {
    guard let frame = EthernetView(bytes) else { return }
    _ = (frame.destination, frame.source, frame.etherType)
    guard let payload = EthernetPayload(frame) else { return }
    _ = (payload.outerTag?.identifier, payload.innerTag?.priority)
    // Each view on each payload: what a frame claims to be is not to be trusted.
    readARP(payload.bytes)
    if let packet = IPv4View(payload.bytes) {
      _ = (packet.trafficClass, packet.identification, packet.timeToLive, packet.protocol, packet.checksum)
      _ = (packet.source, packet.destination, packet.dontFragment, packet.isFragment, packet.isChecksumValid)
      readTransport(packet.payload)
    }
    if let packet = IPv6View(payload.bytes) {
      _ = (packet.trafficClass, packet.flowLabel, packet.hopLimit, packet.source, packet.destination)
      readTransport(packet.payload)
      if let upper = IPv6UpperLayer(packet) {
        _ = (upper.protocol, upper.isFragment, upper.fragmentPosition)
        readTransport(upper.bytes)
      }
    }
    readTransport(payload.bytes)
  }

  private func readARP(_ bytes: RawSpan) {
    guard let view = ARPView(bytes) else { return }
    _ = (view.operation, view.senderMAC, view.senderAddress, view.targetMAC, view.targetAddress)
  }

  private func readTransport(_ bytes: RawSpan) {
    if let view = UDPView(bytes) {
      _ = (view.sourcePort, view.destinationPort, view.checksum, InternetChecksum.isValid(view.payload))
    }
    if let view = TCPView(bytes) {
      _ = (view.sourcePort, view.destinationPort, view.sequenceNumber, view.acknowledgmentNumber, view.flags)
      _ = (view.window, view.checksum, InternetChecksum.isValid(view.options), InternetChecksum.isValid(view.payload))
    }
    if let message = ICMPv6View(bytes) {
      _ = (message.type, message.code, message.checksum)
      if let view = NeighbourDiscoveryView(message) {
        _ = (view.target, view.linkLayerAddress, view.isRouter, view.isSolicited, view.isOverride)
      }
    }
  }
}
