import Wire

/// Traffic for where no capture is at hand: who sends what to whom, decided by a seed alone. docs/replay.md draws each.
public struct TrafficModel: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable {
    /// Anyone to anyone.
    case uniform
    /// Anyone to few: the k-th host is sent to with a weight of 1/k.
    case zipf
    /// All at once to one, again and again, in frames of full length.
    case incast
    /// One asks by ARP for every address of the subnet; hosts that are there answer.
    case scan
    /// As `uniform`; from a quarter to three quarters of the frames, nine of ten are one host's broadcasts, which come on top.
    case storm
  }

  public static let framesRange = 1...100_000_000
  public static let portsRange = 2...1024
  public static let rateRange = 1...1_000_000_000

  public var kind: Kind
  public var frames: Int
  /// Hosts, each on a port of its own.
  public var ports: Int
  /// Frames a second, on average; without a storm's.
  public var rate: Int
  public var seed: UInt64

  public init(_ kind: Kind, frames: Int = 100_000, ports: Int = 8, rate: Int = 100_000, seed: UInt64 = 1) {
    (self.kind, self.frames, self.ports, self.rate, self.seed) = (kind, frames, ports, rate, seed)
  }

  /// A locally administered address; hosts are numbered from 0.
  static func mac(_ host: Int) -> MACAddress { MACAddress(bits: 0x0200_0000_0000 + UInt64(host) + 1) }

  /// In 10.0.0.0/16.
  static func address(_ host: Int) -> IPv4Address { IPv4Address(bits: 0x0A00_0000 + UInt32(host) + 1) }
}

/// The frames of a model, one after the other.
struct ModelFrames {
  /// Without the check sequence (IEEE 802.3, 3.2.8).
  static let lengthMin = 60
  static let lengthMax = 1514
  /// 10.0.0.1 to 10.0.255.254.
  private static let scannedAddresses = 65_534
  private static let stormFactor = 10

  private enum Content {
    case datagram(from: Int, to: MACAddress, IPv4Address, length: Int)
    case question(IPv4Address)
    case answer(from: Int)
  }

  private let model: TrafficModel
  private var random: SplitMix
  private var index = 0
  private(set) var nanoseconds: UInt64 = 0
  /// Sums of the weights, for `zipf`.
  private var weights: [UInt64] = []
  /// Who has not sent yet in this round, for `incast`.
  private var senders: [Int] = []
  private var scanned = 0
  private var asked: Int?

  init(_ model: TrafficModel) {
    self.model = model
    random = SplitMix(seed: model.seed)
    guard model.kind == .zipf else { return }
    var sum: UInt64 = 0
    for rank in 1...model.ports {
      sum += 1 << 32 / UInt64(rank)
      weights.append(sum)
    }
  }

  /// Writes the next frame, of at most `lengthMax` bytes. nil: there are no more.
  mutating func next(_ bytes: UnsafeMutableRawPointer) -> (port: Int, length: Int)? {
    guard index < model.frames else { return nil }
    let content: Content
    switch model.kind {
    case .uniform: content = anyToAny()
    case .zipf: content = anyToFew()
    case .incast: content = allToOne()
    case .scan: content = nextOfScan()
    case .storm: content = nextOfStorm()
    }
    if index > 0 { nanoseconds += gap() }
    index += 1
    switch content {
    case .datagram(let from, let mac, let address, let length):
      writeDatagram(bytes, from, mac, address, length)
      return (from, length)
    case .question(let address):
      writeARP(bytes, .request, from: 0, to: .zero, address)
      return (0, Self.lengthMin)
    case .answer(let from):
      writeARP(bytes, .reply, from: from, to: TrafficModel.mac(0), TrafficModel.address(0))
      return (from, Self.lengthMin)
    }
  }

  /// Between this frame and the one before: uniform around the mean. All of an incast's round come at the same time.
  private mutating func gap() -> UInt64 {
    if model.kind == .incast {
      guard senders.count == model.ports - 2 else { return 0 }
      return UInt64(model.ports - 1) * 1_000_000_000 / UInt64(model.rate)
    }
    let rate = model.kind == .storm && isStorm ? model.rate * Self.stormFactor : model.rate
    return UInt64(random.below(2_000_000_000 / rate + 1))
  }

  private func datagram(_ from: Int, _ to: Int, length: Int = lengthMin) -> Content {
    .datagram(from: from, to: TrafficModel.mac(to), TrafficModel.address(to), length: length)
  }

  private mutating func anyToAny() -> Content {
    let from = random.below(model.ports)
    return datagram(from, other(than: from))
  }

  private mutating func other(than host: Int) -> Int {
    let other = random.below(model.ports - 1)
    return other < host ? other : other + 1
  }

