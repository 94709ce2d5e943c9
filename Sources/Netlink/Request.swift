import CLibmnl
import SystemCalls
import Wire

/// One message to the kernel, under construction (netlink(7)): its header, the fixed header of its family, attributes.
struct Request: ~Copyable {
  /// Far beyond the largest we send, a link's alias of IFALIASZ (256) bytes.
  static let capacity = 4096

  private let buffer: UnsafeMutableRawPointer
  let message: UnsafeMutablePointer<nlmsghdr>
  /// An attribute did not fit; sending gives EMSGSIZE.
  private(set) var isOverfull = false

  /// `type` is RTM_*; `flags` NLM_F_*, to which NLM_F_REQUEST is added; `family` the fixed header that `type` calls for.
  init<Family: BitwiseCopyable>(_ type: Int, flags: Int32, _ family: Family) {
    buffer = .allocate(byteCount: Self.capacity, alignment: MemoryLayout<nlmsghdr>.alignment)
    message = mnl_nlmsg_put_header(buffer)
    message.pointee.nlmsg_type = UInt16(type)
    message.pointee.nlmsg_flags = UInt16(NLM_F_REQUEST | flags)
    mnl_nlmsg_put_extra_header(message, MemoryLayout<Family>.size)
      .storeBytes(of: family, as: Family.self)
  }

  deinit { buffer.deallocate() }

  mutating func put(_ attribute: Int, _ value: UInt32) {
    keep(mnl_attr_put_u32_check(message, Self.capacity, UInt16(attribute), value))
  }

  mutating func put(_ attribute: Int, _ value: UInt8) {
    keep(mnl_attr_put_u8_check(message, Self.capacity, UInt16(attribute), value))
  }

  /// With the zero byte at its end, as names of interfaces and kinds go.
  mutating func put(_ attribute: Int, _ value: String) {
    keep(mnl_attr_put_strz_check(message, Self.capacity, UInt16(attribute), value))
  }

  mutating func put(_ attribute: Int, _ value: [UInt8]) {
    keep(mnl_attr_put_check(message, Self.capacity, UInt16(attribute), value.count, value))
  }

  mutating func put(_ attribute: Int, _ address: IPAddress) { put(attribute, address.bytes) }

  private mutating func keep(_ fitted: Bool) { if !fitted { isOverfull = true } }
}
