import ControlModel
import Datapath
import LinuxIO
import Netlink
import SystemCalls

extension KernelHostNetwork {
  public func openPacketSocket(on name: String, queues: Int) throws(ControlError) -> FileDescriptorGroup {
    let namespace = try open(own)
    return try controlled { () throws(Errno) in
      try namespace.run { () throws(Errno) in try PacketSocket(interface: name, queues: queues).release() }
    }
  }

  public func setUp(_ isUp: Bool, _ name: String) throws(ControlError) {
    try withLink(name, in: own) { socket, link throws(Errno) in try socket.setLink(link.index, up: isUp) }
  }

  public func offloads(of link: HostLink) throws(ControlError) -> SegmentationOffloads {
    let features = try withSocket(in: own) { socket throws(Errno) in try socket.features(ofLink: link.name) }
    var kinds: SegmentationOffloads.Kinds = []
    if features.contains(.tcp4Segmentation) { kinds.insert(.tcp4) }
    if features.contains(.tcp6Segmentation) { kinds.insert(.tcp6) }
    if features.contains(.tcpECNSegmentation) { kinds.insert(.tcpECN) }
    if features.contains(.udpSegmentation) { kinds.insert(.udp) }
    // The kernel takes frames shorter than its limit (netif_skb_features), and tells nobody what it does behind tags.
    return SegmentationOffloads(kinds: kinds, frameBytesMax: link.segmentedFrameBytesMax - 1, takesTagged: false)
  }
}

extension HostLink {
  init(_ link: Link) {
    self.init(
      name: link.name, alias: link.alias ?? "", index: link.index, mtu: link.mtu, isUp: link.isUp,
      isEthernet: link.isEthernet, master: link.master, segmentedFrameBytesMax: link.segmentedFrameBytesMax,
      mac: link.mac, encrypts: WireGuard.isInterface(link),
      isHostsOwn: link.index == Link.loopbackIndex || link.kind == "dummy")
  }
}
