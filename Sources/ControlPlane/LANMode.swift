import ControlModel
import Datapath

/// How a network's endpoints have part in the LAN that its parent leads to: by the names Docker's drivers give these.
enum LANMode: String, Codable, CaseIterable {
  // macvlan: endpoints have MAC addresses of their own.
  case bridge = "macvlan-bridge"
  case `private` = "macvlan-private"
  case vepa = "macvlan-vepa"
  case passthru = "macvlan-passthru"
  // ipvlan's l2 with its flags: endpoints share the parent's MAC address.
  case l2 = "ipvlan-bridge"
  case l2Private = "ipvlan-private"
  case l2VEPA = "ipvlan-vepa"

  var forwarding: Forwarding {
    switch self {
    case .bridge, .private: .endpointMACs
    case .vepa: .reflected
    case .passthru: .passThrough
    case .l2, .l2Private: .sharedMAC
    case .l2VEPA: .sharedMACReflected
    }
  }

  var frames: ParentFrames { hasParentAlone ? .all : usesAddresses ? .byAddress : .byMAC }

  /// Endpoints have the parent's MAC address.
  var sharesMAC: Bool { usesAddresses || self == .passthru }
  /// Endpoints are told apart by IP address.
  var usesAddresses: Bool { forwarding.usesAddresses }
  /// Endpoints do not reach each other.
  var isPrivate: Bool { self == .private || self == .l2Private }
  /// The switch keeps no endpoint from another: what they send goes outside.
  var hasNoIsolation: Bool { self == .vepa || self == .l2VEPA || self == .passthru }
  /// The switch takes all that the parent receives.
  var hasParentAlone: Bool { self == .passthru }
}

/// Where a network of the drivers macvlan and ipvlan stands, of what its options say. Nothing is changed by it.
struct LANPlan: Equatable {
  /// nil: ipvlan's l3 and l3s, which are routed.
  private(set) var mode: LANMode?
  /// nil: an internal network, which has no way outside.
  private(set) var parent: String?

  private static let macvlanModes = [
    "bridge": LANMode.bridge, "private": .private, "vepa": .vepa, "passthru": .passthru,
  ]
  private static let ipvlanFlags = ["bridge": LANMode.l2, "private": .l2Private, "vepa": .l2VEPA]
  private static let ipvlanModes = ["l2", "l3", "l3s"]

  /// - Parameter uplink: the interface of the uplink that is asked for.
  init(_ options: NetworkOptions, _ driver: Driver, isInternal: Bool, uplink: String?) throws(ControlError) {
    if driver == .macvlan {
      mode = try Self.choose(options.macvlanMode ?? "bridge", of: Self.macvlanModes, NetworkOptions.macvlanModeKey)
    } else {
      let name = options.ipvlanMode ?? "l2"
      guard Self.ipvlanModes.contains(name) else {
        throw Self.unknown(name, Self.ipvlanModes, NetworkOptions.ipvlanModeKey)
      }
      if name == "l2" {
        mode = try Self.choose(options.ipvlanFlag ?? "bridge", of: Self.ipvlanFlags, NetworkOptions.ipvlanFlagKey)
      } else if options.ipvlanFlag != nil {
        throw ControlError(
          .invalid, "option \(NetworkOptions.ipvlanFlagKey) goes with ipvlan_mode l2: \(name) is routed")
      }
    }
    guard !isInternal else {
      guard options.parent == nil else {
        throw ControlError(
          .invalid, "an internal network has no way outside: it takes no \(NetworkOptions.parentKey)")
      }
      guard mode != .passthru else {
        throw ControlError(.invalid, "macvlan_mode passthru is a way outside: it contradicts an internal network")
      }
      return
    }
    guard let interface = options.parent ?? uplink else {
      throw ControlError(
        .invalid,
        "a network of the driver \(driver.rawValue) needs a way to the LAN: give -o \(NetworkOptions.parentKey)=INTERFACE, or set an uplink"
      )
    }
    parent = interface
    if mode == nil { try checkRouted(uplink) }
  }

  /// What is routed leaves by the uplink.
  private mutating func checkRouted(_ uplink: String?) throws(ControlError) {
    guard parent == uplink else {
      throw ControlError(
        .invalid,
        "ipvlan_mode l3 routes by the uplink, which is \(uplink ?? "not there"): martlet uplink set \(parent ?? "INTERFACE")"
      )
    }
    parent = nil
  }

  private static func choose(
    _ name: String, of modes: [String: LANMode], _ key: String
  ) throws(ControlError) -> LANMode {
    guard let mode = modes[name] else { throw unknown(name, modes.keys.sorted(), key) }
    return mode
  }

  private static func unknown(_ name: String, _ known: [String], _ key: String) -> ControlError {
    ControlError(.invalid, "option \(key): no mode \(name.quoted): there are \(known.joined(separator: ", "))")
  }
}

extension NetworkPlan {
  /// Refuses what a network on the LAN has no use for.
  static func checkLAN(_ request: NetworkRequest, _ driver: Driver, isRouted: Bool) throws(ControlError) {
    let given: [(String, Bool)] = [
      ("gateway mode", request.gatewayMode != nil), ("ageing time", request.ageingSeconds != nil && !isRouted),
      ("limit of a MAC table", request.fdbLimit != nil && !isRouted),
    ]
    if let first = given.first(where: \.1) {
      throw ControlError(.invalid, "a network of the driver \(driver.rawValue) takes no \(first.0)")
    }
    guard !isRouted else {
      if request.noGateway == true {
        throw ControlError(.invalid, "ipvlan_mode l3 is routed by the network's gateway: it cannot do without")
      }
      return
    }
    guard request.internal != true else { return }
    let subnets = request.subnets ?? []
    let needsSubnet: [(String, Bool)] = [
      ("gateway", request.gateways?.isEmpty == false), ("ip-range", request.ipRanges?.isEmpty == false),
      ("aux-address", request.auxiliaryAddresses?.isEmpty == false),
    ]
    if subnets.isEmpty, let first = needsSubnet.first(where: \.1) {
      throw ControlError(.invalid, "\(first.0) needs the --subnet it is in, the LAN's")
    }
    if request.ipv6 == true, !subnets.contains(where: { $0.contains(":") }) {
      throw ControlError(.invalid, "IPv6 on the LAN needs the LAN's own subnet: give it by --subnet")
    }
  }
}

extension Driver {
  /// Its networks have a switch, and their endpoints an interface.
  var hasSwitch: Bool { self == .bridge || self == .overlay || isOnLAN }
  var isOnLAN: Bool { self == .macvlan || self == .ipvlan }
}

extension NetworkRecord {
  /// ipvlan's l3: a routed network that can be reached from outside.
  var isRoutedToLAN: Bool { driver.isOnLAN && lanMode == nil }
}