  private mutating func anyToFew() -> Content {
    let draw = UInt64(random.below(Int(weights.last!)))
    let to = weights.firstIndex { draw < $0 } ?? 0
    return datagram(other(than: to), to)
  }

  private mutating func allToOne() -> Content {
    if senders.isEmpty { senders = Array(1..<model.ports) }
    return datagram(senders.remove(at: random.below(senders.count)), 0, length: Self.lengthMax)
  }

  private mutating func nextOfScan() -> Content {
    if let host = asked {
      asked = nil
      return .answer(from: host)
    }
    scanned = scanned % Self.scannedAddresses + 1
    if (1..<model.ports).contains(scanned - 1) { asked = scanned - 1 }
    return .question(TrafficModel.address(scanned - 1))
  }

  private var isStorm: Bool { index >= model.frames / 4 && index < model.frames / 4 * 3 }

  private mutating func nextOfStorm() -> Content {
    guard isStorm, random.below(Self.stormFactor) > 0 else { return anyToAny() }
    return .datagram(
      from: 0, to: .broadcast, IPv4Address(bits: 0x0A00_FFFF), length: Self.lengthMin)
  }
}

extension ModelFrames {
  private mutating func writeDatagram(
    _ bytes: UnsafeMutableRawPointer, _ from: Int, _ mac: MACAddress, _ address: IPv4Address, _ length: Int
  ) {
    writeEthernet(bytes, from: from, to: mac, .ipv4, length)
    let (source, packetLength) = (TrafficModel.address(from), length - EthernetView.headerLength)
    let ports = random.next()
    bytes.store(0x4500, at: 14)
    bytes.store(UInt16(packetLength), at: 16)
    // Time to live 64, UDP.
    bytes.store(0x4011, at: 22)
    bytes.store(source, at: 26)
    bytes.store(address, at: 30)
    bytes.store(checksum(of: bytes, 14..<34, 0), at: 24)
    bytes.store(UInt16(truncatingIfNeeded: ports) | 0xC000, at: 34)
    bytes.store(9, at: 36)
    bytes.store(UInt16(packetLength - 20), at: 38)
    // RFC 768: the pseudo header has the addresses, the protocol and the length; what is sent is zeros.
    let sum = checksum(of: bytes, 26..<42, 17 + UInt32(packetLength - 20))
    bytes.store(sum == 0 ? 0xFFFF : sum, at: 40)
  }

  private func writeARP(
    _ bytes: UnsafeMutableRawPointer, _ operation: ARPOperation, from: Int, to mac: MACAddress, _ address: IPv4Address
  ) {
    writeEthernet(bytes, from: from, to: mac == .zero ? .broadcast : mac, .arp, Self.lengthMin)
    // Ethernet and IPv4 (RFC 826).
    for (place, word) in [(14, 1), (16, 0x0800), (18, 0x0604)] as [(Int, UInt16)] { bytes.store(word, at: place) }
    bytes.store(operation.rawValue, at: 20)
    bytes.store(TrafficModel.mac(from), at: 22)
    bytes.store(TrafficModel.address(from), at: 28)
    bytes.store(mac, at: 32)
    bytes.store(address, at: 38)
  }

  private func writeEthernet(
    _ bytes: UnsafeMutableRawPointer, from: Int, to: MACAddress, _ type: EtherType, _ length: Int
  ) {
    bytes.initializeMemory(as: UInt8.self, repeating: 0, count: length)
    bytes.store(to, at: 0)
    bytes.store(TrafficModel.mac(from), at: 6)
    bytes.store(type.rawValue, at: 12)
  }

  /// RFC 1071.
  private func checksum(of bytes: UnsafeMutableRawPointer, _ range: Range<Int>, _ first: UInt32) -> UInt16 {
    var sum = first
    for place in stride(from: range.lowerBound, to: range.upperBound, by: 2) {
      sum += UInt32(bytes.loadUnaligned(fromByteOffset: place, as: UInt16.self).bigEndian)
    }
    sum = sum & 0xFFFF + sum >> 16
    return ~UInt16(truncatingIfNeeded: sum + sum >> 16)
  }
}

extension UnsafeMutableRawPointer {
  fileprivate func store(_ word: UInt16, at place: Int) {
    storeBytes(of: word.bigEndian, toByteOffset: place, as: UInt16.self)
  }

  fileprivate func store(_ address: IPv4Address, at place: Int) {
    storeBytes(of: address.bits.bigEndian, toByteOffset: place, as: UInt32.self)
  }

  fileprivate func store(_ mac: MACAddress, at place: Int) {
    store(UInt16(truncatingIfNeeded: mac.bits >> 32), at: place)
    storeBytes(of: UInt32(truncatingIfNeeded: mac.bits).bigEndian, toByteOffset: place + 2, as: UInt32.self)
  }
}
