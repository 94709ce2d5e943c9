import Datapath
import Wire

// What the VLAN-aware policy knows of ports, and reads of frames.

/// What VLANs a port is in, as people say it. A provider's VLAN has a number of its own: `service` is set.
enum VLANMode: Equatable {
  /// Untagged, of this VLAN.
  case access(UInt16)
  /// Tagged, of any of these; `native`: untagged is of this one; 0: of none.
  case trunk([UInt16], native: UInt16)
  /// A customer's port of a provider (IEEE 802.1ad): all it sends is of this VLAN, tags and all.
  case customer(UInt16)

  static let service: UInt16 = 0x1000
  static let help = "say access:VLAN, trunk:VLAN,FIRST-LAST,native=VLAN,sVLAN or qinq:VLAN, with VLANs from 1 to 4094"

  /// `access:10`, `trunk:10,20-30,native=5,s100`, `qinq:100`.
  init?(_ text: String) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { return nil }
    switch parts[0] {
    case "access":
      guard let vlan = Self.vlan(parts[1]) else { return nil }
      self = .access(vlan)
    case "qinq":
      guard let vlan = Self.vlan(parts[1]) else { return nil }
      self = .customer(vlan | Self.service)
    case "trunk":
      guard let mode = Self.trunk(parts[1]) else { return nil }
      self = mode
    default: return nil
    }
  }

  private static func vlan(_ text: Substring) -> UInt16? {
    UInt16(text).flatMap { (1...4094).contains($0) ? $0 : nil }
  }

  private static func trunk(_ text: Substring) -> VLANMode? {
    var (vlans, native): ([UInt16], UInt16) = ([], 0)
    for word in text.split(separator: ",", omittingEmptySubsequences: false) {
      if word.hasPrefix("native=") {
        guard native == 0, let vlan = vlan(word.dropFirst(7)) else { return nil }
        native = vlan
        vlans.append(vlan)
        continue
      }
      let bits: UInt16 = word.hasPrefix("s") ? service : 0
      let ends = word.dropFirst(bits == 0 ? 0 : 1).split(separator: "-", omittingEmptySubsequences: false).map(vlan)
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first <= last else {
        return nil
      }
      vlans += (first...last).map { $0 | bits }
    }
    return .trunk(vlans, native: native)
  }

  /// A VLAN as people say it: `10`, `s100`.
  static func text(_ vlan: UInt16) -> String { vlan & service == 0 ? "\(vlan)" : "s\(vlan & 0xFFF)" }
}

/// A port's mode as frames need it.
struct VLANPort {
  enum Kind { case access, trunk, customer }

  /// Words of bits for all VLANs, customers' and providers'.
  static let rowLength = 8192 / 64

  /// Not told of yet: it is in no VLAN.
  var kind = Kind.access
  /// Of an access or customer's port; of a trunk, its native one. 0: none.
  var vlan: UInt16 = 0
  /// Of a trunk: where its VLANs' bits begin.
  var row = 0
}

extension VLANPort {
  init(_ mode: VLANMode, row: Int) {
    switch mode {
    case .access(let vlan): self.init(kind: .access, vlan: vlan)
    case .trunk(_, let native): self.init(kind: .trunk, vlan: native, row: row)
    case .customer(let vlan): self.init(kind: .customer, vlan: vlan)
    }
  }
}

/// The first tag of a frame.
struct FrameTag: CustomStringConvertible {
  /// There is one.
  let isThere: Bool
  /// It is a provider's.
  let isService: Bool
  /// The frame ends within it.
  let isBroken: Bool
  let control: UInt16

  @inline(__always)
  init(_ frame: borrowing Frame) {
    let bytes = frame.bytes
    let type = UInt16(
      bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: EthernetView.etherTypeOffset, as: UInt16.self))
    isService = type == EtherType.serviceVLAN.rawValue
    isThere = isService || type == EtherType.vlan.rawValue
    isBroken = isThere && bytes.byteCount < EthernetView.headerLength + VLANTag.length
    guard isThere && !isBroken else {
      control = 0
      return
    }
    control = UInt16(
      bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: EthernetView.headerLength, as: UInt16.self))
  }

  /// It is not there, or has a priority only.
  var namesNone: Bool { !isBroken && control & 0x0FFF == 0 }

  /// As in `VLANMode`; 0 where it is broken, or reserved (IEEE 802.1Q-2018, table 9-2).
  var vlan: UInt16 {
    let identifier = control & 0x0FFF
    return identifier == 0x0FFF || identifier == 0 ? 0 : identifier | (isService ? VLANMode.service : 0)
  }

  var description: String {
    if isBroken { return "half a tag" }
    if namesNone { return isThere ? "a priority tag" : "no tag" }
    return "a tag of VLAN \(VLANMode.text(vlan))"
  }
}
