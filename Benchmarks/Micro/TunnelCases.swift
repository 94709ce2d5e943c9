import Datapath
import Tables
import Wire

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
  let remote = TunnelRemote(
    local: IPAddress(local)!, remote: IPAddress(remote)!, vni: 5001, hash: KeyedHash(seed: 42))!
  return MicroCase(name, operations: burstCount * burstsPerRun) {
    Burst(to: MACAddress(bits: 2), from: MACAddress(bits: 1), headroom: TunnelRemote.headroom)
  } body: { burst in
    for _ in 0..<burstsPerRun { keep(passThrough(UnsafeBufferPointer(burst.frames), remote)) }
  }
}

/// A UDP datagram as it comes from a wire: IPv4, both checksums complete.
private final class WireDatagram {
  private static let transport = VirtioNetHeader.length + EthernetView.headerLength + IPv4View.headerLengthMin
  let frame: FrameDescriptor
  private let checksum: UInt16

  init(payload: Int) {
    let udp = 8 + payload
    func octets(_ value: Int) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }
    let header = [0x45, 0] + octets(20 + udp) + [0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
    let bytes =
      [UInt8](repeating: 0, count: VirtioNetHeader.length) + [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0] + header
      + [0x30, 0x39, 0x1B, 0x58] + octets(udp) + [0, 0] + [UInt8](repeating: 0x5A, count: payload)
    let start = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 64)
    start.copyMemory(from: bytes, byteCount: bytes.count)
    frame = FrameDescriptor(start: start, length: UInt32(bytes.count), port: 0, buffer: 0)
    var sum = InternetChecksum()
    let headerLength = IPv4View.headerLengthMin
    sum.add(RawSpan(_unsafeStart: start + Self.transport - headerLength, byteCount: headerLength))
    start.storeBytes(of: sum.value.bigEndian, toByteOffset: Self.transport - 10, as: UInt16.self)
    let addresses = (IPv4Address(bits: 0x0A00_0001), IPv4Address(bits: 0x0A00_0002))
    sum = InternetChecksum(source: addresses.0, destination: addresses.1, protocol: .udp, length: udp)
    sum.add(RawSpan(_unsafeStart: start + Self.transport, byteCount: udp))
    checksum = sum.value.bigEndian
  }

  deinit { frame.start.deallocate() }

  /// As it came.
  func restore() {
    VirtioNetHeader().store(to: frame.start)
    frame.start.storeBytes(of: checksum, toByteOffset: Self.transport + UDPView.checksumOffset, as: UInt16.self)
  }
}

private func checksumCase(_ name: String, payload: Int) -> MicroCase {
  MicroCase(name, operations: burstCount) {
    WireDatagram(payload: payload)
  } body: { datagram in
    for _ in 0..<burstCount {
      datagram.restore()
      UDPFlow.leaveChecksum(datagram.frame)
      precondition(datagram.frame.start.load(as: UInt8.self) == 1)
    }
  }
}

var tunnelCases: [MicroCase] {
  [
    tunnelCase("VXLAN over IPv4, in and out", local: "10.8.0.1", remote: "10.8.0.2"),
    tunnelCase("VXLAN over IPv6 with a checksum, in and out", local: "fd08::1", remote: "fd08::2"),
    checksumCase("UDP from a wire, 18 bytes, its checksum left again", payload: 18),
    checksumCase("UDP from a wire, 256 bytes, its checksum left again", payload: 256),
  ]
}
