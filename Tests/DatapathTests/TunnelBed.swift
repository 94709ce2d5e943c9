import Glibc
import Tables
import Wire

@testable import Datapath

/// Memory as a worker's buffer has it: room before the frame, and right behind it, or behind `room` bytes, a page that
/// faults. What lies before is filled with a pattern, so that a write too far is seen.
final class TunnelBuffer {
  static let headroom = 128
  private static let pageSize = 4096
  private static let byteCount = 20 * pageSize
  private static let canary: UInt8 = 0xA5
  private let memory: UnsafeMutableRawPointer
  private(set) var frame: FrameDescriptor

  init() {
    memory = mmap(nil, Self.byteCount + Self.pageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    precondition(memory != MAP_FAILED && mprotect(memory + Self.byteCount, Self.pageSize, PROT_NONE) == 0)
    frame = FrameDescriptor(start: memory, length: 0, port: 0, buffer: 0)
  }

  convenience init(_ message: [UInt8], room: Int = 0) {
    self.init()
    fill(message, room: room)
  }

  deinit { munmap(memory, Self.byteCount + Self.pageSize) }

  func fill(_ message: [UInt8], room: Int = 0) {
    let start = memory + (Self.byteCount - room - message.count)
    message.withUnsafeBytes { start.copyMemory(from: $0.baseAddress!, byteCount: message.count) }
    memset(start - 2 * Self.headroom, Int32(Self.canary), 2 * Self.headroom)
    frame = FrameDescriptor(start: start, length: UInt32(message.count), port: 3, buffer: 4)
  }

  /// Nothing has been written below `headroom` bytes before the frame.
  var isIntactBelow: Bool {
    (0..<Self.headroom).allSatisfy {
      (frame.start - 2 * Self.headroom).load(fromByteOffset: $0, as: UInt8.self) == Self.canary
    }
  }

  /// The descriptor's bytes lie within what the buffer may use.
  func holds(_ other: FrameDescriptor, room: Int = 0) -> Bool {
    other.start >= frame.start - Self.headroom
      && other.start + Int(other.length) <= frame.start + Int(frame.length) + room
      && other.port == frame.port && other.buffer == frame.buffer
  }

  static func bytes(_ frame: FrameDescriptor) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: frame.start, count: Int(frame.length)))
  }
}

extension TunnelRemote {
  static func golden(
    _ underlay: GoldenTunnel.Underlay, timeToLive: UInt8 = 64, trafficClass: TunnelTrafficClass = .fixed(0),
    seed: UInt64 = 7
  ) -> TunnelRemote {
    let isIPv6 = underlay == .ipv6 || underlay == .ipv6Unsummed
    let (source, destination) = (GoldenTunnel.source, GoldenTunnel.destination)
    return TunnelRemote(
      local: isIPv6 ? source.v6 : source.v4, remote: isIPv6 ? destination.v6 : destination.v4, vni: GoldenTunnel.vni,
      timeToLive: timeToLive, trafficClass: trafficClass,
      sumsDatagrams: underlay == .ipv4Summed || underlay == .ipv6, hash: KeyedHash(seed: seed))!
  }
}

/// The inner frame; nil where it was dropped.
func decapsulated(
  _ message: [UInt8], _ ingress: TunnelIngress = TunnelIngress(takesIPv6WithoutChecksum: true)
) -> [UInt8]? {
  let buffer = TunnelBuffer(message)
  guard case .frame(let result) = ingress.decapsulate(buffer.frame) else { return nil }
  return TunnelBuffer.bytes(result.frame)
}

func dropReason(_ message: [UInt8], _ ingress: TunnelIngress = TunnelIngress()) -> DropReason? {
  let buffer = TunnelBuffer(message)
  guard case .drop(let reason) = ingress.decapsulate(buffer.frame) else { return nil }
  return reason
}
