/// A VXLAN datagram over IPv4 as anybody on the wire may send it, made by hand.
struct ForgedDatagram {
  static let port: UInt16 = 4789
  private static let ipv4: UInt16 = 0x0800

  var source: String
  var destination: String
  /// RFC 7348, 5: the I flag.
  var flags: UInt8 = 8
  var vni = UInt32(OverlayBed.vni)
  /// 0: none.
  var checksum: UInt16 = 0
  /// IPv4's flags and fragment offset.
  var fragment: UInt16 = 0
  /// Of the UDP datagram, in place of what it has.
  var lengthMax = Int.max
  var inner: RawFrame

  init(from source: String, to destination: String, _ inner: RawFrame) {
    (self.source, self.destination, self.inner) = (source, destination, inner)
  }

  /// - Parameter mac: of both ends of the wire.
  func frame(to mac: (to: String, from: String)) -> RawFrame {
    let header = [flags, 0, 0, 0] + Self.bytes(vni << 8)
    let payload = (header + inner.bytes).prefix(lengthMax - 8)
    let ports = Self.bytes(UInt16(0xC000)) + Self.bytes(Self.port)
    let datagram = ports + Self.bytes(UInt16(8 + payload.count)) + Self.bytes(checksum) + payload
    var packet = [0x45, 0] + Self.bytes(UInt16(20 + datagram.count)) + [0, 1] + Self.bytes(fragment) + [64, 17, 0, 0]
    packet += Self.address(source) + Self.address(destination)
    var sum = stride(from: 0, to: packet.count, by: 2).reduce(0) { $0 + Int(packet[$1]) << 8 + Int(packet[$1 + 1]) }
    sum = sum & 0xFFFF + sum >> 16
    packet.replaceSubrange(10..<12, with: Self.bytes(~UInt16(sum & 0xFFFF + sum >> 16)))
    return RawFrame(to: mac.to, from: mac.from, type: Self.ipv4, payload: packet + datagram)
  }

  private static func address(_ text: String) -> [UInt8] { text.split(separator: ".").map { UInt8($0)! } }

  private static func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
  }
}
