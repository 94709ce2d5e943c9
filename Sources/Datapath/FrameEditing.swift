import Wire

/// A field of a frame that a policy changes where the frame lies; checksums follow it.
@frozen
public enum FieldRewrite: Equatable, Sendable {
  case destinationMAC(MACAddress)
  case sourceMAC(MACAddress)
  /// As `IPAddress.mapped`, of the packet's own family.
  case sourceAddress(UInt128)
  case destinationAddress(UInt128)
  /// Of TCP and UDP.
  case sourcePort(UInt16)
  case destinationPort(UInt16)
  /// The six upper bits of IPv4's type of service or IPv6's traffic class (RFC 2474).
  case differentiatedServices(UInt8)
  /// One hop less; not where none is left.
  case decrementTimeToLive
}

extension NetworkView {
  /// Changes a field of the frame that is being decided on, for all its copies.
  /// - Returns: false where the frame has no such field, or it cannot be changed: nothing is.
  @inlinable
  public mutating func rewrite(_ field: FieldRewrite) -> Bool { FrameEditing.rewrite(field, current) }
}

/// Changes to frames where they lie, headers and virtio-net header together.
public enum FrameEditing {
  /// Bytes that a copy of the longest frame takes, with a tag more, and room before it.
  static let bufferLength = VirtioNetHeader.length + (1 << 16) + (1 << 10)

  @usableFromInline
  static func rewrite(_ field: FieldRewrite, _ frame: FrameDescriptor) -> Bool {
    let ethernet = frame.start + VirtioNetHeader.length
    switch field {
    case .destinationMAC(let mac): store(mac, at: ethernet)
    case .sourceMAC(let mac): store(mac, at: ethernet + 6)
    default: return rewritePacket(field, frame)
    }
    return true
  }

  private static func store(_ mac: MACAddress, at place: UnsafeMutableRawPointer) {
    place.storeBytes(of: UInt32(truncatingIfNeeded: mac.bits >> 16).bigEndian, as: UInt32.self)
    place.storeBytes(of: UInt16(truncatingIfNeeded: mac.bits).bigEndian, toByteOffset: 4, as: UInt16.self)
  }

  private static func rewritePacket(_ field: FieldRewrite, _ frame: FrameDescriptor) -> Bool {
    let ethernet = frame.start + VirtioNetHeader.length
    let length = Int(frame.length) &- VirtioNetHeader.length
    let inner = InnerHeaders(ethernet, length: length)
    guard inner.isIPv4 || inner.isIPv6,
      let packet = Packet(
        ethernet + inner.networkOffset, available: length &- inner.networkOffset, isIPv6: inner.isIPv6),
      let state = packet.checksumState(
        VirtioNetHeader(loadingFrom: UnsafeRawPointer(frame.start)), networkOffset: inner.networkOffset)
    else { return false }
    switch field {
    case .sourceAddress(let address): return packet.replace(.source, by: address, nil, state)
    case .destinationAddress(let address): return packet.replace(.destination, by: address, nil, state)
    case .sourcePort(let port): return packet.replace(.source, by: packet.source, port, state)
    case .destinationPort(let port): return packet.replace(.destination, by: packet.destination, port, state)
    case .differentiatedServices(let value): packet.setDifferentiatedServices(value)
    case .decrementTimeToLive:
      guard packet.timeToLive > 1 else { return false }
      packet.decrementTimeToLive()
    case .destinationMAC, .sourceMAC: return false
    }
    return true
  }

  /// A frame with its tags as one of its targets is to get them.
  /// - Parameter mayMove: the frame's own bytes may be changed, and a tag's length before them: nobody else gets it. Else it is copied
  ///   to `buffer`, of `bufferLength` bytes.
  @usableFromInline
  static func edit(
    _ frame: FrameDescriptor, _ tagging: Tagging, mayMove: Bool, buffer: UnsafeMutableRawPointer
  ) -> FrameDescriptor {
    if tagging == .unchanged || tagging == .removed && !frame.isTagged { return frame }
    var frame = frame
    if !mayMove {
      guard Int(frame.length) <= bufferLength - (1 << 10) else { return frame }
      let start = buffer + 512
      start.copyMemory(from: frame.start, byteCount: Int(frame.length))
      frame.start = start
    }
    switch tagging {
    case .unchanged: break
    case .removed: removeTag(&frame)
    case .set(let tag):
      if frame.isTagged { removeTag(&frame) }
      addTag(tag, &frame)
    case .added(let tag): addTag(tag, &frame)
    }
    return frame
  }

  private static func addTag(_ tag: VLANTag, _ frame: inout FrameDescriptor) {
    frame.start = tag.restore(toFrameAt: frame.start)
    frame.length &+= UInt32(VLANTag.length)
  }

  /// What stands before the tag moves behind it.
  private static func removeTag(_ frame: inout FrameDescriptor) {
    guard Int(frame.length) >= VirtioNetHeader.length + EthernetView.headerLength + VLANTag.length else { return }
    var header = VirtioNetHeader(loadingFrom: UnsafeRawPointer(frame.start))
    if header.flags.contains(.needsChecksum) { header.checksumStart &-= UInt16(VLANTag.length) }
    if header.segmentation != .none { header.headerLength &-= UInt16(VLANTag.length) }
    let start = frame.start + VLANTag.length
    (start + VirtioNetHeader.length).copyMemory(
      from: frame.start + VirtioNetHeader.length, byteCount: EthernetView.etherTypeOffset)
    header.store(to: start)
    frame.start = start
    frame.length &-= UInt32(VLANTag.length)
  }
}

extension Packet {
  fileprivate func replace(_ end: PacketEnd, by address: UInt128, _ port: UInt16?, _ state: ChecksumState) -> Bool {
    guard (address >> 32 == 0xFFFF) != isIPv6 else { return false }
    if port != nil { guard (`protocol` == .tcp || `protocol` == .udp) && state != .absent else { return false } }
    rewrite(end, to: address, port: port, state)
    return true
  }

  fileprivate func setDifferentiatedServices(_ value: UInt8) {
    if isIPv6 {
      let word = header.loadUnaligned(as: UInt16.self).bigEndian
      let changed = word & 0xF03F | UInt16(value & 0x3F) << 6
      header.storeBytes(of: changed.bigEndian, as: UInt16.self)
      return
    }
    let word = header.loadUnaligned(as: UInt16.self).bigEndian
    let changed = word & 0xFF03 | UInt16(value & 0x3F) << 2
    header.storeBytes(of: changed.bigEndian, as: UInt16.self)
    let checksum = header.loadUnaligned(fromByteOffset: IPv4View.checksumOffset, as: UInt16.self).bigEndian
    header.storeBytes(
      of: InternetChecksum.updated(checksum, from: word, to: changed).bigEndian, toByteOffset: IPv4View.checksumOffset,
      as: UInt16.self)
  }
}
