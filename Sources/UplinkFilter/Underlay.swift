import CLibbpf
import CLinux
import Glibc
import SystemCalls
import Wire

/// Has the kernel take encapsulated frames from a carrier, a TAP of ours, to an underlay interface of the host and back:
/// `underlay.bpf.c`, whose head says how. Until this value ends, or the process; on a kernel before 6.6 the attachments outlive a
/// process that is killed, and the underlay's the next carrier replaces.
///
/// Threads: any, one at a time.
public struct Underlay: ~Copyable, Sendable {
  /// `struct carrier` of underlay.bpf.c.
  private struct Carrier: BitwiseCopyable {
    /// In the order of the wire.
    var address: UInt128
    var carrier: UInt32
    var underlay: UInt32
    /// In the order of the wire.
    var port: UInt16
    var hasEthernet: UInt16
  }

  /// Tells filters of underlays from the uplink's, where the kernel has no tcx: "mtlv".
  private static let handle: UInt32 = 0x6D74_6C76

  private let attachments: Attachments
  private let object: BPFObject

  /// In the calling thread's network namespace. EPERM without CAP_BPF and CAP_NET_ADMIN.
  /// - Parameters:
  ///   - carrier: the TAP's index.
  ///   - underlay: the index of the interface that has `local`.
  ///   - hasEthernet: the underlay's frames have Ethernet headers.
  ///   - local: the VTEP's address, and its UDP port.
  public init(
    carrier: Int32, underlay: Int32, hasEthernet: Bool, local: IPAddress, port: UInt16
  ) throws(Errno) {
    let object = try BPFObject(underlayProgram, named: "underlay")
    let own = Carrier(
      address: local.mapped.bigEndian, carrier: UInt32(carrier), underlay: UInt32(underlay), port: port.bigEndian,
      hasEthernet: hasEthernet ? 1 : 0)
    try BPFMap(object.map("carriers")).set(UInt32(0), own)
    let attachments = Attachments(
      carrier: try IngressAttachment(object.program("carrier_ingress"), carrier, handle: Self.handle),
      underlay: try IngressAttachment(object.program("underlay_ingress"), underlay, handle: Self.handle))
    self.attachments = attachments
    self.object = object
  }
}

/// A class, so that nothing of it stands in the public type's layout.
private final class Attachments: Sendable {
  let carrier, underlay: IngressAttachment

  init(carrier: consuming IngressAttachment, underlay: consuming IngressAttachment) {
    self.carrier = carrier
    self.underlay = underlay
  }
}
