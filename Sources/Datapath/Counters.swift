/// What is counted at a port: indices into the port's stretch of the engine's counters.
///
/// Frames and bytes without the virtio-net header. rx: what the switch got from the port; tx: what it sent to it. A segmented
/// frame counts as one: so it crosses the switch.
@frozen
public enum PortCounter: Int {
  case rxFrames, rxBytes, txFrames, txBytes
  /// `drops + reason` counts a `DropReason`.
  case drops

  public static let count = PortCounter.drops.rawValue + DropReason.allCases.count
}

/// What is counted at a network, beside what its ports count.
@frozen
public enum NetworkCounter: Int {
  /// Copies that flooding made beyond the one frame that came in, and all copies of the switch's own frames.
  case floodedCopies
  /// Frames that the router took out of the network, and that it put into it, its own among them.
  case routedOut, routedIn
  /// What the ports that have gone had counted: `gone + PortCounter`.
  case gone

  public static let count = NetworkCounter.gone.rawValue + PortCounter.count
}
