/// What stands before a frame on a TAP whose TUNSETVNETHDRSZ is 24: `struct virtio_net_hdr_v1_hash_tunnel` of
/// linux/virtio_net.h (Linux 6.17), little endian.
///
/// With TUN_F_UDP_TUNNEL_GSO, a segmented packet may be inside of a UDP tunnel: the fields that both headers have are then of
/// the inner packet, with offsets from the outer frame's start. Older kernels take the size too, and ignore what follows
/// the first ten bytes.
@frozen
public struct VirtioNetTunnelHeader: Hashable, Sendable {
  public static let length = 24

  @usableFromInline static let afterBaseOffset = 10
  @usableFromInline static let afterBaseWordOffset = 12
  @usableFromInline static let outerTransportOffsetOffset = 20
  @usableFromInline static let innerNetworkOffsetOffset = 22

  public var base: VirtioNetHeader
  /// From the frame's start to the outer UDP header, in bytes. Only with a tunnelled segmentation.
  public var outerTransportOffset: UInt16
  /// From the frame's start to the inner IP header, in bytes. Only with a tunnelled segmentation.
  public var innerNetworkOffset: UInt16

  @inlinable
  public init(_ base: VirtioNetHeader, outerTransportOffset: UInt16 = 0, innerNetworkOffset: UInt16 = 0) {
    self.base = base
    self.outerTransportOffset = outerTransportOffset
    self.innerNetworkOffset = innerNetworkOffset
  }

  /// Reads the `length` bytes at `memory`, of any alignment. The hash and its report are not looked at.
  @inlinable
  @inline(__always)
  public init(loadingFrom memory: UnsafeRawPointer) {
    base = VirtioNetHeader(loadingFrom: memory)
    outerTransportOffset = UInt16(
      littleEndian: memory.loadUnaligned(
        fromByteOffset: VirtioNetTunnelHeader.outerTransportOffsetOffset, as: UInt16.self))
    innerNetworkOffset = UInt16(
      littleEndian: memory.loadUnaligned(
        fromByteOffset: VirtioNetTunnelHeader.innerNetworkOffsetOffset, as: UInt16.self))
  }

  /// Writes the `length` bytes at `memory`, of any alignment; the number of buffers, the hash and its report are zero.
  @inlinable
  @inline(__always)
  public func store(to memory: UnsafeMutableRawPointer) {
    base.store(to: memory)
    memory.storeBytes(of: 0, toByteOffset: VirtioNetTunnelHeader.afterBaseOffset, as: UInt16.self)
    memory.storeBytes(of: 0, toByteOffset: VirtioNetTunnelHeader.afterBaseWordOffset, as: UInt64.self)
    memory.storeBytes(
      of: outerTransportOffset.littleEndian, toByteOffset: VirtioNetTunnelHeader.outerTransportOffsetOffset,
      as: UInt16.self)
    memory.storeBytes(
      of: innerNetworkOffset.littleEndian, toByteOffset: VirtioNetTunnelHeader.innerNetworkOffsetOffset,
      as: UInt16.self)
  }
}

extension VirtioNetHeader.Flags {
  /// VIRTIO_NET_HDR_F_UDP_TUNNEL_CSUM: of a tunnelled segmentation, the outer UDP header has a checksum too.
  @inlinable public static var tunnelChecksum: VirtioNetHeader.Flags { VirtioNetHeader.Flags(rawValue: 8) }
}

extension VirtioNetHeader.Segmentation {
  /// VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4: in a UDP tunnel over IPv4. Stands beside the inner packet's kind.
  @inlinable public static var tunnel4: VirtioNetHeader.Segmentation { .init(rawValue: 0x20) }
  /// VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV6.
  @inlinable public static var tunnel6: VirtioNetHeader.Segmentation { .init(rawValue: 0x40) }

  /// Of a packet in a UDP tunnel.
  @inlinable public var isTunnelled: Bool { rawValue & 0x60 != 0 }

  /// The same packet's without its tunnel; the ECN bit stays.
  @inlinable public var withoutTunnel: VirtioNetHeader.Segmentation { .init(rawValue: rawValue & ~0x60) }

  /// The same packet's in a UDP tunnel.
  @inlinable
  public func tunnelled(isIPv6: Bool) -> VirtioNetHeader.Segmentation {
    .init(
      rawValue: rawValue
        | (isIPv6 ? VirtioNetHeader.Segmentation.tunnel6 : VirtioNetHeader.Segmentation.tunnel4).rawValue)
  }
}
