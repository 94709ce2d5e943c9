import CLibbpf
import CLinux
import Glibc
import SystemCalls
import Tables
import Wire

/// Tells Martlet's frames from the host's where both receive at one interface: `uplink.bpf.c`, whose head says how, loaded
/// into the kernel with maps of its own.
///
/// Everything goes with this value, or with the process: programs, maps, and the attachment to the interface; unless it was made
/// to `linger`. On a kernel before 6.6 the attachment outlives a process that is killed; the next `attach` to the interface
/// replaces it.
///
/// Threads: any may use it, and several at a time.
public struct UplinkFilter: ~Copyable, Sendable {
  private var attachment: IngressAttachment? = nil
  /// Of the interface it is attached to.
  private var interface: Int32 = 0
  let object: BPFObject
  private let mappedClaims: MappedClaims
  private let maps: UplinkMaps

  /// The bits that say which ports are Martlet's, where the programs read them. Valid while this value lives.
  public let claims: PortClaims
  private let ingressProgram: Int32
  private let leasedProgram: Int32

  /// Loads the programs and makes the maps, which are empty: all frames are the host's. EPERM without CAP_BPF and
  /// CAP_NET_ADMIN.
  public init() throws(Errno) {
    let object = try BPFObject(uplinkProgram, named: "uplink")
    let mappedClaims = try MappedClaims(map: object.map("claims"))
    let (socket, ingress) = (try object.program("uplink_socket"), try object.program("uplink_ingress"))
    let leased = try object.program(Self.leasedProgramName)
    maps = try UplinkMaps(object)
    (socketProgram, ingressProgram, leasedProgram) = (socket, ingress, leased)
    claims = PortClaims(memory: mappedClaims.memory)
    self.object = object
    self.mappedClaims = mappedClaims
  }

  /// The program for SO_ATTACH_BPF of a packet socket (SOCK_RAW): lets what is Martlet's through, whole. The socket holds it
  /// itself from then on.
  public let socketProgram: Int32

  /// Of the uplink: "mtlt".
  public static let uplinkHandle: UInt32 = 0x6D74_6C74

  /// Keeps from the host's stack what is Martlet's of that which `interface` receives, an index in the calling thread's network
  /// namespace. An earlier attachment ends first. ENODEV: no such interface.
  /// - Parameter handle: tells filters on one interface apart, where the kernel has no tcx; the same one for the same purpose, so
  ///   that it takes the place of what an earlier process left.
  public mutating func attach(interface: Int32, handle: UInt32 = uplinkHandle) throws(Errno) {
    detach()
    self.interface = interface
    attachment = try IngressAttachment(ingressProgram, interface, handle: handle)
  }

  /// As `attach`, as on a kernel without tcx.
  mutating func attachClassifier(interface: Int32, handle: UInt32 = uplinkHandle) throws(Errno) {
    detach()
    attachment = try .classifier(ingressProgram, interface, handle: handle)
  }

  /// The name of the program that lingers, by which it is known in the kernel (BPF_OBJ_NAME_LEN).
  static let leasedProgramName = "uplink_leased"

  /// Leaves a program at the interface's tc ingress for `seconds`, whatever becomes of this value and of the process: until then
  /// the host is silent about what is Martlet's, and after it gets everything. `endLingering` takes it away. To be called in the namespace of the interface. Without effect where nothing is attached, or the
  /// kernel has no tcx.
  public mutating func linger(seconds: Int) throws(Errno) {
    guard attachment?.isLink == true else { return }
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    try maps.setLease(until: UInt64(now.tv_sec + seconds) * 1_000_000_000 + UInt64(now.tv_nsec))
    _ = try check(
      martlet_bpf_attach_ingress(leasedProgram, interface),
      "leave a BPF program at tc ingress of interface \(interface)")
  }

  /// Takes away what an earlier process left to linger at an interface, an index in the calling thread's network namespace: when
  /// this one's filter has taken its place, and knows what is Martlet's.
  public static func endLingering(interface: Int32) { _ = martlet_bpf_detach_ingress(interface, leasedProgramName) }

  /// The host gets all frames again, when this returns. Without effect where nothing is attached.
  public mutating func detach() { attachment = nil }
}

// MARK: What is Martlet's

extension UplinkFilter {
  /// Gives an external address its slot (0..<16), or takes it from the slot (nil). The slot's bits are cleared whenever its
  /// address changes; nobody may write them meanwhile. EEXIST: the address has another slot.
  public borrowing func setAddress(_ address: IPAddress?, slot: Int) throws(Errno) {
    precondition((0..<PortClaims.slots).contains(slot))
    try maps.setExternal(address, slot: slot, clearing: claims)
  }

  /// Packets to the subnet are Martlet's, whole. E2BIG: 4096 are there. Adding what is there, and removing what is not, have
  /// no effect: so with everything below.
  public borrowing func addSubnet(_ prefix: IPPrefix) throws(Errno) {
    try maps.add(SubnetKey(prefix), to: .subnets)
  }

  public borrowing func removeSubnet(_ prefix: IPPrefix) throws(Errno) {
    try maps.remove(SubnetKey(prefix), from: .subnets)
  }

  /// Unicast frames to an endpoint's own MAC address (macvlan) are Martlet's, and group frames are for both. E2BIG: 4096 are
  /// there. The interface's own address may be one (macvlan's passthru mode): then the host receives no unicast any more.
  public borrowing func addEndpoint(mac: MACAddress) throws(Errno) {
    try maps.add(MACKey(mac), to: .macs)
  }

  public borrowing func removeEndpoint(mac: MACAddress) throws(Errno) {
    try maps.remove(MACKey(mac), from: .macs)
  }

  /// Packets to an endpoint's address behind the uplink's MAC address (ipvlan l2) are Martlet's, requests and solicitations
  /// for it too, and group frames are for both. E2BIG: 4096 are there.
  public borrowing func addEndpoint(address: IPAddress) throws(Errno) {
    try maps.add(AddressKey(address), to: .addresses)
  }

  public borrowing func removeEndpoint(address: IPAddress) throws(Errno) {
    try maps.remove(AddressKey(address), from: .addresses)
  }
}
