import Glibc

/// Writes frames as pcapng (draft-ietf-opsawg-pcapng): an interface for each port, times in nanoseconds, and of each frame its
/// direction and a comment. Wireshark, tshark and tcpdump read it, also while it is written.
///
/// Thread: one at a time.
public struct CaptureWriter: ~Copyable {
  /// Bytes of a comment or name; longer ones are cut.
  public static let textLengthMax = 4096
  /// Bytes that are gathered before they are written to a descriptor.
  public static let pendingLengthMax = 1 << 16

  private enum Code {
    static let section: UInt32 = 0x0A0D_0D0A
    static let byteOrderMagic: UInt32 = 0x1A2B_3C4D
    static let interface: UInt32 = 1
    static let enhancedPacket: UInt32 = 6
    static let linkTypeEthernet: UInt16 = 1
    static let comment: UInt16 = 1
    static let interfaceName: UInt16 = 2
    static let packetFlags: UInt16 = 2
    static let userApplication: UInt16 = 4
    static let timeResolution: UInt16 = 9
  }

  private let descriptor: Int32?
  private let snapLength: Int
  private var pending: [UInt8] = []
  /// Interfaces added so far: the number of the next one.
  public private(set) var interfaceCount = 0

  /// - Parameters:
  ///   - descriptor: blocks when it is full, and stays the caller's; nil: into memory, for `takeBytes`.
  ///   - snapLength: bytes kept of each frame, at most `CaptureReader.frameLengthMax`.
  ///   - application: which program writes.
  public init(
    to descriptor: Int32? = nil, snapLength: Int = Int(CaptureReader.frameLengthMax), application: String = "martlet"
  ) {
    self.descriptor = descriptor
    self.snapLength = min(max(1, snapLength), Int(CaptureReader.frameLengthMax))
    block(Code.section) {
      $0.append(Code.byteOrderMagic)
      // Version 1.0, and a section of unknown length.
      $0.append(UInt16(1))
      $0.append(UInt16(0))
      $0.append(UInt64.max)
      $0.appendOption(Code.userApplication, application)
      $0.append(UInt32(0))
    }
  }

  /// Bytes that are not written yet, or not taken.
  public var pendingLength: Int { pending.count }

  /// - Returns: its number, for `add`.
  public mutating func addInterface(_ name: String) throws(CaptureError) -> Int {
    let snapLength = UInt32(self.snapLength)
    block(Code.interface) {
      $0.append(Code.linkTypeEthernet)
      $0.append(UInt16(0))
      $0.append(snapLength)
      $0.appendOption(Code.interfaceName, name)
      // Ten to the power of minus nine seconds.
      $0.appendOption(Code.timeResolution, [9])
      $0.append(UInt32(0))
    }
    interfaceCount += 1
    try flushWhereFull()
    return interfaceCount - 1
  }

  /// - Parameters:
  ///   - bytes: from the Ethernet header on.
  ///   - originalLength: bytes the frame had, where `bytes` are not all of them.
  ///   - interface: a number that `addInterface` gave.
  ///   - nanoseconds: since 1970 (UTC).
  ///   - comment: the verdict, or why it was dropped; an empty one is left out.
  public mutating func add(
    _ bytes: RawSpan, originalLength: Int? = nil, interface: Int, nanoseconds: UInt64,
    direction: CaptureDirection = .unknown, comment: String = ""
  ) throws(CaptureError) {
    precondition(interface >= 0 && interface < interfaceCount, "no interface \(interface)")
    let captured = bytes.extracting(first: min(bytes.byteCount, snapLength))
    let original = UInt32(clamping: max(originalLength ?? 0, bytes.byteCount))
    block(Code.enhancedPacket) { block in
      block.append(UInt32(interface))
      block.append(UInt32(nanoseconds >> 32))
      block.append(UInt32(truncatingIfNeeded: nanoseconds))
      block.append(UInt32(captured.byteCount))
      block.append(original)
      captured.withUnsafeBytes { block.append(contentsOf: $0) }
      block.pad()
      if direction != .unknown {
        block.append(Code.packetFlags)
        block.append(UInt16(4))
        block.append(direction.rawValue)
      }
      if !comment.isEmpty { block.appendOption(Code.comment, comment) }
      if direction != .unknown || !comment.isEmpty { block.append(UInt32(0)) }
    }
    try flushWhereFull()
  }

  /// What was gathered goes to the descriptor: at the end, and where somebody is to see it now.
  public mutating func flush() throws(CaptureError) {
    guard let descriptor else { return }
    var written = 0
    while written < pending.count {
      let count = pending.withUnsafeBytes { write(descriptor, $0.baseAddress! + written, $0.count - written) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        let error = CaptureError.system("the capture cannot be written")
        // Not a second time, in part.
        pending = []
        throw error
      }
      written += count
    }
    pending.removeAll(keepingCapacity: true)
  }

  /// What was written to memory since the last call: blocks, whole.
  public mutating func takeBytes() -> [UInt8] {
    defer { pending = [] }
    return pending
  }

  private mutating func flushWhereFull() throws(CaptureError) {
    if pending.count >= Self.pendingLengthMax { try flush() }
  }

  /// Its length stands at both ends.
  private mutating func block(_ type: UInt32, _ body: (inout [UInt8]) -> Void) {
    let start = pending.count
    pending.append(type)
    pending.append(UInt32(0))
    body(&pending)
    let length = UInt32(pending.count - start + 4)
    pending.append(length)
    pending.withUnsafeMutableBytes { $0.storeBytes(of: length, toByteOffset: start + 4, as: UInt32.self) }
  }
}

// In the byte order of the machine, as the format has it.
extension [UInt8] {
  fileprivate mutating func append(_ value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value) { append(contentsOf: $0) }
  }

  /// To four bytes. Every block begins at a multiple of four: what was taken before was whole blocks.
  fileprivate mutating func pad() { while count % 4 != 0 { append(UInt8(0)) } }

  fileprivate mutating func appendOption(_ code: UInt16, _ text: String) {
    var bytes = Array(text.utf8.prefix(CaptureWriter.textLengthMax))
    if bytes.count < text.utf8.count {
      // Not within a character: bytes that continue one begin with the bits 10 (RFC 3629, 3).
      while let last = bytes.popLast(), last & 0xC0 == 0x80 {}
    }
    appendOption(code, bytes)
  }

  fileprivate mutating func appendOption(_ code: UInt16, _ value: [UInt8]) {
    append(code)
    append(UInt16(value.count))
    append(contentsOf: value)
    pad()
  }
}
