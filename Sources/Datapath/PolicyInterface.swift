import Tables
import Wire

// Theory of operation.
//
// A policy's library is built from this module's source, and holds a copy of it. What crosses between it and the switch are C
// functions, text, and pointers to plain values of which both must have the same picture: `fingerprint` says so. The switch asks for it
// before it calls anything else. How long text is, is said with it; a buffer that is too short gets the begin.

/// What a library's policy is called by. Functions of C, for the two sides may have a Swift runtime each.
@frozen
public struct PolicyTable: BitwiseCopyable, Sendable {
  public typealias State = UnsafeMutableRawPointer
  public typealias Text = UnsafePointer<CChar>
  public typealias Buffer = UnsafeMutablePointer<CChar>

  /// Writes name, summary and the names of counters, each on a line of its own. `state` nil: the names of counters are left out.
  /// - Returns: how many bytes there are, also where the buffer is shorter.
  public let describe: @convention(c) (_ state: State?, _ buffer: Buffer, _ capacity: Int) -> Int
  /// Makes a value from lines `key=value`; nil, and why in the buffer.
  public let make: @convention(c) (_ parameters: Text, _ buffer: Buffer, _ capacity: Int) -> State?
  public let copy: @convention(c) (_ state: State) -> State
  public let release: @convention(c) (_ state: State) -> Void
  /// See `LoadablePolicy.portsChanged`; a port on each line (`PolicyPort.line`).
  public let portsChanged: @convention(c) (_ state: State, _ ports: Text) -> Void
  public let decide: PolicyProgram.Decide

  public init(
    describe: @escaping @convention(c) (State?, Buffer, Int) -> Int,
    make: @escaping @convention(c) (Text, Buffer, Int) -> State?, copy: @escaping @convention(c) (State) -> State,
    release: @escaping @convention(c) (State) -> Void, portsChanged: @escaping @convention(c) (State, Text) -> Void,
    decide: @escaping PolicyProgram.Decide
  ) {
    (self.describe, self.make, self.copy, self.release) = (describe, make, copy, release)
    (self.portsChanged, self.decide) = (portsChanged, decide)
  }
}

public enum PolicyInterface {
  /// Raised whenever what crosses between a library and the switch changes its meaning or its layout.
  static let version: UInt64 = 1
  /// The library's symbols: `() -> UInt64`, `fingerprint`; and `() -> UnsafeRawPointer`, to a `PolicyTable`.
  public static let fingerprintSymbol = "martlet_policy_interface"
  public static let tableSymbol = "martlet_policy_table"
  /// Bytes that a library may say of itself, or of why it refuses parameters.
  public static let textCapacity = 1 << 16

  /// The same in a library and the switch where they have been built from the same declarations: the version, and sizes of all that
  /// one hands the other.
  public static var fingerprint: UInt64 {
    var hash = version
    func add(_ value: Int) { hash = (hash ^ UInt64(value)) &* 0x0000_0100_0000_01B3 }
    add(MemoryLayout<FrameDescriptor>.stride)
    add(MemoryLayout<Verdict>.stride)
    add(DropReason.allCases.count)
    add(MemoryLayout<NetworkView>.stride)
    add(MemoryLayout<Network>.stride)
    add(MemoryLayout<Port>.stride)
    add(MemoryLayout<MACTable>.stride)
    add(MemoryLayout<LearnedAddresses>.stride)
    add(MemoryLayout<PolicyBurst>.stride)
    add(MemoryLayout<PolicyTarget>.stride)
    add(MemoryLayout<CounterHandle>.stride)
    add(MemoryLayout<FrameTrace>.stride)
    add(MemoryLayout<PolicyTable>.stride)
    return hash
  }
}

/// A library's side of `PolicyTable` for one policy.
public enum PolicyExport<Policy: LoadablePolicy> {
  public static func describe(_ state: PolicyTable.State?, _ buffer: PolicyTable.Buffer, _ capacity: Int) -> Int {
    let counters = state.map { value($0).pointee.counterNames } ?? []
    return write(([Policy.name, Policy.summary] + counters).joined(separator: "\n"), buffer, capacity)
  }

  public static func make(
    _ parameters: PolicyTable.Text, _ buffer: PolicyTable.Buffer, _ capacity: Int
  ) -> PolicyTable.State? {
    var parameters = PolicyParameters(lines: String(cString: parameters))
    let policy = Policy(&parameters)
    parameters.finish()
    guard parameters.complaint == nil, let policy else {
      _ = write(parameters.complaint ?? "it refuses its parameters and does not say why", buffer, capacity)
      return nil
    }
    let place = UnsafeMutablePointer<Policy>.allocate(capacity: 1)
    place.initialize(to: policy)
    return PolicyTable.State(place)
  }

  public static func copy(_ state: PolicyTable.State) -> PolicyTable.State {
    let place = UnsafeMutablePointer<Policy>.allocate(capacity: 1)
    place.initialize(to: value(state).pointee)
    return PolicyTable.State(place)
  }

  public static func release(_ state: PolicyTable.State) {
    value(state).deinitialize(count: 1)
    value(state).deallocate()
  }

  public static func portsChanged(_ state: PolicyTable.State, _ ports: PolicyTable.Text) {
    let lines = String(cString: ports).split(separator: "\n")
    value(state).pointee.portsChanged(lines.compactMap { PolicyPort(line: String($0)) })
  }

  @inlinable
  @inline(__always)
  public static func decide(
    _ state: PolicyTable.State, _ frames: UnsafeRawPointer, _ count: Int, _ view: UnsafeMutableRawPointer,
    _ verdicts: UnsafeMutableRawPointer
  ) {
    value(state).pointee.decideBurst(frames, count, view, verdicts)
  }

  @inlinable
  static func value(_ state: PolicyTable.State) -> UnsafeMutablePointer<Policy> {
    state.assumingMemoryBound(to: Policy.self)
  }

  private static func write(_ text: String, _ buffer: PolicyTable.Buffer, _ capacity: Int) -> Int {
    let bytes = Array(text.utf8)
    guard capacity > 0 else { return bytes.count }
    for index in 0..<min(bytes.count, capacity - 1) { buffer[index] = CChar(bitPattern: bytes[index]) }
    buffer[min(bytes.count, capacity - 1)] = 0
    return bytes.count
  }
}

extension PolicyParameters {
  /// - Parameter lines: `key=value`, each on a line of its own.
  init(lines: String) {
    var values: [String: String] = [:]
    for line in lines.split(separator: "\n") {
      let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
    }
    self.init(values)
  }
}

extension PolicyPort {
  private static let fieldSeparator: Character = "\t"
  private static let itemSeparator: Character = "\u{1F}"

  /// How a library is told of the port.
  public var line: String {
    let fields = [
      "\(index)", kind.rawValue, "\(mac.bits)", names.joined(separator: String(Self.itemSeparator)),
      addresses.map { "\($0.mapped)" }.joined(separator: String(Self.itemSeparator)),
    ]
    return fields.joined(separator: String(Self.fieldSeparator))
  }

  init?(line: String) {
    let fields = line.split(separator: Self.fieldSeparator, omittingEmptySubsequences: false)
    guard fields.count == 5, let index = UInt16(fields[0]), let kind = Kind(rawValue: String(fields[1])),
      let mac = UInt64(fields[2])
    else { return nil }
    self.init(
      index: index, kind: kind, names: fields[3].split(separator: Self.itemSeparator).map(String.init),
      mac: MACAddress(bits: mac),
      addresses: fields[4].split(separator: Self.itemSeparator).compactMap { UInt128($0).map(IPAddress.init(mapped:)) })
  }
}
