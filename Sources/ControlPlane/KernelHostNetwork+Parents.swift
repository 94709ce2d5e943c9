import ControlModel
import LinuxIO
import Netlink
import SystemCalls
import UplinkFilter
import Wire

/// What the kernel has of one network's parent. All of it goes with this value.
struct KernelParent: ~Copyable {
  private var filter: UplinkFilter
  private let membership: LinkMembership
  /// What it has been told.
  private var told = ParentEndpoints()

  /// In the calling thread's network namespace.
  init(_ link: HostLink, taking frames: ParentFrames, handle: UInt32) throws(Errno) {
    var filter = try UplinkFilter()
    let membership = try LinkMembership(interface: link.index)
    // Without any address it would take no group frames, by which endpoints ask for their first one. This is nobody's.
    if frames == .byAddress { try filter.addEndpoint(address: .v6(IPv6Address(bits: 0))) }
    try filter.attach(interface: link.index, handle: handle)
    self.filter = filter
    self.membership = membership
  }

  var socketProgram: Int32 { filter.socketProgram }

  mutating func set(_ wanted: ParentEndpoints) throws(Errno) {
    for mac in told.macs.subtracting(wanted.macs) {
      try filter.removeEndpoint(mac: mac)
      try membership.remove(mac)
      told.macs.remove(mac)
    }
    for address in told.addresses.subtracting(wanted.addresses) {
      try filter.removeEndpoint(address: address)
      told.addresses.remove(address)
    }
    for mac in wanted.macs.subtracting(told.macs) {
      try membership.add(mac)
      // Should the next step fail, one membership too many stays: the device takes frames that nobody gets.
      try filter.addEndpoint(mac: mac)
      told.macs.insert(mac)
    }
    for address in wanted.addresses.subtracting(told.addresses) {
      try filter.addEndpoint(address: address)
      told.addresses.insert(address)
    }
  }
}

/// A dictionary takes no value that cannot be copied. Used under `KernelHostNetwork.parents`' lock.
final class KernelParentHolder {
  var parent: KernelParent
  init(_ parent: consuming KernelParent) { self.parent = parent }
}

extension KernelHostNetwork {
  public func openParent(
    ofNetwork id: String, on link: HostLink, queues: Int, taking frames: ParentFrames
  ) throws(ControlError) -> FileDescriptorGroup {
    let namespace = try open(own)
    try closeParent(ofNetwork: id)
    return try parents.withLock { parents throws(ControlError) in
      do throws(Errno) {
        // Indices and names are the namespace's.
        return try namespace.run { () throws(Errno) in
          let parent = try KernelParent(link, taking: frames, handle: Self.handle(ofNetwork: id))
          let socket = try PacketSocket(
            interface: link.name, queues: queues, program: frames == .all ? nil : parent.socketProgram)
          parents[id] = KernelParentHolder(parent)
          return socket.release()
        }
      } catch {
        throw ControlError(error)
      }
    }
  }

  /// The same after a restart. Never the uplink's.
  private static func handle(ofNetwork id: String) -> UInt32 {
    let number = UInt32(id.prefix(7), radix: 16) ?? 1
    return number == 0 ? 1 : number
  }

  public func closeParent(ofNetwork id: String) throws(ControlError) { parents.withLock { $0[id] = nil } }

  public func setParentEndpoints(_ endpoints: ParentEndpoints, ofNetwork id: String) throws(ControlError) {
    try parents.withLock { parents throws(ControlError) in
      do throws(Errno) {
        try parents[id]?.parent.set(endpoints)
      } catch {
        throw ControlError(error)
      }
    }
  }

  public func addresses(of name: String, in namespace: NamespaceReference) throws(ControlError) -> [IPAddress] {
    try withLink(name, in: namespace) { socket, link throws(Errno) in
      try socket.addresses().filter { $0.linkIndex == link.index }.map(\.prefix.address)
    }
  }

  /// IN6_ADDR_GEN_MODE_NONE and _RANDOM of linux/if_link.h.
  private static let generatesNone = "1"
  private static let generatesRandom = "3"

  public func setLinkLocal(
    isRandom: Bool, _ name: String, in namespace: NamespaceReference
  ) throws(ControlError) {
    guard Self.kernelHasIPv6 else { return }
    let opened = try open(namespace)
    try controlled { () throws(Errno) in
      try opened.setSysctl(
        "ipv6/conf/\(name)/addr_gen_mode", to: isRandom ? Self.generatesRandom : Self.generatesNone)
    }
  }
}
