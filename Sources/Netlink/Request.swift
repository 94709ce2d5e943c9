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

  /// An attribute that consists of those that `body` puts.
  mutating func nest(_ attribute: Int, _ body: (inout Request) -> Void) {
    guard let start = mnl_attr_nest_start_check(message, Self.capacity, UInt16(attribute)) else {
      isOverfull = true
      return
    }
    body(&self)
    mnl_attr_nest_end(message, start)
  }

  /// One element of RTA_MULTIPATH: a header that also says how long the attributes behind it are.
  mutating func putHop(_ header: rtnexthop, _ body: (inout Request) -> Void) {
    let start = Int(message.pointee.nlmsg_len)
    guard start + MemoryLayout<rtnexthop>.size <= Self.capacity else {
      isOverfull = true
      return
    }
    message.pointee.nlmsg_len += UInt32(MemoryLayout<rtnexthop>.size)
    body(&self)
    var header = header
    header.rtnh_len = UInt16(Int(message.pointee.nlmsg_len) - start)
    buffer.storeBytes(of: header, toByteOffset: start, as: rtnexthop.self)
  }

  private mutating func keep(_ fitted: Bool) { if !fitted { isOverfull = true } }
}
