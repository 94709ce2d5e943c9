import Glibc
import Support
import Testing
import Wire

@testable import Datapath

/// A segmented frame as a container's kernel hands it over.
struct SegmentedFrame {
  var isIPv6 = false
  var isUDP = false
  var isTagged = false
  /// Of TCP: ACK, and what else.
  var flags: UInt8 = 0x10
  var options = 0
  var segmentSize = 8
  var payload: [UInt8] = []

  /// With its virtio-net header.
  var message: [UInt8] {
    let ports: [UInt8] = [0x9C, 0x40, 0, 80]
    var segment: [UInt8]
    if isUDP {
      segment = ports + UDPCoalescingTests.bytes(UInt16(8 + payload.count)) + [0, 0]
    } else {
      segment = ports + [0xFF, 0xFF, 0xFF, 0xF0, 0, 0, 7, 0xD0, UInt8(80 + 16 * options), flags, 1, 0xF4, 0, 0, 0, 0]
      segment += [UInt8](repeating: 1, count: 4 * options)
    }
    let headers = segment.count
    segment += payload
    let kind: UInt8 = isUDP ? 17 : 6
    let packet = IPPacket(
      from: isIPv6 ? "fd00::1" : "10.0.0.1", to: isIPv6 ? "fd00::2" : "10.0.0.2", protocol: kind, payload: segment,
      ttl: 63, identification: 0xFFFD)
    var bytes = packet.bytes
    let transport = isIPv6 ? 54 : 34
    let addresses = isIPv6 ? Array(bytes[22..<54]) : Array(bytes[26..<34])
    let field = transport + (isUDP ? 6 : 16)
    let sum = IPPacket.sum(addresses + [0, kind] + UDPCoalescingTests.bytes(UInt16(segment.count)))
    (bytes[field], bytes[field + 1]) = (UInt8(sum >> 8), UInt8(sum & 0xFF))
    if isTagged { bytes.insert(contentsOf: [0x81, 0, 0, 100], at: 12) }
    let start = transport + (isTagged ? 4 : 0)
    var gso: UInt8 = isUDP ? 5 : isIPv6 ? 4 : 1
    if !isUDP && flags & 0x80 != 0 { gso |= 0x80 }
    let size = [UInt8(segmentSize & 0xFF), UInt8(segmentSize >> 8)]
    return [1, gso, UInt8(start + headers), 0] + size + [UInt8(start), 0, isUDP ? 6 : 16, 0] + bytes
  }

  static func bytes(_ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }
}

@Suite struct DatagramTrainTests {
  static let headerLength = VirtioNetTunnelHeader.length

