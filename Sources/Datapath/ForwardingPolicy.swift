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
  /// A copy for each of the targets that the policy has added to its view (`NetworkView.add`): the first of them, and how many.
  case targets(first: UInt16, count: UInt16)
  case drop(DropReason)
}

/// Decides, frame by frame, what becomes of it. A policy is a value of its network; it is called on the network's worker, after
/// the frame passed the guard (see `Network.guardFrame`), and specialised at build time: it costs what its code costs.
///
/// Where several workers forward a network's frames, each has a copy of the value, and all frames of a flow are decided on by the
/// same one. What all are to share lies in memory that the value points to, and is changed with atomics (`RateLimit`, `SharedSet`).
public protocol ForwardingPolicy {
  /// Thread: a worker's. Must neither wait nor allocate for each frame.
  mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict
}

/// A policy that people choose for a network, by its name or from a library (`martlet policy load`).
public protocol LoadablePolicy: ForwardingPolicy {
  /// As in commands: lower case and hyphens.
  static var name: String { get }
  /// One line of help.
  static var summary: String { get }
  /// What it counts beside what the switch does, by names; the place is the number for `NetworkView.count`. At most
  /// `PolicyProgram.counterCountMax`.
  var counterNames: [String] { get }

  /// nil where `parameters` has refused one: it says which, and why. Thread: the control plane's, once for a network.
  init?(_ parameters: inout PolicyParameters)

  /// Which ports the network has now: before the first frame, and whenever one came or went. Thread: the worker's, between two
  /// bursts; may allocate.
  mutating func portsChanged(_ ports: [PolicyPort])
}

extension LoadablePolicy {
  public var counterNames: [String] { [] }
  public mutating func portsChanged(_ ports: [PolicyPort]) {}
}

/// A port of the network as a policy is told of it.
public struct PolicyPort: Equatable, Sendable {
  public enum Kind: String, Sendable, CaseIterable {
    case endpoint, gateway, interface, vtep
  }

  /// By which frames and verdicts name it.
  public var index: UInt16
  public var kind: Kind
  /// By which people name it: endpoint, sandbox, interface, VTEP's address; the gateway's is "gateway".
  public var names: [String]
  /// Of the endpoint or gateway; zero where it is not known.
  public var mac: MACAddress
  public var addresses: [IPAddress]

  public init(index: UInt16, kind: Kind, names: [String], mac: MACAddress = .zero, addresses: [IPAddress] = []) {
    (self.index, self.kind, self.names, self.mac, self.addresses) = (index, kind, names, mac, addresses)
  }
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
      if let reason = separation.reasonAgainst(view.separation(port)) { return .drop(reason) }
      return verdict
    case .flood: return .floodSeparated
    default: return verdict
    }
  }
}

extension Separation {
  /// Why a port of this separation does not reach one of the other by a frame that is for it alone; nil: it does.
  @inlinable
  func reasonAgainst(_ other: Separation) -> DropReason? {
    let common = intersection(other).subtracting(.anycast)
    if common.isEmpty { return nil }
    return common.contains(.remote) ? .splitHorizon : .isolated
  }
}
