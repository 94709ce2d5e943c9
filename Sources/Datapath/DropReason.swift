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
  /// Its destination is behind the port it came from.
  case samePort
  /// To be flooded, but the network has no other port that may have it.
  case noOtherPort
  /// Between two isolated ports.
  case isolated
  /// It came faster than the switch read: the interface's packet socket was full.
  case receiveQueueFull
  /// The kernel had it segmented in a way that virtio-net has no word for: inside a tunnel, say.
  case unsupportedOffload

  /// The port's interface is down, or its namespace is gone.
  case portDown
  /// More writes are under way at the port than `Worker` allows one port.
  case queueFull
  /// The frame or its virtio-net header is malformed: the kernel says so, or it cannot be cut into segments.
  case malformed
  /// The kernel refused the frame for any other reason.
  case refused

  public var name: String {
    switch self {
    case .runt: "runt"
    case .oversize: "oversize"
    case .invalidSource: "invalid_source"
    case .linkLocalControl: "link_local_control"
    case .samePort: "same_port"
    case .noOtherPort: "no_other_port"
    case .isolated: "isolated"
    case .receiveQueueFull: "receive_queue_full"
    case .unsupportedOffload: "unsupported_offload"
    case .portDown: "port_down"
    case .queueFull: "queue_full"
    case .malformed: "malformed"
    case .refused: "refused"
    }
  }
}
