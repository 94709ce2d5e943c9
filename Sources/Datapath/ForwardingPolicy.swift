import Tables
import Wire

/// What is to become of a frame.
@frozen
public enum Verdict: Equatable, Sendable {
  /// Out by this port, and no other.
  case forward(UInt16)
  /// A copy out by every other port of the network.
  case flood
  /// A copy out by every other port that is not separated from the one it came in by.
  case floodSeparated
  /// A copy out by every other port but this one.
  case floodBeside(UInt16)
  case drop(DropReason)
}

/// Decides, frame by frame, what becomes of it. A policy is a value of its network; it is called on the network's worker, after
/// the frame passed the guard (see `Network.guardFrame`), and specialised at build time: it costs what its code costs.
public protocol ForwardingPolicy {
  func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict
}

/// What a policy may see and change of its network while it decides.
@frozen
public struct NetworkView: ~Copyable {
  @usableFromInline let network: UInt16
  @usableFromInline let table: UnsafeMutablePointer<MACTable>
  @usableFromInline let ports: UnsafeMutablePointer<Port>
  @usableFromInline let learned: LearnedAddresses
  @usableFromInline let isLearning: Bool
  /// The port that leads to the LAN, or `Engine.none`.
  @usableFromInline let parent: UInt16
  /// Of the endpoints, where they share one.
  @usableFromInline let sharedMAC: UInt64
  @usableFromInline let addresses: UnsafeMutablePointer<AddressTable>?
  /// Seconds of a monotonic clock.
  public let now: UInt32

  @inlinable
  @inline(__always)
  init(
    of network: borrowing Network, at index: UInt16, ports: UnsafeMutablePointer<Port>, learned: LearnedAddresses,
    now: UInt32
  ) {
    (self.network, table, self.ports) = (index, network.table, ports)
    (self.learned, isLearning, self.now) = (learned, network.ageingSeconds > 0, now)
    (parent, sharedMAC, addresses) = (network.parent, network.sharedMAC, network.addresses)
  }

  @inlinable
  @inline(__always)
  public mutating func learn(_ address: MACAddress, at port: UInt16) {
    guard isLearning else { return }
    switch table.pointee.learn(address, port: port, now: now) {
    case .known, .refused: break
    case .learned, .moved, .refreshed: learned.note(LearnedAddress(mac: address, port: port, network: network))
    }
  }

  /// The port behind which `address` is, or `MACTable.noPort`.
  @inlinable
  public func lookup(_ address: MACAddress) -> UInt16 { table.pointee.lookup(address) }

  @inlinable
  public func isIsolated(_ port: UInt16) -> Bool { ports[Int(port)].separation.contains(.isolated) }

  @inlinable
  public func separation(_ port: UInt16) -> Separation { ports[Int(port)].separation }
}

/// IEEE 802.1D: learn where the source is, send to where the destination was learned, else everywhere.
@frozen
public struct LearningSwitch: ForwardingPolicy {
  @inlinable
  public init() {}

  @inlinable
  @inline(__always)
  public func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    view.learn(frame.source, at: frame.port)
    if frame.destination.isGroup { return .flood }
    let port = view.lookup(frame.destination)
    if port == MACTable.noPort { return .flood }
    return port == frame.port ? .drop(.samePort) : .forward(port)
  }
}

/// A learning switch with ports that do not reach each other: isolated ones (a private VLAN's edge), and remote VTEPs.
@frozen
public struct SeparatedPorts: ForwardingPolicy {
  @inlinable
  public init() {}

  @inlinable
  @inline(__always)
  public func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    let verdict = LearningSwitch().decide(frame, &view)
    let separation = view.separation(frame.port)
    if separation.isEmpty { return verdict }
    switch verdict {
    case .forward(let port):
      let common = separation.intersection(view.separation(port)).subtracting(.anycast)
      if common.isEmpty { return verdict }
      return .drop(common.contains(.remote) ? .splitHorizon : .isolated)
    case .flood: return .floodSeparated
    default: return verdict
    }
  }
}
