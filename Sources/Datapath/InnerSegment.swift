import Glibc
import Wire

/// A TCP segment or UDP datagram in its frame that may be joined with others of its flow, as GRO joins them: whole, unfragmented, with
/// payload and a right, complete checksum, no IP options or extension headers, and no padding behind it.
struct InnerSegment: BitwiseCopyable {
  /// From the Ethernet header on.
  let memory: UnsafeMutableRawPointer
  let isIPv6: Bool
  let isTCP: Bool
  let networkOffset: Int
  let transportOffset: Int
  let payloadOffset: Int
  /// Of all that has been joined.
  private(set) var payloadLength: Int
  private var flags: TCPFlags
  /// Of each that has been joined but the last.
  var segmentSize: Int

  init?(_ memory: UnsafeMutableRawPointer, length: Int) {
    let inner = InnerHeaders(memory, length: length)
    let bytes = RawSpan(_unsafeStart: UnsafeRawPointer(memory), byteCount: length)
    let packet = bytes.extracting(droppingFirst: inner.networkOffset)
    let transport: RawSpan
    let `protocol`: IPProtocol
    var sum: InternetChecksum
    if inner.isIPv4 {
      guard let view = IPv4View(packet), view.headerLength == IPv4View.headerLengthMin, !view.isFragment,
        view.totalLength == packet.byteCount, view.isChecksumValid
      else { return nil }
      (transport, `protocol`) = (view.payload, view.protocol)
      sum = InternetChecksum(
        source: view.source, destination: view.destination, protocol: `protocol`, length: transport.byteCount)
    } else if inner.isIPv6 {
      guard let view = IPv6View(packet), IPv6View.headerLength &+ view.payload.byteCount == packet.byteCount else {
        return nil
      }
      (transport, `protocol`) = (view.payload, view.nextHeader)
      sum = InternetChecksum(
        source: view.source, destination: view.destination, protocol: `protocol`, length: transport.byteCount)
    } else {
      return nil
    }
    transportOffset = length &- transport.byteCount
    switch `protocol` {
    case .tcp:
      guard let tcp = TCPView(transport), tcp.flags.isDisjoint(with: [.syn, .rst, .urg]), tcp.flags.contains(.ack)
      else { return nil }
      payloadOffset = transportOffset &+ tcp.headerLength
      flags = tcp.flags
      isTCP = true
    case .udp:
      guard let udp = UDPView(transport), udp.checksum != 0,
        UDPView.headerLength &+ udp.payload.byteCount == transport.byteCount
      else { return nil }
      payloadOffset = transportOffset &+ UDPView.headerLength
      flags = []
      isTCP = false
    default: return nil
    }
    payloadLength = length &- payloadOffset
    guard payloadLength > 0 else { return nil }
    sum.add(transport)
    guard sum.value == 0 else { return nil }
    segmentSize = payloadLength
    (self.memory, isIPv6, networkOffset) = (memory, inner.isIPv6, inner.networkOffset)
  }

  /// None may follow it.
  var isLast: Bool { !flags.isDisjoint(with: [.fin, .psh]) }

  /// - Parameters:
  ///   - index: how many have been joined so far.
  ///   - segmentSize: payload bytes of each of them.
  func isContinued(by next: InnerSegment, index: Int, segmentSize: Int) -> Bool {
    let headers = payloadOffset &- networkOffset
    guard next.isIPv6 == isIPv6, next.isTCP == isTCP, next.networkOffset == networkOffset,
      next.payloadOffset == payloadOffset, next.payloadLength <= segmentSize,
      headers &+ payloadLength &+ next.payloadLength <= Int(UInt16.max) &+ (isIPv6 ? IPv6View.headerLength : 0)
    else { return false }
    guard isSame(0..<networkOffset, next), hasSameNetwork(next, index: index) else { return false }
    let transport = transportOffset
    guard isTCP else { return isSame(transport..<transport &+ 4, next) }
    let sequence = load(transport &+ 4, as: UInt32.self) &+ UInt32(truncatingIfNeeded: payloadLength)
    // CWR is the first's alone (RFC 3168, 6.1.2).
    return next.load(transport &+ 4, as: UInt32.self) == sequence && !next.flags.contains(.cwr)
      && next.flags.subtracting([.fin, .psh]) == flags.subtracting([.fin, .psh, .cwr])
      // Ports; acknowledgement and header length; window; urgent pointer and options.
      && isSame(transport..<transport &+ 4, next) && isSame(transport &+ 8..<transport &+ 13, next)
      && isSame(transport &+ 14..<transport &+ 16, next) && isSame(transport &+ 18..<payloadOffset, next)
  }

