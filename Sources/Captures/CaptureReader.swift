import CLibpcap
import Glibc

// Theory of operation.
//
// libpcap reads the packets: pcap and pcapng of either byte order, with times of any resolution, and it distrusts every length. It
// does not tell which interface a pcapng file's packet is of, nor in which direction it went, so the file's blocks are walked beside it
// (`PacketOrigins`). What that makes of a broken file matters little, as libpcap stops there.
//
// What is no regular file, a pipe say, is first taken into memory, so that it can be walked, and read twice.

/// Reads the Ethernet frames of a pcap or pcapng file, one after the other.
///
/// Thread: one at a time.
public struct CaptureReader: ~Copyable {
  /// Bytes of a frame: libpcap's MAXIMUM_SNAPLEN, which it holds pcap files to, but not pcapng's.
  public static let frameLengthMax: Int32 = 262_144
  /// Bytes that are taken from a pipe.
  public static let spooledLengthMax = 1 << 30
  /// Timestamps are below this: the year 2262. Nanoseconds.
  static let secondsMax = Int(Int64.max) / 1_000_000_000

  /// As it was given.
  public let path: String
  /// Names of a pcapng file's interfaces, in the file's order; `ifN` where one has no name. Several sections may name one again.
  /// Empty for pcap, which names none.
  public let interfaces: [String]
  /// Frames read since the start.
  public private(set) var count = 0

  private let file: Int32
  private var handle: OpaquePointer
  private var origins: PacketOrigins

  /// - Parameter path: `-`: standard input.
  public init(path: String) throws(CaptureError) {
    let file = try Self.open(path)
    do {
      handle = try Self.start(file, path)
    } catch {
      close(file)
      throw error
    }
    (self.path, self.file) = (path, file)
    origins = PacketOrigins(file)
    interfaces = PacketOrigins.interfaces(of: file)
  }

  deinit {
    pcap_close(handle)
    close(file)
  }

  /// The next frame; nil at the file's end. After an error there is nothing more to read: what was read before holds.
  @_lifetime(&self)
  public mutating func next() throws(CaptureError) -> CapturedFrame? {
    var header: UnsafeMutablePointer<pcap_pkthdr>?
    var bytes: UnsafePointer<UInt8>?
    let result = pcap_next_ex(handle, &header, &bytes)
    if result == PCAP_ERROR_BREAK { return nil }
    guard result == 1, let header = header?.pointee, let bytes else {
      throw refusal(String(cString: pcap_geterr(handle)))
    }
    let origin = origins.next()
    guard header.caplen <= UInt32(Self.frameLengthMax) else {
      throw refusal("it has \(header.caplen) bytes, more than \(Self.frameLengthMax)")
    }
    guard header.len >= header.caplen else {
      throw refusal("it claims to have had \(header.len) bytes, and has \(header.caplen)")
    }
    guard (0..<Self.secondsMax).contains(header.ts.tv_sec), (0..<1_000_000_000).contains(header.ts.tv_usec) else {
      throw refusal("its time is out of range")
    }
    count += 1
    let span = RawSpan(_unsafeStart: UnsafeRawPointer(bytes), byteCount: Int(header.caplen))
    let frame = CapturedFrame(
      bytes: span, originalLength: Int(header.len),
      nanoseconds: UInt64(header.ts.tv_sec) * 1_000_000_000 + UInt64(header.ts.tv_usec),
      interface: origin?.interface, direction: origin?.direction ?? .unknown)
    return _overrideLifetime(frame, mutating: &self)
  }

  /// From the first frame again.
  public mutating func rewind() throws(CaptureError) {
    let handle = try Self.start(file, path)
    pcap_close(self.handle)
    (self.handle, origins, count) = (handle, PacketOrigins(file), 0)
  }

  private func refusal(_ reason: String) -> CaptureError {
    CaptureError("\(path): packet \(count + 1) cannot be read: \(reason)")
  }

  private static func open(_ path: String) throws(CaptureError) -> Int32 {
    let file = path == "-" ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw .system(path) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT != S_IFREG else { return file }
    defer { close(file) }
    return try spool(file, path)
  }

  private static func spool(_ file: Int32, _ path: String) throws(CaptureError) -> Int32 {
    let memory = memfd_create("martlet-capture", UInt32(MFD_CLOEXEC))
    guard memory >= 0 else { throw .system("memory for \(path)") }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    var length = 0
    while true {
      let count = read(file, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      if count == 0 { return memory }
      length += max(0, count)
      guard count > 0, length <= spooledLengthMax, write(memory, buffer, count) == count else {
        let error =
          length > spooledLengthMax
          ? CaptureError("\(path): at most \(spooledLengthMax) bytes are taken from a pipe; write them to a file first")
          : CaptureError.system(path)
        close(memory)
        throw error
      }
    }
  }

  private static func start(_ file: Int32, _ path: String) throws(CaptureError) -> OpaquePointer {
    // The stream, and with it the copy of the descriptor, goes with libpcap's handle.
    let copy = fcntl(file, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0, lseek(copy, 0, SEEK_SET) == 0, let stream = fdopen(copy, "r") else {
      let error = CaptureError.system(path)
      if copy >= 0 { close(copy) }
      throw error
    }
    var reason = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
    let opened = pcap_fopen_offline_with_tstamp_precision(stream, UInt32(PCAP_TSTAMP_PRECISION_NANO), &reason)
    guard let handle = opened else {
      fclose(stream)
      throw CaptureError("\(path) is no capture that can be read: \(text(reason))")
    }
    let type = pcap_datalink(handle)
    guard type == DLT_EN10MB else {
      let name = pcap_datalink_val_to_name(type).map { String(cString: $0) } ?? "\(type)"
      pcap_close(handle)
      throw CaptureError("\(path) has packets of link type \(name): only Ethernet (EN10MB) can be read")
    }
    return handle
  }

  private static func text(_ buffer: [CChar]) -> String {
    String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

/// One frame of a capture. Its bytes are the reader's, until the next one.
public struct CapturedFrame: ~Escapable {
  /// From the Ethernet header on; perhaps fewer than the frame had.
  public let bytes: RawSpan
  /// Bytes that the frame had; at least as many as there are.
  public let originalLength: Int
  /// Since 1970 (UTC).
  public let nanoseconds: UInt64
  /// Its place in `CaptureReader.interfaces`; nil: the file does not say.
  public let interface: Int?
  public let direction: CaptureDirection

  @_lifetime(copy bytes)
  init(
    bytes: RawSpan, originalLength: Int, nanoseconds: UInt64, interface: Int?, direction: CaptureDirection
  ) {
    (self.bytes, self.originalLength, self.nanoseconds) = (bytes, originalLength, nanoseconds)
    (self.interface, self.direction) = (interface, direction)
  }
}

/// As the interface sees it (draft-ietf-opsawg-pcapng, 4.3.1, the two lowest bits of epb_flags).
public enum CaptureDirection: UInt32, Sendable {
  case unknown = 0
  case inbound = 1
  case outbound = 2
}