  /// The outer frames, gathered.
  static func outerFrames(_ message: [UInt8], _ remote: TunnelRemote) -> [[UInt8]]? {
    let buffer = TunnelBuffer(message)
    guard var train = DatagramTrain(remote, buffer.frame) else { return nil }
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: DatagramTrain.scratchBytes, alignment: 1)
    let pieces = UnsafeMutableBufferPointer<iovec>.allocate(capacity: DatagramTrain.piecesMax)
    defer {
      scratch.deallocate()
      pieces.deallocate()
    }
    var frames: [[UInt8]] = []
    while let count = train.next(scratch: scratch, pieces: pieces) {
      frames.append(pieces[..<count].flatMap { Array(UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len)) })
    }
    #expect(TunnelBuffer.bytes(buffer.frame) == message, "the payload is read where it lies")
    return frames
  }

  enum Output: Equatable {
    case frame([UInt8])
    case drop(DropReason)
  }

  /// What comes out of an outer frame, and that all of it lies in the buffer side by side and is left alone once it is out.
  static func split(_ message: [UInt8]) -> [Output] {
    let buffer = TunnelBuffer(message)
    var results: [TunnelledFrame] = []
    var outputs: [Output] = []
    func take(_ part: TrainSplitter.Part) {
      switch part {
      case .frame(let frame):
        results.append(frame)
        outputs.append(.frame(TunnelBuffer.bytes(frame.frame)))
      case .drop(let reason): outputs.append(.drop(reason))
      }
    }
    switch TunnelIngress(takesIPv6WithoutChecksum: true).decapsulate(buffer.frame) {
    case .train(var splitter): while let next = splitter.next() { take(next) }
    case .frame(let frame): take(.frame(frame))
    case .drop(let reason): take(.drop(reason))
    }
    var end = buffer.frame.start - TunnelBuffer.headroom
    for result in results {
      #expect(buffer.holds(result.frame) && result.frame.start >= end)
      end = result.frame.start + Int(result.frame.length)
      let length = Int(result.frame.length) - VirtioNetHeader.length
      let header = VirtioNetHeader(loadingFrom: result.frame.start)
      #expect(header.fits(InnerHeaders(result.frame.start + VirtioNetHeader.length, length: length)))
    }
    let frames = outputs.compactMap { output -> [UInt8]? in if case .frame(let bytes) = output { bytes } else { nil } }
    #expect(results.map { TunnelBuffer.bytes($0.frame) } == frames && buffer.isIntactBelow)
    return outputs
  }

  /// What a train of these inner frames is; all of one length but the last.
  static func train(_ inner: [[UInt8]], vni: [UInt8] = [5]) -> [UInt8] {
    var datagrams: [UInt8] = []
    for (index, frame) in inner.enumerated() {
      datagrams += [8, 0, 0, 0, 0, 0, vni[index % vni.count], 0] + frame
    }
    let length = UDPCoalescingTests.bytes(UInt16(8 + datagrams.count))
    let udp = [0xC0, 0, 0x12, 0xB5] + length + [1, 1] + datagrams
    let size = 8 + inner[0].count
    return [1, 5, 42, 0, UInt8(size & 0xFF), UInt8(size >> 8), 34, 0, 6, 0] + [UInt8](repeating: 0, count: 14)
      + IPPacket(from: "10.8.0.2", to: "10.8.0.1", protocol: 17, payload: udp).bytes
  }

  /// The segments of a frame, each with a complete checksum.
  static func segments(_ frame: SegmentedFrame) -> [[UInt8]] {
    let message = frame.message
    let header = message.withUnsafeBytes { VirtioNetHeader(loadingFrom: $0.baseAddress!) }
    let segmenter = Segmenter(header, message.span.bytes.extracting(droppingFirst: VirtioNetHeader.length))!
    return (0..<segmenter.count).map { index in
      var bytes = [UInt8](repeating: 0, count: segmenter.headersLength)
      bytes.withUnsafeMutableBytes { segmenter.writeHeaders(of: index, checksum: .complete, to: $0) }
      let payload = segmenter.payload(of: index)
      return Array(bytes.dropFirst(VirtioNetHeader.length))
        + message.dropFirst(VirtioNetHeader.length + payload.lowerBound).prefix(payload.count)
    }
  }

  private static func single(_ frame: [UInt8]) -> Output { .frame([UInt8](repeating: 0, count: 10) + frame) }

  @Test(arguments: GoldenTunnel.Underlay.allCases)
  func `split and joined, a frame is what it was`(underlay: GoldenTunnel.Underlay) throws {
    var random = SeededGenerator(seed: UInt64(underlay.rawValue))
    for round in 0..<200 {
      var frame = SegmentedFrame(isIPv6: random.below(2) == 0, isUDP: random.below(2) == 0)
      frame.isTagged = random.below(4) == 0
      frame.options = random.below(4)
      // ACK; PSH and FIN at the end, CWR at the beginning, ECE throughout.
      frame.flags = 0x10 | UInt8(random.below(4)) << 6 | [0, 8, 9, 1][random.below(4)]
      frame.segmentSize = 1 + random.below(1000)
      frame.payload = SegmentedFrame.bytes(
        frame.segmentSize + 1 + random.below(frame.segmentSize * 40), &random)
      let message = frame.message
      let outer = try #require(Self.outerFrames(message, .golden(underlay)))
      #expect(outer.count == 1)
      let outputs = Self.split(outer[0])
      guard outputs == [.frame(message)] else {
        frame.payload = []
        Issue.record("round \(round): \(frame), \(outputs.count) frames")
        return
      }
    }
  }

  @Test(arguments: [false, true]) func `what is too long for one outer frame becomes two`(v6: Bool) throws {
    var random = SeededGenerator(seed: 9)
    var frame = SegmentedFrame(isIPv6: v6, flags: 0x98, segmentSize: 1390)
    frame.payload = SegmentedFrame.bytes(64_000, &random)
    let outer = try #require(Self.outerFrames(frame.message, .golden(.ipv4)))
    #expect(outer.count == 2)
    // 47 segments: 45 or 44 of them with their headers fill an outer packet.
    let datagram = 8 + (v6 ? 74 : 54) + 1390
    #expect(outer[0].count == Self.headerLength + 42 + 65_507 / datagram * datagram)
    let messages = outer.flatMap(Self.split).map { output -> [UInt8] in
      if case .frame(let bytes) = output { bytes } else { [] }
    }
    let headers = 10 + (v6 ? 74 : 54)
    #expect(messages.count == 2 && messages.flatMap { $0.dropFirst(headers) } == frame.payload)
    // CWR in the first only, PSH in the last only.
    #expect(messages.map { $0[headers - 7] } == [0x90, 0x18])
  }

  @Test(arguments: [GoldenTunnel.Underlay.ipv4, .ipv6])
  func `headers of an outer frame`(underlay: GoldenTunnel.Underlay) throws {
    var frame = SegmentedFrame(segmentSize: 100)
    frame.payload = [UInt8](repeating: 7, count: 250)
    let message = try #require(Self.outerFrames(frame.message, .golden(underlay))?.first)
    let transport = underlay == .ipv4 ? 34 : 54
    let datagram = 8 + 54 + 100
    #expect(message.prefix(10) == [1, 5, UInt8(transport + 8), 0, UInt8(datagram), 0, UInt8(transport), 0, 6, 0])
    #expect(message[10..<24].allSatisfy { $0 == 0 })
    let bytes = Array(message.dropFirst(Self.headerLength))
    let payload = 2 * datagram + datagram - 50
    #expect(bytes.count == transport + 8 + payload)
    #expect(UDPCoalescingTests.number(bytes, transport + 4) == 8 + payload)
    #expect(UDPCoalescingTests.number(bytes, transport + 2) == 4789)
    let addresses = underlay == .ipv4 ? Array(bytes[26..<34]) : Array(bytes[22..<54])
    let pseudo = IPPacket.sum(addresses + [0, 17] + UDPCoalescingTests.bytes(UInt16(8 + payload)))
    #expect(UDPCoalescingTests.number(bytes, transport + 6) == pseudo)
    for index in 0..<3 {
      let start = transport + 8 + index * datagram
      #expect(Array(bytes[start..<start + 8]) == [8, 0, 0, 0, 0, 0x13, 0x89, 0])
    }
    #expect(Self.segments(frame).last! == bytes.suffix(54 + 50))
  }

  @Test func `what is not segmented is no train`() {
    for golden in GoldenTunnel.all where golden.frame[1] == 0 {
      #expect(Self.outerFrames(golden.frame, .golden(.ipv4)) == nil)
    }
    var frame = SegmentedFrame(segmentSize: 100, payload: [UInt8](repeating: 7, count: 250)).message
    frame[4] = 0
    #expect(Self.outerFrames(frame, .golden(.ipv4)) == nil)
  }

  private static var segments: [[UInt8]] {
    segments(SegmentedFrame(segmentSize: 20, payload: (0..<80).map { UInt8($0) }))
  }

  @Test func `segments in order become one`() throws {
    let outputs = Self.split(Self.train(Self.segments))
    #expect(outputs == [.frame(SegmentedFrame(segmentSize: 20, payload: (0..<80).map { UInt8($0) }).message)])
  }

  @Test func `what cannot be joined comes out one by one`() {
    let segments = Self.segments
    // Out of order; of two networks; of two flows.
    let reversed = Array(segments.reversed())
    #expect(Self.split(Self.train(reversed)) == reversed.map(Self.single))
    #expect(Self.split(Self.train(segments, vni: [5, 6])) == segments.map(Self.single))
    let udp = Self.segments(SegmentedFrame(isUDP: true, segmentSize: 32, payload: [UInt8](repeating: 9, count: 64)))
    let mixed = [segments[0], udp[0], segments[1], udp[1]]
    #expect(Self.split(Self.train(mixed)) == mixed.map(Self.single))
    // As many as there may be: each virtio-net header takes two bytes more than there were.
    let many = (0..<64).map { segments[[0, 2][$0 % 2]] }
    #expect(Self.split(Self.train(many)) == many.map(Self.single))
    #expect(Self.split(Self.train(many + [segments[0]])) == [.drop(.vxlanMalformed)])
  }

  @Test func `one bit that differs, and they are not joined`() {
    let segments = Self.segments
    // Each bit of the second segment's headers but length, identification and what GRO may change. With the checksums right.
    for offset in Array(0..<16) + [20, 22, 26, 30, 34, 36, 38, 42, 46, 47, 48, 50, 51, 54] {
      var second = segments[1]
      second[offset] ^= offset == 47 ? 0x40 : 1
      func fix(_ range: Range<Int>, _ field: Int, _ pseudo: [UInt8]) {
        (second[field], second[field + 1]) = (0, 0)
        let sum = ~UInt16(IPPacket.sum(pseudo + second[range]))
        (second[field], second[field + 1]) = (UInt8(sum >> 8), UInt8(sum & 0xFF))
      }
      if offset != 54 {
        fix(14..<34, 24, [])
        fix(34..<74, 50, Array(second[26..<34]) + [0, 6, 0, 40])
      }
      let outputs = Self.split(Self.train([segments[0], second]))
      // Within the checksums' fields alone they are wrong.
      let isSummed = offset == 50 || offset == 51
      #expect(isSummed ? outputs.count == 1 : outputs == [segments[0], second].map(Self.single), "byte \(offset)")
    }
  }

  @Test func `PSH ends a frame`() {
    var segments = Self.segments(
      SegmentedFrame(flags: 0x18, segmentSize: 20, payload: (0..<40).map { UInt8($0) }))
    segments.append(segments[0])
    let outputs = Self.split(Self.train(segments))
    #expect(outputs.count == 2 && outputs.last == Self.single(segments[2]))
  }

  @Test func `a datagram of garbage is dropped, its neighbours are not`() {
    let segments = Self.segments
    var train = Self.train(segments)
    let datagram = 8 + segments[0].count
    train[Self.headerLength + 42 + datagram] = 0
    let outputs = Self.split(train)
    #expect(outputs.count == 3 && outputs[0] == Self.single(segments[0]) && outputs[1] == .drop(.vxlanMalformed))
  }

  @Test func `congestion reaches every frame`() {
    for (outer, inner) in [(3, 0), (3, 2), (1, 2)] {
      var train = Self.train([Self.segments[0], Self.segments[2]])
      ExplicitCongestionNotification(rawValue: UInt8(outer)).write(&train, at: Self.headerLength + 14)
      for index in 0..<2 {
        let start = Self.headerLength + 42 + 8 + 14 + index * (8 + Self.segments[0].count)
        ExplicitCongestionNotification(rawValue: UInt8(inner)).write(&train, at: start)
      }
      let outputs = Self.split(train)
      #expect(outputs.count == 2)
      for output in outputs {
        if case .frame(let bytes) = output {
          #expect(Int(bytes[10 + 15] & 3) == outer && IPPacket.sum(Array(bytes[24..<44])) == 0xFFFF)
        } else {
          #expect(output == .drop(.ecnIllegal) && inner == 0)
        }
      }
    }
  }
}

extension ExplicitCongestionNotification {
  fileprivate func write(_ bytes: inout [UInt8], at offset: Int) {
    bytes.withUnsafeMutableBytes { store(toIPv4Header: $0.baseAddress! + offset) }
  }
}
