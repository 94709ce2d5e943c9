/// Writes the external data representation (RFC 4506): everything in units of four bytes, the most significant byte first.
struct XDRWriter {
  private(set) var bytes: [UInt8] = []

  mutating func write(_ value: UInt32) { withUnsafeBytes(of: value.bigEndian) { bytes += $0 } }

  /// A hyper integer (4.5).
  mutating func write(_ value: UInt64) { withUnsafeBytes(of: value.bigEndian) { bytes += $0 } }

  /// Opaque data or a string of variable length (4.10, 4.11): its length, the bytes, and zeros up to a whole unit.
  mutating func write(opaque data: [UInt8]) {
    write(UInt32(data.count))
    write(plain: data)
    bytes += [UInt8](repeating: 0, count: -data.count & 3)
  }

  /// Bytes as they are.
  mutating func write(plain data: [UInt8]) { bytes += data }
}
