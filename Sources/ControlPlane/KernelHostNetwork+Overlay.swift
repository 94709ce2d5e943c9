import ControlModel
import Glibc
import LinuxIO
import Netlink
import SystemCalls
import UplinkFilter
import Wire

/// A carrier's kernel side, until it ends.
final class KernelCarrier: Sendable {
  private let underlay: Underlay

  init(_ underlay: consuming Underlay) { self.underlay = underlay }
}

extension KernelHostNetwork {
  /// Of a TAP: an IP packet of 65,535 bytes less an Ethernet header (MAX_MTU of drivers/net/tun.c).
  private static let carrierMTU = 65_521

  public func raiseCarrier(
    _ name: String, local: IPAddress, port: UInt16, queues: Int
  ) throws(ControlError) -> FileDescriptorGroup {
    guard let underlay = try underlay(of: local) else {
      throw ControlError(.notFound, "no interface has the address \(local)")
    }
    try lowerCarrier(name)
    let alias = InterfaceMark.carrier(name)
    let namespace = try open(own)
    do throws(Errno) {
      return try namespace.run { () throws(Errno) in
        let device = try TAPDevice(name: name, queues: queues, isNew: true, isCarrier: true)
        var socket = try RouteSocket()
        try addTunnelPort(named: Self.tunnelPort(of: name), port: port, alias: alias, &socket)
        if Self.kernelHasIPv6 { try namespace.setSysctl("ipv6/conf/\(name)/disable_ipv6", to: "1") }
        guard let link = try socket.link(named: name) else { throw Errno(ENODEV, "look up interface \(name)") }
        try socket.setLink(link.index, mtu: Self.carrierMTU, alias: alias)
        try socket.replaceRootQueueing(link: link.index, kind: "noqueue")
        try socket.setLink(link.index, up: true)
        let carrier = KernelCarrier(
          try Underlay(
            carrier: link.index, underlay: underlay.index, hasEthernet: underlay.isEthernet, local: local, port: port))
        carriers.withLock { $0[name] = carrier }
        return device.release()
      }
    } catch {
      try? lowerCarrier(name)
      if error.code == EADDRINUSE {
        throw ControlError(
          .conflict, "UDP port \(port) is taken by a program of this host: end it, or choose another --port")
      }
      throw ControlError(error)
    }
  }

  /// The TAP goes with its descriptors, which are the data plane's.
  public func lowerCarrier(_ name: String) throws(ControlError) {
    _ = carriers.withLock { $0.removeValue(forKey: name) }
    for link in [name, Self.tunnelPort(of: name)] { try removeLink(link, in: own) }
  }

  public func underlay(of local: IPAddress) throws(ControlError) -> HostLink? {
    guard let index = try hostAddresses().first(where: { $0.prefix.address == local })?.link else { return nil }
    return try links(in: own).first { $0.index == index }
  }

  /// "mtv" becomes "mtg".
  private static func tunnelPort(of carrier: String) -> String { "mtg" + carrier.dropFirst(3) }

  /// The kernel puts datagrams together again (GRO) only where a tunnel of its own has their port. So it gets one, which nothing ever
  /// reaches; the port is then also nobody else's. One that somebody else has made does as well.
  private func addTunnelPort(
    named name: String, port: UInt16, alias: String, _ socket: inout RouteSocket
  ) throws(Errno) {
    do throws(Errno) {
      try socket.addCollectingVXLAN(named: name, port: port)
      guard let link = try socket.link(named: name) else { throw Errno(ENODEV, "look up interface \(name)") }
      try socket.setLink(link.index, up: true, alias: alias)
    } catch let error where error.code == EEXIST || error.code == EOPNOTSUPP {
      return
    }
  }
}
