/// Frames and headers that other implementations made.
///
/// Unless said otherwise: captured with tcpdump from Linux 6.18 between two network namespaces that a veth pair joins
/// (checksum offload off), 02:00:00:00:00:1a with 10.0.0.1 and fd00::1 on one side, 02:00:00:00:00:0b with 10.0.0.2 and
/// fd00::2 on the other.
enum GoldenFrames {
  /// The kernel's announcement when an interface comes up (`arp_notify`).
  static let arpAnnouncement = bytes(
    """
    ffffffffffff 02000000000a 0806
    0001 0800 06 04 0001 02000000000a 0a000001 000000000000 0a000001
    """)

  static let arpReply = bytes(
    """
    02000000001a 02000000000b 0806
    0001 0800 06 04 0002 02000000000b 0a000002 02000000001a 0a000001
    """)

  /// bash: echo hello >/dev/udp/10.0.0.2/5000
  static let udp4 = bytes(
    """
    02000000000b 02000000001a 0800
    4500 0022 afdf 4000 40 11 76e9 0a000001 0a000002
    a97d 1388 000e eaed 68656c6c6f0a
    """)

  /// The SYN of bash: echo >/dev/tcp/10.0.0.2/81
  static let tcp4 = bytes(
    """
    02000000000b 02000000001a 0800
    4500 003c 3ce8 4000 40 06 e9d1 0a000001 0a000002
    cdea 0051 129e5251 00000000 a0 02 faf0 0eba 0000
    020405b4 0402080a4fb5a76f00000000 0103030a
    """)

  /// The answer: RST and ACK.
  static let tcp4Reset = bytes(
    """
    02000000001a 02000000000b 0800
    4500 0028 0000 4000 40 06 26ce 0a000002 0a000001
    0051 cdea 00000000 129e5252 50 14 0000 68a2 0000
    """)

  static let udp6 = bytes(
    """
    02000000000b 02000000001a 86dd
    600400e1 000e 11 40 fd000000000000000000000000000001 fd000000000000000000000000000002
    e1f9 1389 000e cc6e 68656c6c6f0a
    """)

  static let tcp6 = bytes(
    """
    02000000000b 02000000001a 86dd
    60047a6d 0028 06 40 fd000000000000000000000000000001 fd000000000000000000000000000002
    aac2 0052 a8623288 00000000 a0 02 fd20 7591 0000
    020405a0 0402080a109844c300000000 0103030a
    """)

  /// A datagram from a socket with hop-by-hop and destination options set.
  static let udp6WithOptions = bytes(
    """
    02000000000b 02000000001a 86dd
    600be0bb 001b 00 40 fd000000000000000000000000000001 fd000000000000000000000000000002
    3c 00 010400000000
    11 00 010400000000
    dad6 138b 000b 360c 686579
    """)

  /// The second fragment of a datagram of 1500 bytes.
  static let fragment6 =
    bytes(
      """
      02000000000b 02000000001a 86dd
      60063a7d 0044 2c 40 fd000000000000000000000000000001 fd000000000000000000000000000002
      11 00 05a8 33e1fb8b
      """) + [UInt8](repeating: 0x7A, count: 60)

  static let neighbourSolicitation = bytes(
    """
    3333ff000002 02000000001a 86dd
    60000000 0020 3a ff fd000000000000000000000000000001 ff0200000000000000000001ff000002
    87 00 7d7e 00000000 fd000000000000000000000000000002 01 01 02000000001a
    """)

  static let neighbourAdvertisement = bytes(
    """
    02000000001a 02000000000b 86dd
    60000000 0020 3a ff fd000000000000000000000000000002 fd000000000000000000000000000001
    88 00 1c91 60000000 fd000000000000000000000000000002 02 01 02000000000b
    """)

  /// The kernel's announcement when an interface comes up (`ndisc_notify`).
  static let neighbourAnnouncement = bytes(
    """
    333300000001 02000000000a 86dd
    60000000 0020 3a ff fd000000000000000000000000000001 ff020000000000000000000000000001
    88 00 5a92 20000000 fd000000000000000000000000000001 02 01 02000000000a
    """)

  /// `udp4` behind a tag; tcpdump 4.99 reads it as "ethertype 802.1Q (0x8100), vlan 100, p 5, DEI".
  static let vlan: [UInt8] = udp4[..<12] + bytes("8100 b064") + udp4[12...]

  /// `udp4` behind two tags; tcpdump 4.99: "802.1Q-QinQ (0x88a8), vlan 200, p 0, 802.1Q (0x8100), vlan 300, p 3, DEI".
  static let doubleVLAN: [UInt8] = udp4[..<12] + bytes("88a8 00c8 8100 712c") + udp4[12...]

  /// What Linux 6.18 wrote to a TAP with IFF_VNET_HDR and TUN_F_CSUM, TSO4, TSO6 for the SYN of a connection from
  /// 10.0.0.1 to 10.0.0.2: virtio-net header, then a frame whose TCP checksum is only the pseudo-header's sum.
  static let virtioTCP =
    bytes("01 00 0000 0000 2200 1000")
    + bytes(
      """
      02000000000b 02000000000a 0800
      4500 003c 266f 4000 40 06 004b 0a000001 0a000002
      9c48 0050 306e32cf 00000000 a0 02 faf0 1431 0000
      020405b4 0402080a7b192a9000000000 0103030a
      """)

  /// The same for ten bytes sent with UDP_SEGMENT 4 while TUN_F_USO4 was on: one frame, to be cut into three.
  static let virtioUDPSegments =
    bytes("01 05 2a00 0400 2200 0600")
    + bytes(
      """
      02000000000b 02000000000a 0800
      4500 0026 801e 4000 40 11 a6a6 0a000001 0a000002
      b3dd 0009 0012 1426 30313233343536373839
      """)

  static let frames: [(name: String, bytes: [UInt8])] = [
    ("ARP announcement", arpAnnouncement), ("ARP reply", arpReply), ("UDP over IPv4", udp4), ("TCP over IPv4", tcp4),
    ("TCP reset", tcp4Reset), ("UDP over IPv6", udp6), ("TCP over IPv6", tcp6), ("IPv6 options", udp6WithOptions),
    ("IPv6 fragment", fragment6), ("neighbour solicitation", neighbourSolicitation),
    ("neighbour advertisement", neighbourAdvertisement), ("neighbour announcement", neighbourAnnouncement),
    ("VLAN", vlan), ("two VLANs", doubleVLAN),
  ]

  /// Hexadecimal digits; blanks and line ends between them are for the reader.
  static func bytes(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }
}
