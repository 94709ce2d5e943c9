import ControlModel
import Wire

/// What a request for an overlay comes to, or what the options of `network create` say. Nothing is changed by it.
struct OverlayPlan: Equatable {
  /// nil: the next that is free.
  private(set) var vni: Int?
  /// nil: the uplink's first.
  private(set) var local: IPAddress?
  private(set) var port = Limits.defaultOverlayPort
  private(set) var timeToLive = OuterField.value(Limits.defaultTimeToLive)
  private(set) var trafficClass = OuterField.value(0)
  private(set) var learns = true
  private(set) var isEncrypted = false
  private(set) var carriesTags = true

  init() {}

  init(_ request: OverlayRequest) throws(ControlError) {
    vni = try NetworkPlan.check(request.vni, in: Limits.vni, "VNI")
    local = try Self.local(request.local)
    if let port = request.port { self.port = try NetworkPlan.check(port, in: Limits.overlayPorts, "port") }
    if let ttl = request.ttl { timeToLive = try Self.timeToLive(ttl) }
    if let tos = request.tos { trafficClass = try Self.trafficClass(tos) }
    learns = request.learning ?? true
    isEncrypted = request.encrypted ?? false
    carriesTags = request.innerVLAN ?? true
  }

  // MARK: Options

  static let vniKey = "vni"
  static let localKey = "local"
  static let portKey = "port"
  static let timeToLiveKey = "ttl"
  static let trafficClassKey = "tos"
  static let learningKey = "learning"
  /// As Docker's own driver has it: a list, of one for each subnet.
  static let vniListKey = "com.docker.network.driver.overlay.vxlanid_list"
  static let encryptedKey = "encrypted"
  static let innerVLANKey = "inner-vlan"
  static let keys = [
    vniKey, vniListKey, localKey, portKey, timeToLiveKey, trafficClassKey, learningKey, encryptedKey,
    innerVLANKey,
  ]

  /// false for an option of something else.
  mutating func set(_ key: String, _ value: String) throws(ControlError) -> Bool {
    switch key {
    case Self.vniKey, Self.vniListKey:
      let asked = try NetworkPlan.check(try Self.number(key, value), in: Limits.vni, "VNI")
      guard vni == nil || vni == asked else {
        throw ControlError(.invalid, "options \(Self.vniKey) and \(Self.vniListKey) contradict each other")
      }
      vni = asked
    case Self.localKey: local = try Self.local(value)
    case Self.portKey: port = try NetworkPlan.check(try Self.number(key, value), in: Limits.overlayPorts, "port")
    case Self.timeToLiveKey: timeToLive = try Self.timeToLive(try Self.field(key, value))
    case Self.trafficClassKey: trafficClass = try Self.trafficClass(try Self.field(key, value))
    case Self.learningKey:
      learns = try Self.isOn(key, value)
    case Self.innerVLANKey: carriesTags = try Self.isOn(key, value)
    case Self.encryptedKey:
      // Docker's has no value.
      guard ["", "true", "false"].contains(value) else {
        throw ControlError(.invalid, "option \(key): \(value.quoted) is neither true nor false")
      }
      isEncrypted = value != "false"
    default: return false
    }
    return true
  }

  private static func isOn(_ key: String, _ value: String) throws(ControlError) -> Bool {
    guard value == "on" || value == "off" else {
      throw ControlError(.invalid, "option \(key): \(value.quoted) is neither on nor off")
    }
    return value == "on"
  }

  private static func number(_ key: String, _ value: String) throws(ControlError) -> Int {
    if key == vniListKey, value.contains(",") {
      throw ControlError(.invalid, "option \(key): \(value.quoted) names several: a network has one VNI")
    }
    guard let number = Int(value) else { throw ControlError(.invalid, "option \(key): \(value.quoted) is no number") }
    return number
  }

  private static func field(_ key: String, _ value: String) throws(ControlError) -> OuterField {
    guard let field = OuterField(value) else {
      throw ControlError(.invalid, "option \(key): \(value.quoted) is neither a number nor inherit")
    }
    return field
  }

  // MARK: Values

  private static func local(_ text: String) throws(ControlError) -> IPAddress {
    guard let address = IPAddress(text) else {
      throw ControlError(.invalid, "local address \(text.quoted) is no IP address")
    }
    if let why = address.troubleAsVTEP { throw ControlError(.invalid, "local address \(address) \(why)") }
    return address
  }

  private static func timeToLive(_ asked: OuterField) throws(ControlError) -> OuterField {
    if case .value(let number) = asked { _ = try NetworkPlan.check(number, in: Limits.timeToLive, "TTL") }
    return asked
  }

  private static func trafficClass(_ asked: OuterField) throws(ControlError) -> OuterField {
    guard case .value(let number) = asked else { return asked }
    _ = try NetworkPlan.check(number, in: Limits.trafficClass, "TOS")
    // They follow from the inner packet's (RFC 6040).
    guard number & 3 == 0 else {
      throw ControlError(.invalid, "TOS \(number): its two lowest bits are ECN's: give a multiple of 4")
    }
    return asked
  }
}

extension OuterField {
  /// As the data plane and the store have it; nil: inherited.
  var number: Int? { if case .value(let number) = self { number } else { nil } }

  init(number: Int?) { self = number.map(OuterField.value) ?? .inherit }
}

extension IPAddress {
  /// Why no tunnel ends at the address; nil: one may.
  var troubleAsVTEP: String? {
    let isMulticast =
      switch self {
      case .v4(let address): address.isMulticast
      case .v6(let address): address.isMulticast
      }
    if isMulticast { return "is a group's: give each peer's own, there is no multicast between VTEPs" }
    if isUnspecified || isLoopback || self == .v4(IPv4Address(bits: .max)) { return "leads to no other host" }
    // It means nothing without the link, which peers' addresses do not tell.
    if isIPv6, IPPrefix(self).isLinkLocal { return "is one of the link alone: give a global one" }
    return nil
  }
}

/// What encapsulation adds.
enum OverlayHeaders {
  private static let ethernetBytes = 14
  private static let ipv4Bytes = 20
  private static let ipv6Bytes = 40
  private static let udpBytes = 8
  private static let vxlanBytes = 8

  /// Between the MTUs of the inner and the outer network: the inner Ethernet header is part of what is carried.
  static func bytes(isIPv6: Bool) -> Int {
    ethernetBytes + (isIPv6 ? ipv6Bytes : ipv4Bytes) + udpBytes + vxlanBytes
  }
}
