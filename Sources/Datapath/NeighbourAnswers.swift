import Tables
import Wire

// Theory of operation.
//
// In a network that spans hosts, who-has questions would be flooded to every host, though the control plane knows every answer.
// So they are answered where they are asked, in the asker's name alone: the question's frame is rewritten into the answer, which
// goes back to the port that it came from.
//
// Only questions to a group are looked at. One to a single MAC address asks whether that neighbour still answers (RFC 4861, 7.3;
// RFC 1122, 2.3.2.1), which nobody but the neighbour can say. Announcements are none of ours: all are to hear them. A probe
// (RFC 5227, 2.1.1; RFC 4862, 5.4) asks whether somebody else has an address: it is answered where the table knows another
// MAC address for it, and never where it is the asker's own.

/// What became of a frame that may be a question for a neighbour.
@frozen
public enum NeighbourAnswer: BitwiseCopyable {
  /// The answer, where the question was: for the port that the question came from, and no other.
  case answered(FrameDescriptor)
  /// A question, and nobody is known to have the address.
  case unknown
  /// No question, or one that is not to be answered here. The frame is as any other.
  case notAsked
}

/// Answers ARP requests (RFC 826) and neighbour solicitations (RFC 4861) with what `neighbours` knows. One thread owns it.
@frozen
public struct NeighbourAnswers: ~Copyable {
  /// Bytes that an answer may be longer than its question: a neighbour advertisement has an option more than a
  /// solicitation without one.
  public static let growthMax = 8

  public var neighbours: KnownNeighbours

  /// - Parameter seed: a secret for the table's hash.
  public init(seed: UInt64) { neighbours = KnownNeighbours(seed: seed) }

  static let allNodes = IPv6Address(bits: 0xFF02 << 112 | 1)
  static let hopLimit: UInt8 = 255

  /// - Parameters:
  ///   - frame: with a 10-byte virtio-net header, and `growthMax` bytes of room behind it. Rewritten only where it is answered.
  ///   - network: whose addresses are asked for, as in `neighbours`.
  ///   - isFromElsewhere: another host's asker, who is answered only for what is this host's own.
  @inlinable
  public func answer(_ frame: FrameDescriptor, network: UInt32, isFromElsewhere: Bool = false) -> NeighbourAnswer {
    let length = Int(frame.length) &- VirtioNetHeader.length
    guard length >= EthernetView.headerLength else { return .notAsked }
    let bytes = UnsafeRawPointer(frame.start + VirtioNetHeader.length)
    // Group addresses alone: all but a few frames are told apart by one bit.
    guard bytes.load(as: UInt8.self) & 1 != 0 else { return .notAsked }
    return answerGroup(frame, network, length, isFromElsewhere)
  }

  @usableFromInline
  func answerGroup(
    _ frame: FrameDescriptor, _ network: UInt32, _ length: Int, _ isFromElsewhere: Bool
  ) -> NeighbourAnswer {
    let memory = frame.start + VirtioNetHeader.length
    let bytes = RawSpan(_unsafeStart: UnsafeRawPointer(memory), byteCount: length)
    let header = VirtioNetHeader(loadingFrom: UnsafeRawPointer(frame.start))
    guard header.segmentation == .none, let ethernet = EthernetView(bytes), ethernet.source.isValidSource,
      let payload = EthernetPayload(ethernet)
    else { return .notAsked }
    switch payload.etherType {
    case .arp: return answerARP(frame, ethernet.source, payload, network, isFromElsewhere)
    case .ipv6: return answerSolicitation(frame, ethernet.source, payload, header, network, isFromElsewhere)
    default: return .notAsked
    }
  }

  private func answerARP(
    _ frame: FrameDescriptor, _ asker: MACAddress, _ payload: borrowing EthernetPayload, _ network: UInt32,
    _ isFromElsewhere: Bool
  ) -> NeighbourAnswer {
    guard let question = ARPView(payload.bytes), question.operation == .request, question.senderMAC == asker,
      // An announcement (RFC 5227, 2.3).
      question.senderAddress != question.targetAddress
    else { return .notAsked }
    let (sender, target) = (question.senderAddress, question.targetAddress)
    guard let neighbour = neighbours.lookup(target.mapped, network: network) else { return .unknown }
    guard neighbour.address != asker, neighbour.isOwn || !isFromElsewhere else { return .notAsked }
    let packet = frame.start + (VirtioNetHeader.length &+ payload.offset)
    finish(frame, to: asker, from: neighbour.address)
    packet.storeField(ARPOperation.reply.rawValue, at: 6)
    packet.storeAddress(neighbour.address, at: 8)
    packet.storeField(target.bits, at: 14)
    packet.storeAddress(asker, at: 18)
    packet.storeField(sender.bits, at: 24)
    return answered(frame, length: payload.offset &+ ARPView.length)
  }

