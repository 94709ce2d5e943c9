import Glibc

/// Walks a pcapng file's blocks for what libpcap does not tell (draft-ietf-opsawg-pcapng): of each packet, in the file's order, its
/// interface and direction. Ends where the file is cut or makes no sense.
struct PacketOrigins {
  struct Origin {
    /// Counted through all sections of the file.
    var interface: Int
    var direction: CaptureDirection
  }

  private enum BlockType {
    static let section: UInt32 = 0x0A0D_0D0A
    static let interface: UInt32 = 1
    /// Of the format's early versions.
    static let packet: UInt32 = 2
    static let simplePacket: UInt32 = 3
    static let enhancedPacket: UInt32 = 6
  }

  /// Type, length, and the length again at the end.
  private static let blockLengthMin: UInt32 = 12
  private static let byteOrderMagic: UInt32 = 0x1A2B_3C4D
  /// Bytes of a name.
  private static let nameLengthMax = 255
  private static let windowLength = 1 << 16

  private let file: Int32
  private var window: [UInt8] = []
  private var windowStart = 0
  /// Of the next block.
  private var offset = 0
  private var isSwapped = false
  /// Interfaces of the sections before, and with this one's.
  private var sectionStart = 0
  private var interfaceCount = 0
  private var names: [String] = []
  private let keepsNames: Bool

  /// - Parameter file: is read by pread(2); stays the caller's.
  init(_ file: Int32, keepsNames: Bool = false) { (self.file, self.keepsNames) = (file, keepsNames) }

  static func interfaces(of file: Int32) -> [String] {
    var origins = PacketOrigins(file, keepsNames: true)
    while origins.next() != nil {}
    return origins.names
  }

  /// Of the next packet.
  mutating func next() -> Origin? {
    while let type = uint32(at: offset), let length = blockLength(type), length >= Self.blockLengthMin {
      let start = offset
      offset += Int(length)
      let end = offset - 4
      switch type {
      case BlockType.section: sectionStart = interfaceCount
      case BlockType.interface:
        if keepsNames { names.append(name(from: start + 16, to: end) ?? "if\(interfaceCount)") }
        interfaceCount += 1
      case BlockType.simplePacket: return Origin(interface: sectionStart, direction: .unknown)
      case BlockType.enhancedPacket: return enhancedPacket(at: start, end: end)
      case BlockType.packet:
        guard let word = uint16(at: start + 8) else { return nil }
        return origin(Int(word), .unknown)
      default: break
      }
    }
    return nil
  }

  /// Learns the byte order where a section begins. nil where this is no pcapng.
  private mutating func blockLength(_ type: UInt32) -> UInt32? {
    if type == BlockType.section {
      guard let magic = uint32(at: offset + 8) else { return nil }
      if magic == Self.byteOrderMagic.byteSwapped { isSwapped.toggle() }
      guard uint32(at: offset + 8) == Self.byteOrderMagic else { return nil }
    } else if offset == 0 {
      return nil
    }
    return uint32(at: offset + 4)
  }

  private func origin(_ number: Int, _ direction: CaptureDirection) -> Origin? {
    guard number < interfaceCount - sectionStart else { return nil }
    return Origin(interface: sectionStart + number, direction: direction)
  }

  private mutating func enhancedPacket(at start: Int, end: Int) -> Origin? {
    guard let number = uint32(at: start + 8), let captured = uint32(at: start + 20) else { return nil }
    let options = start + 28 + (Int(captured) + 3) / 4 * 4
    var direction = CaptureDirection.unknown
    if let flags = option(2, from: options, to: end), flags.length == 4, let value = uint32(at: flags.start) {
      direction = CaptureDirection(rawValue: value & 3) ?? .unknown
    }
    return origin(Int(number), direction)
  }

  /// if_name. What would move a terminal's cursor, or break a line, is replaced: who made the file chose it.
  private mutating func name(from start: Int, to end: Int) -> String? {
    guard let found = option(2, from: start, to: end), found.length > 0 else { return nil }
    var bytes: [UInt8] = []
    for index in 0..<min(found.length, Self.nameLengthMax) {
      guard let byte = uint8(at: found.start + index) else { return nil }
      bytes.append(byte)
    }
    var scalars = String.UnicodeScalarView()
    for scalar in String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self).unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .lineSeparator, .paragraphSeparator: scalars.append("?")
      default: scalars.append(scalar)
      }
    }
    return String(scalars)
  }

  private mutating func option(_ code: UInt16, from start: Int, to end: Int) -> (start: Int, length: Int)? {
    var place = start
    while place + 4 <= end, let found = uint16(at: place), found != 0, let length = uint16(at: place + 2) {
      guard place + 4 + Int(length) <= end else { return nil }
      if found == code { return (place + 4, Int(length)) }
      place += 4 + (Int(length) + 3) / 4 * 4
    }
    return nil
  }

  private mutating func uint8(at place: Int) -> UInt8? {
    guard load(place, 1) else { return nil }
    return window[place - windowStart]
  }

  private mutating func uint16(at place: Int) -> UInt16? {
    guard load(place, 2) else { return nil }
    let value = window.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place - windowStart, as: UInt16.self) }
    return isSwapped ? value.byteSwapped : value
  }

  private mutating func uint32(at place: Int) -> UInt32? {
    guard load(place, 4) else { return nil }
    let value = window.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place - windowStart, as: UInt32.self) }
    return isSwapped ? value.byteSwapped : value
  }

  /// Has the file's bytes at that place in the window.
  private mutating func load(_ place: Int, _ count: Int) -> Bool {
    if place >= windowStart && place + count <= windowStart + window.count { return true }
    var filled = 0
    window = [UInt8](unsafeUninitializedCapacity: Self.windowLength) { buffer, initialized in
      while filled < Self.windowLength {
        let read = pread(file, buffer.baseAddress! + filled, Self.windowLength - filled, place + filled)
        if read < 0 && errno == EINTR { continue }
        if read <= 0 { break }
        filled += read
      }
      initialized = filled
    }
    windowStart = place
    return filled >= count
  }
}
