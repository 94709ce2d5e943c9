import Testing
import Wire

@Suite struct MACAddressTests {
  @Test func textAndBytes() {
    let address = MACAddress("02:42:ac:11:00:02")!
    #expect(address.bits == 0x0242_AC11_0002)
    #expect(address.bytes == [0x02, 0x42, 0xAC, 0x11, 0x00, 0x02])
    #expect(address.description == "02:42:ac:11:00:02")
    #expect(MACAddress("02-42-AC-11-00-02") == address)
    #expect(MACAddress("2:42:ac:11:0:2") == address)
    #expect(MACAddress(bytes: address.bytes) == address)
    #expect(MACAddress(bytes: address.bytes.dropLast()) == nil)
    #expect(MACAddress(bits: .max) == .broadcast)
  }

  @Test(arguments: [
    "", "02:42:ac:11:00", "02:42:ac:11:00:02:03", "02:42:ac:11:00:", ":02:42:ac:11:00", "02:42:ac:11:00:100",
    "02:42:ac:11:00:0g", "02:42-ac:11:00:02", "0242ac110002", "02:42:ac:11:00:+2", " 02:42:ac:11:00:02",
    "02:42:ac:11:00:０2",
  ])
  func refuses(text: String) {
    #expect(MACAddress(text) == nil)
  }

  /// The bits of IEEE 802-2014, 8.2.2, and the reserved block of IEEE 802.1Q-2018, table 8-1.
  @Test func kinds() {
    #expect(MACAddress("01:00:5e:00:00:01")!.isGroup && !MACAddress("02:00:00:00:00:01")!.isGroup)
    #expect(MACAddress.broadcast.isGroup && !MACAddress.broadcast.isValidSource && !MACAddress.zero.isValidSource)
    #expect(MACAddress("02:00:00:00:00:01")!.isLocallyAdministered)
    #expect(!MACAddress("00:1b:21:00:00:01")!.isLocallyAdministered)
    #expect(MACAddress("01:80:c2:00:00:00")!.isLinkLocalControl && MACAddress("01:80:c2:00:00:0f")!.isLinkLocalControl)
    #expect(!MACAddress("01:80:c2:00:00:10")!.isLinkLocalControl)
  }
}

@Suite struct IPv4AddressTests {
  @Test func textAndBytes() {
    let address = IPv4Address("192.0.2.1")!
    #expect(address.bits == 0xC000_0201 && address.bytes == [192, 0, 2, 1] && address.description == "192.0.2.1")
    #expect(IPv4Address(bytes: [192, 0, 2, 1]) == address)
    #expect(IPv4Address(bytes: [192, 0, 2]) == nil)
    #expect(IPv4Address("0.0.0.0") == .any)
    #expect(IPv4Address("255.255.255.255")?.bits == .max)
  }

  @Test(arguments: [
    "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04", "1..2.3", "1.2.3.4 ", "1.2.3.-4", "1.2.3.+4", "0x1.2.3.4",
  ])
  func refuses(text: String) {
    #expect(IPv4Address(text) == nil)
  }

  @Test func kinds() {
    #expect(IPv4Address("224.0.0.1")!.isMulticast && IPv4Address("239.255.255.255")!.isMulticast)
    #expect(!IPv4Address("240.0.0.0")!.isMulticast && !IPv4Address("223.255.255.255")!.isMulticast)
    #expect(IPv4Address("127.1.2.3")!.isLoopback && !IPv4Address("128.0.0.1")!.isLoopback)
    #expect(IPv4Address("9.255.255.255")! < IPv4Address("10.0.0.0")!)
  }
}

@Suite struct IPv6AddressTests {
  /// RFC 5952, 4 and 5: what was meant, and how it is to be written.
  @Test(arguments: [
    ("2001:0db8::0001", "2001:db8::1"), ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
    ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    ("2001:DB8::AAAA", "2001:db8::aaaa"), ("0:0:0:0:0:FFFF:192.0.2.1", "::ffff:192.0.2.1"),
  ])
  func canonicalForm(text: String, canonical: String) {
    #expect(IPv6Address(text)?.description == canonical)
  }

  /// RFC 4291, 2.2.
  @Test(
    arguments: [
      ("ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", 0xABCD_EF01_2345_6789_ABCD_EF01_2345_6789),
      ("2001:DB8::8:800:200C:417A", 0x2001_0DB8_0000_0000_0008_0800_200C_417A), ("FF01::101", 0xFF01 << 112 | 0x101),
      ("::1", 1), ("::", 0), ("::13.1.68.3", 0x0D01_4403), ("::FFFF:129.144.52.38", 0xFFFF_8190_3426),
      ("1::", 1 << 112), ("::2:3:4:5:6:7:8", 0x0002_0003_0004_0005_0006_0007_0008),
      ("1:2:3:4:5:6:7::", 0x0001_0002_0003_0004_0005_0006_0007_0000),
    ] as [(String, UInt128)])
  func forms(text: String, bits: UInt128) {
    #expect(IPv6Address(text)?.bits == bits)
  }

