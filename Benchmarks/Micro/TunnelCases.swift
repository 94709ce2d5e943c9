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

var tunnelCases: [MicroCase] {
  [
    tunnelCase("VXLAN over IPv4, in and out", local: "10.8.0.1", remote: "10.8.0.2"),
    tunnelCase("VXLAN over IPv6 with a checksum, in and out", local: "fd08::1", remote: "fd08::2"),
  ]
}
