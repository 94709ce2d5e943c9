import Captures
import Wire

/// How a capture's frames are told apart by the ports they came in by.
public enum PortChoice: String, Sendable, CaseIterable {
  /// By the pcapng file's interfaces, which give the ports their names; a frame that went out there is passed over.
  case interface
  /// Each new source address is on a port of its own, until there are so many; others are spread over those by a hash.
  case sourceMAC = "src-mac"
  /// By a hash of the source address.
  case sourceHash = "src-hash"
}

/// What is replayed.
public enum ReplayInput: Sendable {
  /// - ports: nil: by interfaces where the file names several, else by source address.
  /// - portCount: for the others than `interface`; nil: `Replay.portCountDefault`.
  case capture(path: String, ports: PortChoice?, portCount: Int?)
  case model(TrafficModel)
}

/// A port from which frames come.
struct SourcePort {
  var name: String
  /// Zero where it is not known.
  var mac = MACAddress.zero
  var addresses: [IPAddress] = []
}

/// A frame as it comes in; its bytes lie in the source's `bytes`.
struct Arrival {
  var length = 0
  var originalLength = 0
  /// As the capture has it: since 1970. Of a model: since its start.
  var nanoseconds: UInt64 = 0
  var port: UInt16 = 0
}

/// What was seen when the input was read through for the first time.
struct Survey {
  var frames = 0
  var first: UInt64 = 0
  var last: UInt64 = 0
  var cut = 0
  var disordered = 0
  var outbound = 0
}

/// Frames, one after the other, as often as they are wanted.
struct FrameSource: ~Copyable {
  /// Room for the longest frame.
  let bytes = UnsafeMutableRawPointer.allocate(byteCount: Int(CaptureReader.frameLengthMax), alignment: 16)
  private(set) var ports: [SourcePort] = []
  private(set) var survey = Survey()

  private let model: TrafficModel?
  private var modelFrames: ModelFrames?
  private var reader: CaptureReader?
  private var choice = PortChoice.sourceMAC
  private var portCount = 0
  private var outbound = 0
  private var portOfMAC: [UInt64: UInt16] = [:]
  /// By the interface's number.
  private var portOfInterface: [UInt16] = []

  init(_ input: ReplayInput) throws(CaptureError) {
    switch input {
    case .model(let model):
      self.model = model
      ports = (0..<model.ports).map {
        SourcePort(name: "p\($0)", mac: TrafficModel.mac($0), addresses: [.v4(TrafficModel.address($0))])
      }
    case .capture(let path, let wanted, let count):
      model = nil
      let reader = try CaptureReader(path: path)
      let names = reader.interfaces
      choice = wanted ?? (Set(names).count > 1 ? .interface : .sourceMAC)
      portCount = count ?? Replay.portCountDefault
      if choice == .interface && names.isEmpty {
        throw CaptureError("\(path) names no interfaces: choose --ports-by src-mac or src-hash")
      }
      self.reader = consume reader
      try nameInterfaces(names, path)
    }
    try takeSurvey()
  }

  deinit { bytes.deallocate() }

  private mutating func nameInterfaces(_ names: [String], _ path: String) throws(CaptureError) {
    guard choice == .interface else {
      if choice == .sourceHash { ports = (0..<portCount).map { SourcePort(name: "p\($0)") } }
      return
    }
    var known: [String: UInt16] = [:]
    for name in names {
      if known[name] == nil {
        known[name] = UInt16(ports.count)
        ports.append(SourcePort(name: name))
      }
      guard ports.count <= Replay.portCountMax else {
        throw CaptureError(
          "\(path) has more than \(Replay.portCountMax) interfaces: choose --ports-by src-mac or src-hash")
      }
      portOfInterface.append(known[name]!)
    }
  }

  /// Where the file ends early, that is said when it is replayed.
  private mutating func takeSurvey() throws(CaptureError) {
    var survey = Survey()
    do throws(CaptureError) {
      while let arrival = try next() {
        if survey.frames == 0 { (survey.first, survey.last) = (arrival.nanoseconds, arrival.nanoseconds) }
        survey.frames += 1
        if arrival.length < arrival.originalLength { survey.cut += 1 }
        if arrival.nanoseconds < survey.last { survey.disordered += 1 }
        survey.last = max(survey.last, arrival.nanoseconds)
      }
    } catch {}
    survey.outbound = outbound
    self.survey = survey
    if ports.isEmpty { ports.append(SourcePort(name: "p0")) }
    try rewind()
  }

  mutating func rewind() throws(CaptureError) {
    modelFrames = model.map(ModelFrames.init)
    try reader?.rewind()
  }

  /// The next frame; nil at the end.
  mutating func next() throws(CaptureError) -> Arrival? {
    if let model {
      if modelFrames == nil { modelFrames = ModelFrames(model) }
      guard let (port, length) = modelFrames!.next(bytes) else { return nil }
      return Arrival(
        length: length, originalLength: length, nanoseconds: modelFrames!.nanoseconds, port: UInt16(port))
    }
    guard var found = try read() else { return nil }
    found.arrival.port = port(interface: found.interface, length: found.arrival.length)
    return found.arrival
  }

  private mutating func read() throws(CaptureError) -> (arrival: Arrival, interface: Int?)? {
    while let frame = try reader!.next() {
      if choice == .interface && frame.direction == .outbound {
        outbound += 1
        continue
      }
      frame.bytes.withUnsafeBytes {
        if let start = $0.baseAddress { bytes.copyMemory(from: start, byteCount: $0.count) }
      }
      let arrival = Arrival(
        length: frame.bytes.byteCount, originalLength: frame.originalLength, nanoseconds: frame.nanoseconds)
      return (arrival, frame.interface)
    }
    return nil
  }

  private mutating func port(interface: Int?, length: Int) -> UInt16 {
    if choice == .interface { return interface.map { portOfInterface[$0] } ?? 0 }
    guard let source = EthernetView(RawSpan(_unsafeStart: bytes, byteCount: length))?.source else { return 0 }
    if choice == .sourceMAC {
      if let port = portOfMAC[source.bits] { return port }
      if ports.isEmpty || ports.count < portCount && source.isValidSource {
        let port = UInt16(ports.count)
        ports.append(SourcePort(name: "p\(port)", mac: source.isValidSource ? source : .zero))
        portOfMAC[source.bits] = port
        return port
      }
      // What nobody may send from is as good on the first port as on any.
      guard source.isValidSource else { return 0 }
    }
    var hash = SplitMix(seed: source.bits)
    return UInt16(hash.below(ports.count))
  }
}
