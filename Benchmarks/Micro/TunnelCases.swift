import Datapath
import Tables
import Wire

private let burstCount = 32
private let burstsPerRun = 32
/// From one frame to the next, in bytes: room for the outer headers before each.
private let stride = 256

/// Small UDP datagrams with a partial checksum, and the remote that they go to.
private final class TunnelBurst {
  let remote: TunnelRemote
  let frames: UnsafeMutableBufferPointer<FrameDescriptor>
  private let memory: UnsafeMutableRawBufferPointer

  init(local: String, remote: String) {
    self.remote = TunnelRemote(
      local: IPAddress(local)!, remote: IPAddress(remote)!, vni: 5001, hash: KeyedHash(seed: 42))!
    let bytes: [UInt8] =
      [1, 0, 0, 0, 0, 0, 34, 0, 6, 0] + [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]
      + [0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
      + [0x30, 0x39, 0x1B, 0x58, 0, 26, 0, 0] + [UInt8](repeating: 0x5A, count: 18)
    memory = .allocate(byteCount: burstCount * stride, alignment: 64)
    frames = .allocate(capacity: burstCount)
    for index in 0..<burstCount {
      let start = memory.baseAddress! + (index * stride + TunnelRemote.headroom)
      start.copyMemory(from: bytes, byteCount: bytes.count)
      frames.initializeElement(
        at: index, to: FrameDescriptor(start: start, length: UInt32(bytes.count), port: 0, buffer: UInt16(index)))
    }
  }

  deinit {
    memory.deallocate()
    frames.deallocate()
  }
}

/// Into the tunnel and out again, which leaves the frames as they were.
@inline(never)
private func passThrough(_ burst: UnsafeBufferPointer<FrameDescriptor>, _ remote: TunnelRemote) -> UInt64 {
  let ingress = TunnelIngress()
  var passed: UInt64 = 0
  for frame in burst {
    guard let outer = remote.encapsulate(frame), case .frame(let result) = ingress.decapsulate(outer) else { continue }
    passed &+= UInt64(result.frame.length)
  }
  return passed
}

private func tunnelCase(_ name: String, local: String, remote: String) -> MicroCase {
  MicroCase(name, operations: burstCount * burstsPerRun) {
    TunnelBurst(local: local, remote: remote)
  } body: { burst in
    for _ in 0..<burstsPerRun { keep(passThrough(UnsafeBufferPointer(burst.frames), burst.remote)) }
  }
}

var tunnelCases: [MicroCase] {
  [
    tunnelCase("VXLAN over IPv4, in and out", local: "10.8.0.1", remote: "10.8.0.2"),
    tunnelCase("VXLAN over IPv6 with a checksum, in and out", local: "fd08::1", remote: "fd08::2"),
  ]
}
