import CLibpcap

/// A filter expression as tcpdump takes it (pcap-filter(7)), compiled for Ethernet.
///
/// Threads: any number may ask `matches` at the same time.
public struct CaptureFilter: ~Copyable, @unchecked Sendable {
  /// Bytes of an expression.
  public static let expressionLengthMax = 4096

  /// A struct bpf_program: an int and a pointer (pcap/bpf.h).
  private let memory: UnsafeMutableRawPointer
  private static let programLength = 2 * MemoryLayout<UnsafeRawPointer>.size

  /// Not for a worker's thread: a host's name in the expression is asked for over the network (getaddrinfo(3)).
  /// - Parameter expression: an empty one matches every frame.
  public init(_ expression: String) throws(CaptureError) {
    guard expression.utf8.count <= Self.expressionLengthMax else {
      throw CaptureError("a filter has at most \(Self.expressionLengthMax) bytes")
    }
    guard !expression.utf8.contains(0) else { throw CaptureError("a filter has no zero byte") }
    guard let handle = pcap_open_dead(DLT_EN10MB, CaptureReader.frameLengthMax) else {
      throw CaptureError("no memory for a filter")
    }
    defer { pcap_close(handle) }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: Self.programLength, alignment: 16)
    guard pcap_compile(handle, OpaquePointer(memory), expression, 1, PCAP_NETMASK_UNKNOWN) == 0 else {
      memory.deallocate()
      throw CaptureError("filter '\(expression)': \(String(cString: pcap_geterr(handle)))")
    }
    self.memory = memory
  }

  fileprivate var program: UnsafeRawPointer { UnsafeRawPointer(memory) }

  deinit {
    pcap_freecode(OpaquePointer(memory))
    memory.deallocate()
  }

  /// - Parameters:
  ///   - bytes: from the Ethernet header on, as far as there are any.
  ///   - originalLength: of the whole frame, which `greater` and `less` compare; nil: there is no more than `bytes`.
  public func matches(_ bytes: RawSpan, originalLength: Int? = nil) -> Bool {
    bytes.withUnsafeBytes {
      // Not read at all where there are none.
      let start = $0.baseAddress ?? UnsafeRawPointer(memory)
      let length = UInt32(clamping: $0.count)
      var header = pcap_pkthdr(ts: timeval(), caplen: length, len: UInt32(clamping: originalLength ?? $0.count))
      return pcap_offline_filter(OpaquePointer(memory), &header, start.assumingMemoryBound(to: UInt8.self)) != 0
    }
  }
}

/// A filter that others run who know nothing of this module.
public final class SharedCaptureFilter: Sendable {
  private let filter: CaptureFilter

  /// As `CaptureFilter`.
  public init(_ expression: String) throws(CaptureError) { filter = try CaptureFilter(expression) }

  /// For `function`, while this lives.
  public var program: UnsafeRawPointer { filter.program }

  /// Whether the program takes a frame of which `length` bytes are there. Any thread; no allocation, no lock.
  public static let function:
    @convention(c) (
      _ program: UnsafeRawPointer, _ bytes: UnsafeRawPointer, _ length: UInt32, _ originalLength: UInt32
    ) -> Bool = { program, bytes, length, originalLength in
      var header = pcap_pkthdr(ts: timeval(), caplen: length, len: originalLength)
      return pcap_offline_filter(OpaquePointer(program), &header, bytes.assumingMemoryBound(to: UInt8.self)) != 0
    }
}
