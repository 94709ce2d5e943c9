import CLibmnl

/// One message from the kernel: a view into the receive buffer, gone with the next receive.
struct Message {
  let header: UnsafePointer<nlmsghdr>

  var type: Int { Int(header.pointee.nlmsg_type) }

  func has(flag: Int32) -> Bool { Int32(header.pointee.nlmsg_flags) & flag != 0 }

  /// The fixed header of the message's family; nil where the message is too short for it.
  func family<Family: BitwiseCopyable>(_: Family.Type) -> Family? {
    guard mnl_nlmsg_get_payload_len(header) >= MemoryLayout<Family>.size else { return nil }
    return mnl_nlmsg_get_payload(header).loadUnaligned(as: Family.self)
  }

  /// The attributes behind the fixed header `Family`.
  func attributes<Family>(after _: Family.Type) -> Attributes {
    let start = mnl_nlmsg_get_payload_offset(header, MemoryLayout<Family>.size)!
    return Attributes(cursor: start, end: mnl_nlmsg_get_payload_tail(header))
  }
}

/// The attributes of a message, or those nested in one of them, in the kernel's order.
struct Attributes: Sequence, IteratorProtocol {
  fileprivate(set) var cursor: UnsafeMutableRawPointer
  let end: UnsafeMutableRawPointer

  fileprivate init(cursor: UnsafeMutableRawPointer, end: UnsafeMutableRawPointer) {
    (self.cursor, self.end) = (cursor, end)
  }

  /// Those in a part of an attribute.
  init(_ bytes: UnsafeRawBufferPointer) {
    cursor = UnsafeMutableRawPointer(mutating: bytes.baseAddress!)
    end = cursor + bytes.count
  }

  mutating func next() -> Attribute? {
    let attribute = cursor.assumingMemoryBound(to: nlattr.self)
    guard mnl_attr_ok(attribute, Int32(end - cursor)) else { return nil }
    cursor = UnsafeMutableRawPointer(mnl_attr_next(attribute))
    return Attribute(header: attribute)
  }
}

/// One attribute. The accessors give nil where its length does not fit the type asked for.
struct Attribute {
  let header: UnsafeMutablePointer<nlattr>

  var type: Int { Int(mnl_attr_get_type(header)) }

  var uint8: UInt8? { mnl_attr_validate(header, MNL_TYPE_U8) == 0 ? mnl_attr_get_u8(header) : nil }

  var uint16: UInt16? { mnl_attr_validate(header, MNL_TYPE_U16) == 0 ? mnl_attr_get_u16(header) : nil }

  var uint32: UInt32? { mnl_attr_validate(header, MNL_TYPE_U32) == 0 ? mnl_attr_get_u32(header) : nil }

  var string: String? {
    mnl_attr_validate(header, MNL_TYPE_NUL_STRING) == 0 ? String(cString: mnl_attr_get_str(header)) : nil
  }

  var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: mnl_attr_get_payload(header), count: Int(mnl_attr_get_payload_len(header)))
  }

  var nested: Attributes {
    let start = mnl_attr_get_payload(header)!
    return Attributes(cursor: start, end: start + Int(mnl_attr_get_payload_len(header)))
  }
}
