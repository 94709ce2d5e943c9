/// Why a frame went nowhere. The raw value is the counter's index; `name` is the word in logs, JSON and metrics.
///
/// Reasons of the first group are counted at the port the frame came in by, those of the second at the port it was to leave by.
@frozen
public enum DropReason: UInt8, CaseIterable, Sendable {
  /// Shorter than an Ethernet header.
  case runt
  /// Longer than the network's MTU allows, or than a buffer of the switch; at the port it was to leave by: than the
  /// interface's MTU allows.
  case oversize
  /// Its source is a group address or zero (IEEE 802.1Q-2018, 6.13 and the kernel bridge's br_handle_frame).
  case invalidSource
  /// To 01:80:C2:00:00:00...0F, which no bridge forwards (IEEE 802.1Q-2018, table 8-1).
  case linkLocalControl
  /// Its destination is behind the port it came from; on a network on the LAN: the outside has sent it back.
  case samePort
  /// To be flooded, but the network has no other port that may have it; on a network on the LAN: it is for no endpoint, or for
  /// the LAN while there is no parent.
  case noOtherPort
  /// Between two isolated ports.
  case isolated
  /// From one remote VTEP to another.
  case splitHorizon
  /// It came faster than the switch read: the interface's packet socket was full.
  case receiveQueueFull
  /// The kernel had it segmented in a way that virtio-net has no word for: inside a tunnel, say.
  case unsupportedOffload
  /// The endpoint sends more than its rate limit allows.
  case rateExceeded
  /// To be routed, and its IP packet is not whole, contradicts itself, or has a wrong header checksum.
  case malformedPacket
  /// To be routed, and its time to live was at its end.
  case timeToLiveExceeded
  /// To be routed, longer than the path takes, and not to be fragmented.
  case fragmentationNeeded
  /// To be routed, and the host has no route there by the uplink, or there is no uplink.
  case noRoute
  /// From one network to another, or to an address inside that nothing opens to the outside.
  case prohibited
  /// To be routed, and its source is not in its network's subnet, or is another endpoint's.
  case spoofedSource
  /// Nobody answers for the next hop, or too many frames wait for an answer.
  case neighbourUnresolved
  /// To be translated, and there is no external address, or no port of it is free.
  case portsExhausted
  /// The sender's share of the session table is full.
  case sessionLimit
  /// It belongs to no session and can begin none.
  case noSession
  /// It came from outside, for a mapping that does not let its sender in (RFC 4787, 5).
  case filtered
  /// To a service of which no member is there.
  case noMember
  /// Of a protocol that cannot be translated.
  case unsupportedProtocol
  /// A fragment whose first one has not come, or that overlaps another.
  case fragmentRefused
  /// It was to be handed to the worker that routes, which had too many before it.
  case routerQueueFull
  /// It came by the tunnel, and is no UDP datagram to the port of VXLAN.
  case notVXLAN
  /// A fragment of an outer packet: a VTEP need not put them together (RFC 7348, 4.3).
  case vxlanFragment
  /// Its outer headers are not whole or contradict themselves, its I flag is not set, or what they carry is no frame.
  case vxlanMalformed
  /// The outer UDP checksum is wrong, or missing over IPv6 where it must be there.
  case vxlanChecksum
  /// Of a VNI that no network here has.
  case vxlanUnknownVNI
  /// From an address that is no peer of its network.
  case vxlanUnknownVTEP
  /// It has a VLAN tag, and the tunnel carries none (RFC 7348, 6.1).
  case innerVLAN
  /// It was marked for congestion on its way through the tunnel, and its sender cannot be told but by the loss
  /// (RFC 6040, 4.2).
  case ecnIllegal
  /// Its network's policy says so.
  case policy
  /// A storm: more frames to everybody than the policy allows.
  case storm
  /// A guard at the port: its source address is not the endpoint's, or it answers for another.
  case portGuard
  /// Its VLAN is not the port's.
  case vlanFiltered
  /// It came by the port that stands by.
  case standby
  /// Taken out of the network, for the control plane.
  case punted
  /// The policy sends it to a port that is gone, or another network's.
  case noSuchPort
  /// A copy beyond those that a policy may make of one burst's frames.
  case tooManyTargets

  /// More is sent to the endpoint than its rate limit allows.
  case outputRateExceeded
  /// It was to be sent by the tunnel, and is too long for an outer packet, or not what its virtio-net header claims.
  case vxlanUnsendable
  /// The port's interface is down, or its namespace is gone.
  case portDown
  /// More writes are under way at the port than `Worker` allows one port.
  case queueFull
  /// The frame or its virtio-net header is malformed: the kernel says so, or it cannot be cut into segments.
  case malformed
  /// The kernel refused the frame for any other reason.
  case refused
  /// A mirror's copy: the burst had as many as are made of one.
  case mirrorLimit

  public var name: String {
    switch self {
    case .runt: "runt"
    case .oversize: "oversize"
    case .invalidSource: "invalid_source"
    case .linkLocalControl: "link_local_control"
    case .samePort: "same_port"
    case .noOtherPort: "no_other_port"
    case .isolated: "isolated"
    case .splitHorizon: "split_horizon"
    case .receiveQueueFull: "receive_queue_full"
    case .unsupportedOffload: "unsupported_offload"
    case .rateExceeded: "rate_exceeded"
    case .malformedPacket: "malformed_packet"
    case .timeToLiveExceeded: "ttl_exceeded"
    case .fragmentationNeeded: "fragmentation_needed"
    case .noRoute: "no_route"
    case .prohibited: "prohibited"
    case .spoofedSource: "spoofed_source"
    case .neighbourUnresolved: "neighbour_unresolved"
    case .portsExhausted: "ports_exhausted"
    case .sessionLimit: "session_limit"
    case .noSession: "no_session"
    case .filtered: "filtered"
    case .noMember: "no_member"
    case .unsupportedProtocol: "unsupported_protocol"
    case .fragmentRefused: "fragment_refused"
    case .routerQueueFull: "router_queue_full"
    case .notVXLAN: "not_vxlan"
    case .vxlanFragment: "vxlan_fragment"
    case .vxlanMalformed: "vxlan_malformed"
    case .vxlanChecksum: "vxlan_checksum"
    case .vxlanUnknownVNI: "vxlan_unknown_vni"
    case .vxlanUnknownVTEP: "vxlan_unknown_vtep"
    case .innerVLAN: "inner_vlan"
    case .ecnIllegal: "ecn_illegal"
    case .policy: "policy"
    case .storm: "storm"
    case .portGuard: "port_guard"
    case .vlanFiltered: "vlan_filtered"
    case .standby: "standby"
    case .punted: "punted"
    case .noSuchPort: "no_such_port"
    case .tooManyTargets: "too_many_targets"
    case .outputRateExceeded: "output_rate_exceeded"
    case .vxlanUnsendable: "vxlan_unsendable"
    case .portDown: "port_down"
    case .queueFull: "queue_full"
    case .malformed: "malformed"
    case .refused: "refused"
    case .mirrorLimit: "mirror_limit"
    }
  }
}
