import Wire

/// Which segmented frames a port's device takes as one. The others are cut apart before they are written to it.
@frozen
public struct SegmentationOffloads: BitwiseCopyable, Sendable, Equatable {
  @frozen
  public struct Kinds: OptionSet, BitwiseCopyable, Sendable {
    public let rawValue: UInt8

    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    @inlinable public static var tcp4: Kinds { Kinds(rawValue: 1) }
    @inlinable public static var tcp6: Kinds { Kinds(rawValue: 2) }
    /// TCP segments with CWR set.
    @inlinable public static var tcpECN: Kinds { Kinds(rawValue: 4) }
    @inlinable public static var udp: Kinds { Kinds(rawValue: 8) }
  }

  public var kinds: Kinds
  /// Of the longest segmented frame, from the Ethernet header on.
  public var frameBytesMax: Int
  /// Behind VLAN tags too. A device may do less there than it says (the kernel's vlan_features, features_check).
  public var takesTagged: Bool

  @inlinable
  public init(kinds: Kinds, frameBytesMax: Int, takesTagged: Bool) {
    (self.kinds, self.frameBytesMax, self.takesTagged) = (kinds, frameBytesMax, takesTagged)
  }

  /// Everything: a TAP, whose kernel cuts apart what its reader does not take.
  @inlinable public static var all: SegmentationOffloads {
    SegmentationOffloads(kinds: [.tcp4, .tcp6, .tcpECN, .udp], frameBytesMax: .max, takesTagged: true)
  }

  /// Frames that were joined (`UDPFlow`) can be written as one.
  public var takesGatheredUDP: Bool { kinds.contains(.udp) && frameBytesMax >= UDPFlow.gatheredFrameBytesMax }

  /// The frame can be written as it is. One that is not segmented always can.
  @inlinable
  @inline(__always)
  public func takes(_ frame: FrameDescriptor) -> Bool {
    let header = VirtioNetHeader(loadingFrom: UnsafeRawPointer(frame.start))
    if header.segmentation == .none { return true }
    return takesSegmented(frame, header)
  }

  @usableFromInline
  func takesSegmented(_ frame: FrameDescriptor, _ header: VirtioNetHeader) -> Bool {
    let length = Int(frame.length) &- Engine.headerLength
    guard length >= EthernetView.headerLength, length <= frameBytesMax else { return false }
    let type = UInt16(bigEndian: (frame.start + Engine.headerLength).loadUnaligned(fromByteOffset: 12, as: UInt16.self))
    if EtherType(rawValue: type).isVLAN && !takesTagged { return false }
    let needed: Kinds
    switch header.segmentation.kind {
    case .tcp4: needed = .tcp4
    case .tcp6: needed = .tcp6
    case .udp: needed = .udp
    default: return false
    }
    return kinds.isSuperset(of: header.segmentation.hasECN ? needed.union(.tcpECN) : needed)
  }
}