  private func hasSameNetwork(_ next: InnerSegment, index: Int) -> Bool {
    let start = networkOffset
    if isIPv6 {
      // All but the length.
      return isSame(start..<start &+ 4, next) && isSame(start &+ 6..<transportOffset, next)
    }
    // All but length, identification and checksum. An identification that does not count up means nothing with DF
    // (RFC 6864, 4.1).
    let identification = load(start &+ 4, as: UInt16.self) &+ UInt16(truncatingIfNeeded: index)
    let dontFragment = load(start &+ 6, as: UInt8.self) & 0x40 != 0
    return isSame(start..<start &+ 2, next) && isSame(start &+ 6..<start &+ 10, next)
      && isSame(start &+ 12..<transportOffset, next)
      && (dontFragment || next.load(start &+ 4, as: UInt16.self) == identification)
  }

  /// The payload of `next` has been put behind this one's.
  mutating func append(_ next: InnerSegment) {
    payloadLength &+= next.payloadLength
    flags.formUnion(next.flags)
  }

  /// Writes the headers of one segmented frame over those of its first segment: lengths, flags and partial checksum.
  func writeJoinedHeaders() -> VirtioNetHeader {
    let length = payloadOffset &- transportOffset &+ payloadLength
    let packet = memory + networkOffset
    let pseudoHeader: InternetChecksum
    let `protocol`: IPProtocol = isTCP ? .tcp : .udp
    if isIPv6 {
      store(UInt16(truncatingIfNeeded: length), networkOffset &+ 4)
      pseudoHeader = InternetChecksum(
        source: IPv6Address(bits: load(networkOffset &+ IPv6View.sourceOffset, as: UInt128.self)),
        destination: IPv6Address(bits: load(networkOffset &+ IPv6View.destinationOffset, as: UInt128.self)),
        protocol: `protocol`, length: length)
    } else {
      store(UInt16(truncatingIfNeeded: IPv4View.headerLengthMin &+ length), networkOffset &+ 2)
      store(0, networkOffset &+ IPv4View.checksumOffset)
      var sum = InternetChecksum()
      sum.add(RawSpan(_unsafeStart: UnsafeRawPointer(packet), byteCount: IPv4View.headerLengthMin))
      store(sum.value, networkOffset &+ IPv4View.checksumOffset)
      pseudoHeader = InternetChecksum(
        source: IPv4Address(bits: load(networkOffset &+ IPv4View.sourceOffset, as: UInt32.self)),
        destination: IPv4Address(bits: load(networkOffset &+ IPv4View.destinationOffset, as: UInt32.self)),
        protocol: `protocol`, length: length)
    }
    let checksumOffset = isTCP ? TCPView.checksumOffset : UDPView.checksumOffset
    store(pseudoHeader.partial, transportOffset &+ checksumOffset)
    var kind = VirtioNetHeader.Segmentation.udp
    if isTCP {
      memory.storeBytes(of: flags.rawValue, toByteOffset: transportOffset &+ 13, as: UInt8.self)
      kind = isIPv6 ? .tcp6 : .tcp4
      if flags.contains(.cwr) { kind = VirtioNetHeader.Segmentation(rawValue: kind.rawValue | 0x80) }
    } else {
      store(UInt16(truncatingIfNeeded: length), transportOffset &+ 4)
    }
    return VirtioNetHeader(
      flags: .needsChecksum, segmentation: kind, headerLength: UInt16(truncatingIfNeeded: payloadOffset),
      segmentSize: UInt16(truncatingIfNeeded: segmentSize), checksumStart: UInt16(truncatingIfNeeded: transportOffset),
      checksumOffset: UInt16(checksumOffset))
  }

  private func isSame(_ range: Range<Int>, _ other: InnerSegment) -> Bool {
    memcmp(memory + range.lowerBound, other.memory + range.lowerBound, range.count) == 0
  }

  private func load<Value: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as: Value.Type) -> Value {
    Value(bigEndian: memory.loadUnaligned(fromByteOffset: offset, as: Value.self))
  }

  private func store(_ value: UInt16, _ offset: Int) {
    memory.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
  }
}
