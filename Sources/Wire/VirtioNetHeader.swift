/// What stands before a frame on a TAP with IFF_VNET_HDR: `struct virtio_net_hdr` of linux/virtio_net.h, ten bytes, in
/// the little-endian order of virtio 1.0 (TUNSETVNETLE).
///
/// It says which work on the frame is left undone: a checksum to be filled in, segments to be cut. Where every port of a
/// switch has it, the work is never done.
@frozen
public struct VirtioNetHeader: Hashable, Sendable {
  public static let length = 10

  @frozen
  public struct Flags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// VIRTIO_NET_HDR_F_NEEDS_CSUM: sum up from `checksumStart` to the end and store at `checksumOffset`, where now
    /// stands the sum of the pseudo-header.
    @inlinable public static var needsChecksum: Flags { Flags(rawValue: 1) }
    /// VIRTIO_NET_HDR_F_DATA_VALID: the checksum was verified.
    @inlinable public static var dataValid: Flags { Flags(rawValue: 2) }
  }

  @frozen
  public struct Segmentation: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// VIRTIO_NET_HDR_GSO_NONE: a frame as it is.
    @inlinable public static var none: Segmentation { Segmentation(rawValue: 0) }
    /// VIRTIO_NET_HDR_GSO_TCPV4.
    @inlinable public static var tcp4: Segmentation { Segmentation(rawValue: 1) }
    /// VIRTIO_NET_HDR_GSO_UDP: to be cut into IP fragments (UFO).
    @inlinable public static var udpFragments: Segmentation { Segmentation(rawValue: 3) }
    /// VIRTIO_NET_HDR_GSO_TCPV6.
    @inlinable public static var tcp6: Segmentation { Segmentation(rawValue: 4) }
    /// VIRTIO_NET_HDR_GSO_UDP_L4: to be cut into datagrams (USO).
    @inlinable public static var udp: Segmentation { Segmentation(rawValue: 5) }

    /// VIRTIO_NET_HDR_GSO_ECN: the TCP segment has CWR set. Stands beside the kind.
    @inlinable public var hasECN: Bool { rawValue & 0x80 != 0 }

    /// Without the ECN bit.
    @inlinable public var kind: Segmentation { Segmentation(rawValue: rawValue & 0x7F) }
  }

  @usableFromInline static let flagsOffset = 0
  @usableFromInline static let segmentationOffset = 1
  @usableFromInline static let headerLengthOffset = 2
  @usableFromInline static let segmentSizeOffset = 4
  @usableFromInline static let checksumStartOffset = 6
  @usableFromInline static let checksumOffsetOffset = 8

  public var flags: Flags
  public var segmentation: Segmentation
  /// Bytes of the frame that hold its headers; a hint only.
  public var headerLength: UInt16
  /// Payload bytes of each segment.
  public var segmentSize: UInt16
  /// From the frame's start, in bytes.
  public var checksumStart: UInt16
  /// From `checksumStart`, in bytes.
  public var checksumOffset: UInt16

  /// A frame with nothing left to do, unless told otherwise.
  @inlinable
  public init(
    flags: Flags = [], segmentation: Segmentation = .none, headerLength: UInt16 = 0, segmentSize: UInt16 = 0,
    checksumStart: UInt16 = 0, checksumOffset: UInt16 = 0
  ) {
    self.flags = flags
    self.segmentation = segmentation
    self.headerLength = headerLength
    self.segmentSize = segmentSize
    self.checksumStart = checksumStart
    self.checksumOffset = checksumOffset
  }

  /// Reads the `length` bytes at `memory`, of any alignment.
  @inlinable
  @inline(__always)
  public init(loadingFrom memory: UnsafeRawPointer) {
    func field(_ offset: Int) -> UInt16 {
      UInt16(littleEndian: memory.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
    flags = Flags(rawValue: memory.load(fromByteOffset: VirtioNetHeader.flagsOffset, as: UInt8.self))
    segmentation = Segmentation(
      rawValue: memory.load(fromByteOffset: VirtioNetHeader.segmentationOffset, as: UInt8.self))
    headerLength = field(VirtioNetHeader.headerLengthOffset)
    segmentSize = field(VirtioNetHeader.segmentSizeOffset)
    checksumStart = field(VirtioNetHeader.checksumStartOffset)
    checksumOffset = field(VirtioNetHeader.checksumOffsetOffset)
  }

  /// Writes the `length` bytes at `memory`, of any alignment.
  @inlinable
  @inline(__always)
  public func store(to memory: UnsafeMutableRawPointer) {
    memory.storeBytes(of: flags.rawValue, toByteOffset: VirtioNetHeader.flagsOffset, as: UInt8.self)
    memory.storeBytes(of: segmentation.rawValue, toByteOffset: VirtioNetHeader.segmentationOffset, as: UInt8.self)
    memory.storeBytes(
      of: headerLength.littleEndian, toByteOffset: VirtioNetHeader.headerLengthOffset, as: UInt16.self)
    memory.storeBytes(of: segmentSize.littleEndian, toByteOffset: VirtioNetHeader.segmentSizeOffset, as: UInt16.self)
    memory.storeBytes(
      of: checksumStart.littleEndian, toByteOffset: VirtioNetHeader.checksumStartOffset, as: UInt16.self)
    memory.storeBytes(
      of: checksumOffset.littleEndian, toByteOffset: VirtioNetHeader.checksumOffsetOffset, as: UInt16.self)
  }
}

extension VirtioNetHeader {
  /// It is a packet within the frame's packet that is to be segmented: a tunnel's, for which the header has no word.
  /// - Parameter frame: from the Ethernet header on.
  public func segmentsInnerPacket(of frame: RawSpan) -> Bool {
    guard segmentation != .none, let ethernet = EthernetView(frame), let outer = EthernetPayload(ethernet) else {
      return false
    }
    let expected: IPProtocol = segmentation.kind == .udp ? .udp : .tcp
    switch outer.etherType {
    case .ipv4:
      guard let packet = IPv4View(outer.bytes) else { return false }
      return packet.protocol != expected || checksumStarts(behind: outer.offset &+ packet.headerLength)
    case .ipv6:
      guard let packet = IPv6View(outer.bytes), let upper = IPv6UpperLayer(packet) else { return false }
      return upper.protocol != expected || checksumStarts(behind: outer.offset &+ upper.offset)
    default: return false
    }
  }

  private func checksumStarts(behind transport: Int) -> Bool {
    flags.contains(.needsChecksum) && Int(checksumStart) > transport
  }
}
