import CLinux
import Glibc
import Relay
import SystemCalls
import Testing
import Wire

/// Frames from the container that are addressed to 127.0.0.1, at a host that would take them (route_localnet).
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct LoopbackTests {
  /// A packet socket on the container's veth0.
  struct Wire {
    let socket: TestSocket
    let hostMAC: [UInt8]
    let containerMAC: [UInt8]

    init(_ bed: TestBed) throws {
      hostMAC = try Self.address(bed.host)
      containerMAC = try Self.address(bed.container)
      let number = try bed.inContainer { () throws -> Int32 in
        let number = Glibc.socket(AF_PACKET, Int32(SOCK_RAW.rawValue), Int32(UInt16(ETH_P_IP).bigEndian))
        guard number >= 0 else { throw Errno.current("open a packet socket") }
        var end = sockaddr_ll()
        end.sll_family = UInt16(AF_PACKET)
        end.sll_protocol = UInt16(ETH_P_IP).bigEndian
        end.sll_ifindex = Int32(if_nametoindex("veth0"))
        let result = withUnsafePointer(to: &end) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(number, .init(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_ll>.size))
          }
        }
        guard result == 0 else { throw Errno.current("bind a packet socket") }
        return number
      }
      socket = TestSocket(number)
    }

    private static func address(_ namespace: String) throws -> [UInt8] {
      try command("ip", "netns", "exec", namespace, "cat", "/sys/class/net/veth0/address")
        .split(separator: ":").map { UInt8($0.prefix(2), radix: 16)! }
    }

    /// From 10.88.0.2 port 5555 to 127.0.0.1.
    func send(_ transportProtocol: UInt8, _ segment: [UInt8]) throws {
      let source: [UInt8] = [10, 88, 0, 2]
      let destination: [UInt8] = [127, 0, 0, 1]
      let length = 20 + segment.count
      var header: [UInt8] = [
        0x45, 0, UInt8(length >> 8), UInt8(length & 0xFF), 0, 1, 0, 0, 64, transportProtocol, 0, 0,
      ]
      header += source + destination
      (header[10], header[11]) = Self.checksum(header)
      let frame = hostMAC + containerMAC + [0x08, 0x00] + header + segment
      guard Glibc.send(socket.number, frame, frame.count, 0) == frame.count else { throw Errno.current("send a frame") }
    }

    /// RFC 768, with checksum 0: none.
    func sendDatagram(to port: UInt16, _ text: String) throws {
      let length = 8 + text.utf8.count
      try send(17, [0x15, 0xB3, UInt8(port >> 8), UInt8(port & 0xFF), 0, UInt8(length), 0, 0] + Array(text.utf8))
    }

    /// RFC 9293, 3.1: a SYN.
    func sendSYN(to port: UInt16) throws {
      var segment: [UInt8] = [0x15, 0xB3, UInt8(port >> 8), UInt8(port & 0xFF)]
      segment += [0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xFF, 0xFF, 0, 0, 0, 0]
      (segment[16], segment[17]) = Self.checksum([10, 88, 0, 2, 127, 0, 0, 1, 0, 6, 0, UInt8(segment.count)] + segment)
      try send(6, segment)
    }

    /// The flags of the next TCP segment from 127.0.0.1 and `port`.
    func flags(from port: UInt16) throws -> UInt8 {
      var frame = [UInt8](repeating: 0, count: 2048)
      while true {
        let count = recv(socket.number, &frame, frame.count, 0)
        guard count >= 0 else { throw Errno.current("wait for an answer") }
        if count >= 54, frame[23] == 6, frame[26] == 127, frame[34] == UInt8(port >> 8), frame[35] == UInt8(port & 0xFF)
        {
          return frame[47]
        }
      }
    }

    /// RFC 1071, of an even number of bytes.
    private static func checksum(_ bytes: [UInt8]) -> (UInt8, UInt8) {
      var sum: UInt32 = 0
      for index in stride(from: 0, to: bytes.count, by: 2) {
        sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
      }
      while sum >> 16 != 0 { sum = sum & 0xFFFF + sum >> 16 }
      return (UInt8(~sum >> 8 & 0xFF), UInt8(~sum & 0xFF))
    }
  }

  private func prepare(_ bed: TestBed) throws {
    for interface in ["all", "veth0"] {
      try bed.setHostSysctl("ipv4/conf/\(interface)/route_localnet", to: "1")
      try bed.setHostSysctl("ipv4/conf/\(interface)/rp_filter", to: "0")
    }
    // The container would not answer a request of 127.0.0.1 for its MAC.
    let mac = try command("ip", "netns", "exec", bed.container, "cat", "/sys/class/net/veth0/address").prefix(17)
    try command(
      "ip", "-n", bed.host, "neighbour", "add", TestBed.containerV4, "lladdr", String(mac), "dev", "veth0")
  }

  /// What is published on all addresses is reached so, which shows that the frame is good.
  @Test func craftedSYNDoesNotReachAPortOnLoopback() throws {
    try TestBed.run { bed in
      try prepare(bed)
      let relay = try Relay()
      try relay.open(published(.tcp, "0.0.0.0", 8080...8080))
      try relay.open(published(.tcp, "127.0.0.1", 8081...8081))
      let wire = try Wire(bed)
      try wire.sendSYN(to: 8080)
      #expect(try wire.flags(from: 8080) == 0x12)  // SYN and ACK.
      try wire.sendSYN(to: 8081)
      #expect(try wire.flags(from: 8081) == 0x14)  // RST and ACK.
    }
  }

  @Test func craftedDatagramDoesNotReachAPortOnLoopback() throws {
    try TestBed.run { bed in
      try prepare(bed)
      let server = try bed.server(SOCK_DGRAM)
      let relay = try Relay()
      try relay.open(published(.udp, "127.0.0.1", 8081...8081))
      try relay.open(published(.udp, "0.0.0.0", 8080...8080))
      let wire = try Wire(bed)
      try wire.sendDatagram(to: 8081, "loopback")
      try wire.sendDatagram(to: 8080, "anywhere")
      #expect(try server.receive() == "anywhere")
      #expect(relay.statistics.clientsAdded == 1)
    }
  }
}