  @Test(arguments: [
    "", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "1:::2", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:",
    "12345::",
    "g::", "1:2:3:4::5:6:7:8", "::1.2.3", "::1.2.3.4:1", "1.2.3.4::", "1:2:3:4:5:6:7:1.2.3.4", "fe80::1%eth0", "::1 ",
    "::+1", "::1/64",
  ])
  func refuses(text: String) {
    #expect(IPv6Address(text) == nil)
  }

  @Test func bytes() {
    let address = IPv6Address("2001:db8::1")!
    #expect(address.bytes == [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    #expect(IPv6Address(bytes: address.bytes) == address && IPv6Address(bytes: [1, 2, 3, 4]) == nil)
  }

  @Test func kinds() {
    #expect(IPv6Address("ff02::1")!.isMulticast && !IPv6Address("fe80::1")!.isMulticast)
    #expect(
      IPv6Address("fe80::1")!.isLinkLocal && IPv6Address("febf::1")!.isLinkLocal && !IPv6Address("fec0::1")!.isLinkLocal
    )
    #expect(IPv6Address("fc00::1")!.isUniqueLocal && IPv6Address("fdff::1")!.isUniqueLocal)
    #expect(!IPv6Address("fe00::1")!.isUniqueLocal)
    #expect(IPv6Address("::1")!.isLoopback && !IPv6Address.any.isLoopback)
    // RFC 4291, 2.7.1, and RFC 2464, 7.
    #expect(IPv6Address("4037::01:800:200E:8C6C")!.solicitedNode == IPv6Address("FF02::1:FF0E:8C6C"))
    #expect(IPv6Address("ff02::1:ff0e:8c6c")!.multicastMAC == MACAddress("33:33:ff:0e:8c:6c"))
  }
}

@Suite struct IPPrefixTests {
  @Test func textAndRange() {
    let prefix = IPPrefix("10.1.2.3/20")!
    #expect(prefix.description == "10.1.2.3/20" && prefix.network.description == "10.1.0.0/20")
    #expect(prefix.first == IPAddress("10.1.0.0") && prefix.last == IPAddress("10.1.15.255"))
    #expect(!prefix.isNetwork && prefix.network.isNetwork)
    #expect(prefix.contains(IPAddress("10.1.15.255")!) && !prefix.contains(IPAddress("10.1.16.0")!))
    #expect(!prefix.contains(IPAddress("::10.1.2.3")!))
  }

  @Test(arguments: [
    ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"), ("10.0.0.1/32", "10.0.0.1", "10.0.0.1"),
    ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), ("fd00::1/128", "fd00::1", "fd00::1"),
    ("fd00::5/64", "fd00::", "fd00::ffff:ffff:ffff:ffff"),
  ])
  func ends(text: String, first: String, last: String) {
    #expect(IPPrefix(text)?.first.description == first && IPPrefix(text)?.last.description == last)
  }

  @Test(arguments: [
    "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "fd00::/129", "10.0.0/8", "/8",
    "10.0.0.0/8/8",
  ])
  func refuses(text: String) {
    #expect(IPPrefix(text) == nil)
  }

  @Test func overlaps() {
    let wide = IPPrefix("172.16.0.0/12")!
    #expect(wide.overlaps(IPPrefix("172.17.0.0/16")!) && IPPrefix("172.17.0.0/16")!.overlaps(wide))
    #expect(wide.contains(IPPrefix("172.17.0.0/16")!) && !IPPrefix("172.17.0.0/16")!.contains(wide))
    #expect(!wide.overlaps(IPPrefix("172.32.0.0/16")!) && !wide.overlaps(IPPrefix("::/0")!))
  }

  @Test func addressOfEitherFamily() {
    let v4 = IPAddress("10.0.0.255")!
    #expect(!v4.isIPv6 && v4.bitWidth == 32 && v4.sameFamily(bits: v4.bits + 1).description == "10.0.1.0")
    #expect(IPAddress(bytes: v4.bytes) == v4 && IPAddress(bytes: [1, 2, 3]) == nil)
    let v6 = IPAddress("fd00::1")!
    #expect(v6.isIPv6 && v6.bitWidth == 128 && IPAddress(bytes: v6.bytes) == v6 && IPAddress("fd00") == nil)
  }
}
