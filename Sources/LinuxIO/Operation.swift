/// What an io_uring completion belongs to: the 64 bits of `user_data`.
struct Operation: RawRepresentable, BitwiseCopyable {
  enum Kind: UInt8 {
    /// A read of `port`.
    case read = 1
    /// A read of `port`, a packet socket.
    case receive
    /// A write of buffer `index` to `port`.
    case write
    /// A write of the frames gathered in slot `index` to `port`.
    case gatheredWrite
    /// The cancellation of a port's reads.
    case cancel
    /// The control plane has sent a command.
    case wake
    /// The second is over.
    case tick
  }

  /// Bits 7...0 kind, 31...16 port, 47...32 index.
  let rawValue: UInt64

  @inline(__always)
  init(rawValue: UInt64) { self.rawValue = rawValue }

  @inline(__always)
  init(_ kind: Kind, port: UInt16 = 0, index: UInt16 = 0) {
    rawValue = UInt64(kind.rawValue) | UInt64(port) << 16 | UInt64(index) << 32
  }

  @inline(__always)
  var kind: Kind? { Kind(rawValue: UInt8(truncatingIfNeeded: rawValue)) }
  @inline(__always)
  var port: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 16) }
  @inline(__always)
  var index: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 32) }
}
