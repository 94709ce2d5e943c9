import Tables
import Wire

/// What a policy may see and change of its network while it decides.
@frozen
public struct NetworkView: ~Copyable {
  @usableFromInline let network: UInt16
  @usableFromInline let table: UnsafeMutablePointer<MACTable>
  @usableFromInline let ports: UnsafeMutablePointer<Port>
  @usableFromInline let members: UnsafeMutablePointer<UInt16>
  /// Ports of the network.
  public let portCount: Int
  @usableFromInline let learned: LearnedAddresses
  @usableFromInline let isLearning: Bool
  /// The port that leads to the LAN, or `Engine.none`.
  @usableFromInline let parent: UInt16
  /// Of the endpoints, where they share one.
  @usableFromInline let sharedMAC: UInt64
  @usableFromInline let addresses: UnsafeMutablePointer<AddressTable>?
  /// Seconds of a monotonic clock.
  public let now: UInt32
  /// Of the same clock, at the begin of the burst.
  public let nanoseconds: UInt64
  @usableFromInline let burst: PolicyBurst
  @usableFromInline let counters: CounterHandle?
  @usableFromInline let trace: FrameTrace?
  /// The frame that is being decided on, and its place in the burst.
  @usableFromInline var current: FrameDescriptor
  @usableFromInline var place: UInt16 = 0

  @inlinable
  @inline(__always)
  init(
    of network: borrowing Network, at index: UInt16, ports: UnsafeMutablePointer<Port>, learned: LearnedAddresses,
    now: UInt32, nanoseconds: UInt64, burst: PolicyBurst, counters: CounterHandle? = nil, trace: FrameTrace? = nil
  ) {
    (self.network, table, self.ports) = (index, network.table, ports)
    (members, portCount) = (network.members, network.memberCount)
    (self.learned, isLearning) = (learned, network.ageingSeconds > 0 && trace?.isDryRun != true)
    (self.now, self.nanoseconds) = (now, nanoseconds)
    (parent, sharedMAC, addresses) = (network.parent, network.sharedMAC, network.addresses)
    (self.burst, self.counters, self.trace) = (burst, counters, trace)
    current = burst.noFrame
  }

  // MARK: The MAC table

  @inlinable
  @inline(__always)
  public mutating func learn(_ address: MACAddress, at port: UInt16) {
    if trace != nil { explainLearning(address, at: port) }
    guard isLearning else { return }
    switch table.pointee.learn(address, port: port, now: now) {
    case .known, .refused: break
    case .learned, .moved, .refreshed: learned.note(LearnedAddress(mac: address, port: port, network: network))
    }
  }

  /// The port behind which `address` is, or `MACTable.noPort`.
  @inlinable
  @inline(__always)
  public mutating func lookup(_ address: MACAddress) -> UInt16 {
    if trace != nil { explainLookup(address) }
    return table.pointee.lookup(address)
  }

  /// The same, of what was not learned: people, or the control plane, have put it there.
  public mutating func lookupStatic(_ address: MACAddress) -> UInt16 {
    if trace != nil { explainLookup(address) }
    guard let entry = table.pointee.entry(of: address), entry.isStatic else { return MACTable.noPort }
    return entry.port
  }

  // MARK: Ports

  /// A port of the network; in no particular order.
  /// - Parameter position: 0 to `portCount` - 1.
  @inlinable
  public func port(at position: Int) -> UInt16 {
    precondition(position >= 0 && position < portCount)
    return members[position]
  }

  @inlinable
  public func isIsolated(_ port: UInt16) -> Bool { ports[Int(port)].separation.contains(.isolated) }

  @inlinable
  public func separation(_ port: UInt16) -> Separation { ports[Int(port)].separation }

  // MARK: What a policy does beside its verdict

  /// Adds a target for the frame that is being decided on; see `Verdict.targets`. Where there are too many it is left out, and
  /// counted as dropped there.
  @inlinable
  public mutating func add(_ target: PolicyTarget) { burst.add(target) }

  /// Targets of this burst so far: the place of the next one.
  @inlinable public var targetCount: UInt16 { burst.targetCount }

  /// The verdict by which the frame leaves by all targets that were added since there were `first`.
  @inlinable
  public func targets(since first: UInt16) -> Verdict {
    .targets(first: first, count: burst.targetCount &- first)
  }

  /// A copy of the frame, as the policy leaves it, goes out by the port whatever the verdict is.
  @inlinable
  public mutating func mirror(to port: UInt16) { burst.mirror(place, to: port) }

  /// Adds to a counter of the policy's own (`LoadablePolicy.counterNames`). A dry run counts nothing.
  @inlinable
  public mutating func count(_ counter: Int, _ amount: UInt64 = 1) {
    guard let counters, counter >= 0, counter < counters.count else { return }
    counters.add(counter, amount)
  }

  /// The frame is asked about, not forwarded: nothing that outlives it is to change.
  @inlinable public var isDryRun: Bool { trace?.isDryRun == true }

  /// Somebody wants to read how this frame is decided on.
  @inlinable public var isTraced: Bool { trace != nil }

  /// Says a step of the decision, for `martlet trace`. Costs nothing when nobody reads it.
  @inlinable
  public func explain(_ text: @autoclosure () -> String) {
    if let trace { trace.add(text()) }
  }

  /// Length of the frame that is being decided on, from its Ethernet header on; bytes.
  @inlinable public var frameLength: UInt32 { current.length &- UInt32(Engine.headerLength) }

  // Mutating, as they are not inlined: else the compiler hands them a copy of the whole view, for each frame.

  @usableFromInline
  mutating func explainLearning(_ address: MACAddress, at port: UInt16) {
    guard let trace else { return }
    if let entry = table.pointee.entry(of: address) {
      let age = entry.isStatic ? "static" : "\(now &- entry.lastSeen) s old"
      trace.add(
        entry.port == port
          ? "source \(address) is known here (\(age))"
          : "source \(address) was on port \(trace.name(entry.port)) (\(age))"
            + (entry.isStatic ? ", and stays there" : ", moves to \(trace.name(port))"))
    } else {
      trace.add("source \(address) is new, learned on port \(trace.name(port))")
    }
  }

  @usableFromInline
  mutating func explainLookup(_ address: MACAddress) {
    guard let trace else { return }
    if let entry = table.pointee.entry(of: address) {
      let age = entry.isStatic ? "static" : "\(now &- entry.lastSeen) s old"
      trace.add("destination \(address) is on port \(trace.name(entry.port)) (\(age))")
    } else {
      trace.add("destination \(address) is not in the MAC table")
    }
  }
}