  private func answerSolicitation(
    _ frame: FrameDescriptor, _ asker: MACAddress, _ payload: borrowing EthernetPayload, _ header: VirtioNetHeader,
    _ network: UInt32, _ isFromElsewhere: Bool
  ) -> NeighbourAnswer {
    guard let packet = IPv6View(payload.bytes), packet.nextHeader == .icmpv6, packet.hopLimit == Self.hopLimit,
      let message = ICMPv6View(packet.payload), message.type == .neighbourSolicitation,
      let question = NeighbourDiscoveryView(message), !question.target.isMulticast, !packet.source.isMulticast,
      isChecksumRight(packet, header, payload.offset)
    else { return .notAsked }
    let (sender, target) = (packet.source, question.target)
    let isProbe = sender.bits == 0
    // A probe has no option and goes to the solicited-node group (RFC 4861, 7.1.1); another's MAC address is not ours to vouch for.
    guard
      isProbe
        ? question.linkLayerAddress == nil && packet.destination == target.solicitedNode
        : (question.linkLayerAddress ?? asker) == asker && sender != target
    else { return .notAsked }
    guard let neighbour = neighbours.lookup(target.bits, network: network) else { return .unknown }
    guard neighbour.address != asker, neighbour.isOwn || !isFromElsewhere else { return .notAsked }
    let destination = isProbe ? Self.allNodes : sender
    let memory = frame.start + (VirtioNetHeader.length &+ payload.offset)
    finish(frame, to: isProbe ? Self.allNodes.multicastMAC : asker, from: neighbour.address)
    // To a probe, not solicited (RFC 4861, 7.2.4).
    let flags: UInt32 = (neighbour.isRouter ? 0x8000_0000 : 0) | (isProbe ? 0 : 0x4000_0000) | 0x2000_0000
    Self.writeAdvertisement(at: memory, of: target, neighbour.address, to: destination, flags: flags)
    return answered(frame, length: payload.offset &+ IPv6View.headerLength &+ Self.advertisementLength)
  }

  private static let advertisementLength = NeighbourDiscoveryView.lengthMin + 8

  private static func writeAdvertisement(
    at memory: UnsafeMutableRawPointer, of target: IPv6Address, _ mac: MACAddress, to destination: IPv6Address,
    flags: UInt32
  ) {
    memory.storeField(UInt32(6) << 28, at: 0)
    memory.storeField(UInt16(advertisementLength), at: 4)
    memory.storeField(UInt16(IPProtocol.icmpv6.rawValue) << 8 | UInt16(hopLimit), at: 6)
    memory.storeField(target.bits, at: IPv6View.sourceOffset)
    memory.storeField(destination.bits, at: IPv6View.destinationOffset)
    let message = memory + IPv6View.headerLength
    message.storeField(UInt32(ICMPv6Type.neighbourAdvertisement.rawValue) << 24, at: 0)
    message.storeField(flags, at: 4)
    message.storeField(target.bits, at: 8)
    // The target's link-layer address (RFC 4861, 4.6.1).
    message.storeField(UInt16(0x0201), at: 24)
    message.storeAddress(mac, at: 26)
    var sum = InternetChecksum(
      source: target, destination: destination, protocol: .icmpv6, length: advertisementLength)
    sum.add(RawSpan(_unsafeStart: UnsafeRawPointer(message), byteCount: advertisementLength))
    message.storeField(sum.value, at: ICMPv6View.checksumOffset)
  }

  /// A partial checksum is the asker's kernel's own, that has not been on a wire.
  private func isChecksumRight(
    _ packet: borrowing IPv6View, _ header: VirtioNetHeader, _ networkOffset: Int
  ) -> Bool {
    if header.flags.contains(.needsChecksum) {
      return Int(header.checksumStart) == networkOffset &+ IPv6View.headerLength
        && Int(header.checksumOffset) == ICMPv6View.checksumOffset
    }
    let message = packet.payload
    var sum = InternetChecksum(
      source: packet.source, destination: packet.destination, protocol: .icmpv6, length: message.byteCount)
    sum.add(message)
    return sum.value == 0
  }

  /// Virtio-net and Ethernet headers of the answer. Tags stay.
  private func finish(_ frame: FrameDescriptor, to destination: MACAddress, from source: MACAddress) {
    VirtioNetHeader().store(to: frame.start)
    let memory = frame.start + VirtioNetHeader.length
    memory.storeAddress(destination, at: 0)
    memory.storeAddress(source, at: 6)
  }

  private func answered(_ frame: FrameDescriptor, length: Int) -> NeighbourAnswer {
    var answer = frame
    answer.length = UInt32(VirtioNetHeader.length &+ length)
    return .answered(answer)
  }
}

extension UnsafeMutableRawPointer {
  /// Stores a field of the wire, at any alignment.
  fileprivate func storeField<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: Value.self)
  }

  fileprivate func storeAddress(_ address: MACAddress, at offset: Int) {
    storeField(UInt16(truncatingIfNeeded: address.bits >> 32), at: offset)
    storeField(UInt32(truncatingIfNeeded: address.bits), at: offset &+ 2)
  }
}
