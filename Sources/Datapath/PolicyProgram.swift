import Tables
import Wire

// Theory of operation.
//
// A network runs the learning switch, whose code is part of the engine's loop, or a policy program: a policy that was chosen while
// the switch runs, from the tree's own, from a text, or from a library. The engine hands a program whole bursts, so that what the
// call costs is shared by many frames, and carries its verdicts out afterwards, in order. What a program adds to a verdict
// (targets, copies) it leaves in the burst's memory, which is the engine's.
//
// Between the engine and a library lie only plain values and C functions: each has a Swift runtime of its own, perhaps.

/// One worker's value of a policy, as its engine calls it.
@frozen
public struct PolicyProgram: BitwiseCopyable {
  /// The most counters that a policy may have of its own: rules of a text have one each.
  public static let counterCountMax = 65_536

  /// Decides on `count` frames: `frames` are `FrameDescriptor`s, `verdicts` has room for as many `Verdict`s, `view` is a `NetworkView`.
  public typealias Decide =
    @convention(c) (
      _ state: UnsafeMutableRawPointer, _ frames: UnsafeRawPointer, _ count: Int, _ view: UnsafeMutableRawPointer,
      _ verdicts: UnsafeMutableRawPointer
    ) -> Void

  @usableFromInline let state: UnsafeMutableRawPointer
  @usableFromInline let decide: Decide
  /// Of this worker; nil: it has none.
  @usableFromInline let counters: CounterHandle?

  public init(state: UnsafeMutableRawPointer, decide: Decide, counters: CounterHandle?) {
    (self.state, self.decide, self.counters) = (state, decide, counters)
  }
}

extension ForwardingPolicy {
  /// What a program of this policy does with a burst; see `PolicyProgram.Decide`.
  @inlinable
  @inline(__always)
  public mutating func decideBurst(
    _ frames: UnsafeRawPointer, _ count: Int, _ view: UnsafeMutableRawPointer, _ verdicts: UnsafeMutableRawPointer
  ) {
    let frames = frames.assumingMemoryBound(to: FrameDescriptor.self)
    let view = view.assumingMemoryBound(to: NetworkView.self)
    let verdicts = verdicts.assumingMemoryBound(to: Verdict.self)
    for index in 0..<count {
      view.pointee.current = frames[index]
      view.pointee.place = UInt16(truncatingIfNeeded: index)
      verdicts[index] = decide(Engine.view(frames[index]), &view.pointee)
    }
  }
}

/// How a frame's VLAN tag is to leave by one port.
@frozen
public enum Tagging: Equatable, Sendable {
  case unchanged
  /// Without its first tag, where it has one.
  case removed
  /// With this tag in place of its first one, or where it has none.
  case set(VLANTag)
  /// With this tag before those it has (IEEE 802.1ad).
  case added(VLANTag)
}

/// One of several ports that a frame is to leave by, and how.
@frozen
public struct PolicyTarget: Equatable, Sendable {
  public var port: UInt16
  public var tagging: Tagging

  @inlinable
  public init(_ port: UInt16, _ tagging: Tagging = .unchanged) { (self.port, self.tagging) = (port, tagging) }
}

/// The memory of one burst of a program: frames in, verdicts and what belongs to them out. The engine's.
@frozen
public struct PolicyBurst: BitwiseCopyable, @unchecked Sendable {
  /// Frames that a program is given at once.
  public static let framesMax = 64
  /// Targets and mirrored copies of one burst.
  public static let targetsMax = 8192
  public static let mirrorsMax = 256

  @frozen
  @usableFromInline
  struct Mirror: BitwiseCopyable {
    @usableFromInline let place: UInt16
    @usableFromInline let port: UInt16

    @inlinable
    init(place: UInt16, port: UInt16) { (self.place, self.port) = (place, port) }
  }

  @frozen
  @usableFromInline
  struct Counts: BitwiseCopyable {
    @usableFromInline var targets: UInt16 = 0
    @usableFromInline var mirrors: UInt16 = 0
    /// What there was no room for.
    @usableFromInline var lost: UInt32 = 0

    @inlinable
    init() {}
  }

  @usableFromInline let frames: UnsafeMutablePointer<FrameDescriptor>
  @usableFromInline let verdicts: UnsafeMutablePointer<Verdict>
  @usableFromInline let targets: UnsafeMutablePointer<PolicyTarget>
  @usableFromInline let mirrors: UnsafeMutablePointer<Mirror>
  @usableFromInline let counts: UnsafeMutablePointer<Counts>
  /// Room for a frame whose tags are changed for one of its targets.
  @usableFromInline let edited: UnsafeMutableRawPointer

  init() {
    frames = .allocate(capacity: Self.framesMax)
    verdicts = .allocate(capacity: Self.framesMax)
    targets = .allocate(capacity: Self.targetsMax)
    mirrors = .allocate(capacity: Self.mirrorsMax)
    counts = .allocate(capacity: 1)
    counts.initialize(to: Counts())
    edited = .allocate(byteCount: FrameEditing.bufferLength, alignment: 16)
  }

  func deallocate() {
    frames.deallocate()
    verdicts.deallocate()
    targets.deallocate()
    mirrors.deallocate()
    counts.deallocate()
    edited.deallocate()
  }

  @inlinable var noFrame: FrameDescriptor { FrameDescriptor(start: edited, length: 0, port: Engine.none, buffer: 0) }
  @inlinable var targetCount: UInt16 { counts.pointee.targets }

  @inlinable
  func add(_ target: PolicyTarget) {
    guard counts.pointee.targets < Self.targetsMax else { return counts.pointee.lost &+= 1 }
    targets[Int(counts.pointee.targets)] = target
    counts.pointee.targets &+= 1
  }

  @inlinable
  func mirror(_ place: UInt16, to port: UInt16) {
    guard counts.pointee.mirrors < Self.mirrorsMax else { return counts.pointee.lost &+= 1 }
    mirrors[Int(counts.pointee.mirrors)] = Mirror(place: place, port: port)
    counts.pointee.mirrors &+= 1
  }
}
