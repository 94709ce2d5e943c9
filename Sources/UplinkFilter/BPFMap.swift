import CLibbpf
import Glibc
import SystemCalls
import Wire

/// A map of a loaded object, by its descriptor, which is the object's. Keys and values have the sizes that the map was made with.
struct BPFMap {
  private let descriptor: Int32

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  /// false: the key is there already, and keeps its value.
  func insert(_ key: some BitwiseCopyable, _ value: some BitwiseCopyable) throws(Errno) -> Bool {
    let result = update(key, value, UInt64(BPF_NOEXIST))
    if result == -EEXIST { return false }
    _ = try check(result, "add an entry to a BPF map")
    return true
  }

  func set(_ key: some BitwiseCopyable, _ value: some BitwiseCopyable) throws(Errno) {
    _ = try check(update(key, value, UInt64(BPF_ANY)), "set an entry of a BPF map")
  }

  private func update(_ key: some BitwiseCopyable, _ value: some BitwiseCopyable, _ flags: UInt64) -> Int32 {
    withUnsafeBytes(of: key) { key in
      withUnsafeBytes(of: value) { bpf_map_update_elem(descriptor, key.baseAddress, $0.baseAddress, flags) }
    }
  }

  /// false: it was not there.
  @discardableResult
  func remove(_ key: some BitwiseCopyable) throws(Errno) -> Bool {
    let result = withUnsafeBytes(of: key) { bpf_map_delete_elem(descriptor, $0.baseAddress) }
    if result == -ENOENT { return false }
    _ = try check(result, "remove an entry of a BPF map")
    return true
  }

  /// nil: no such key. `value` says only of what kind it is.
  func value<Value: BitwiseCopyable>(of key: some BitwiseCopyable, like value: Value) -> Value? {
    var value = value
    let result = withUnsafeBytes(of: key) { key in
      withUnsafeMutableBytes(of: &value) { bpf_map_lookup_elem(descriptor, key.baseAddress, $0.baseAddress) }
    }
    return result == 0 ? value : nil
  }

  /// All keys, of a map that nobody else changes meanwhile. `key` says only of what kind they are.
  func keys<Key: BitwiseCopyable>(like key: Key) -> [Key] {
    var keys: [Key] = []
    var next = key
    while true {
      let result = withUnsafeMutableBytes(of: &next) { next in
        guard let last = keys.last else { return bpf_map_get_next_key(descriptor, nil, next.baseAddress) }
        return withUnsafeBytes(of: last) { bpf_map_get_next_key(descriptor, $0.baseAddress, next.baseAddress) }
      }
      guard result == 0 else { return keys }
      keys.append(next)
    }
  }
}

// MARK: Keys, laid out as in uplink.bpf.c

/// Sixteen bytes in the order of the wire, IPv4 as ::ffff:a.b.c.d.
struct AddressKey: BitwiseCopyable, Equatable {
  /// Four words, not one number: within `SubnetKey` it stands at an offset of four.
  private var words: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)

  init() {}

  init(_ address: IPAddress) {
    let bits = address.isIPv6 ? address.bits : 0xFFFF_0000_0000 | address.bits
    func word(_ shift: UInt128) -> UInt32 { UInt32(truncatingIfNeeded: bits >> shift).bigEndian }
    words = (word(96), word(64), word(32), word(0))
  }

  static func == (left: AddressKey, right: AddressKey) -> Bool { left.words == right.words }
}

/// For the longest prefix match.
struct SubnetKey: BitwiseCopyable {
  private let length: UInt32
  private let address: AddressKey

  init(_ prefix: IPPrefix) {
    length = UInt32(prefix.isIPv6 ? prefix.length : 96 + prefix.length)
    address = AddressKey(prefix.first)
  }
}

struct MACKey: BitwiseCopyable {
  private let bytes: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)

  init(_ address: MACAddress) {
    func byte(_ shift: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: address.bits >> shift) }
    bytes = (byte(40), byte(32), byte(24), byte(16), byte(8), byte(0))
  }
}
