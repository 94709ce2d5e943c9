import Datapath
import Tables
import Wire

/// A learning switch that sends multicast only to ports behind which somebody has joined the group, and to those behind which a
/// router asks: it reads IGMP and MLD as they pass (RFC 4541).
///
/// Groups are told apart by their MAC address, so those that share one get each other's frames. What is known lies in a set that
/// all workers share: a report and the frames it is about may come to different ones.
public struct SnoopingPolicy: LoadablePolicy {
  public static let name = "snooping"
  public static let summary = "IGMP and MLD snooping: multicast goes to members and routers; unknown=flood|routers"

  private enum Counter: Int, CaseIterable { case reports, leaves, queries, tableFull }

  public let counterNames = ["reports", "leaves", "queries", "table_full"]

  /// Seconds that a port counts as a router's, after a query: the other querier present interval (RFC 3376, 8.5).
  static let routerSeconds: UInt32 = 255
  /// Seconds for others behind the port to say that they stay: the last member query time (RFC 3376, 8.9).
  static let lastMemberSeconds: UInt32 = 2

  private let floodsUnknown: Bool
  private let snoopsWithoutQuerier: Bool
  private let leavesAtOnce: Bool
  private let ageing: UInt32
  /// Remote VTEPs: members of other hosts are behind them, and their reports do not come here.
  private var isRemote = PortMap(false)
  private let shared: SharedKeys
  private let set: SharedSet

  public init?(_ parameters: inout PolicyParameters) {
    floodsUnknown = parameters.choice("unknown", of: ["flood", "routers"]) == "flood"
    snoopsWithoutQuerier = parameters.choice("without-querier", of: ["flood", "snoop"]) == "snoop"
    leavesAtOnce = parameters.flag("fast-leave", default: false)
    // The group membership interval (RFC 3376, 8.4).
    ageing = UInt32(parameters.number("ageing", in: 1...86_400, default: 260))
    shared = SharedKeys(
      capacity: Int(parameters.number("table", in: 16...UInt64(SharedSet.capacityMax), default: 8192)))
    set = shared.set
  }

  public mutating func portsChanged(_ ports: [PolicyPort]) {
    isRemote.removeAll()
    for port in ports where port.kind == .vtep { isRemote[port.index] = true }
  }

  @inline(__always)
  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    guard let family = GroupFamily(frame.destination) else { return LearningSwitch().decide(frame, &view) }
    view.learn(frame.source, at: frame.port)
    return decideGroup(frame, family, &view)
  }

  private func decideGroup(_ frame: borrowing Frame, _ family: GroupFamily, _ view: inout NetworkView) -> Verdict {
    switch GroupMessage(frame, family) {
    case .none: break
    case .query(let isFromRouter):
      view.explain("a query: a multicast router is behind {\(frame.port)}")
      if isFromRouter && !view.isDryRun { hearRouter(frame.port, family, &view) }
      return .flood
    case .report:
      if !view.isDryRun { readChanges(of: frame, family, &view) }
      view.explain("a report: it goes to routers only, lest others keep theirs to themselves (RFC 4541, 2.1.1)")
      return hasQuerier(family, view.now) ? send(frame, to: nil, &view) : .flood
    }
    if family.isForAll(frame.destination) {
      view.explain("\(frame.destination) is for every host")
      return .flood
    }
    guard hasQuerier(family, view.now) || snoopsWithoutQuerier else {
      view.explain("nobody asks who the members are, so nobody is left out")
      return .flood
    }
    if set.contains(Self.key(frame.destination, Self.anyPort), now: view.now) {
      view.explain("\(frame.destination) goes to its members and to routers")
      return send(frame, to: frame.destination, &view)
    }
    view.explain("nobody has joined \(frame.destination): unknown=\(floodsUnknown ? "flood" : "routers")")
    return floodsUnknown ? .flood : send(frame, to: nil, &view)
  }

  /// To routers, and to members of the group.
  private func send(_ frame: borrowing Frame, to group: MACAddress?, _ view: inout NetworkView) -> Verdict {
    let first = view.targetCount
    for position in 0..<view.portCount {
      let port = view.port(at: position)
      guard port != frame.port else { continue }
      let isMember = group.map { set.contains(Self.key($0, port), now: view.now) } ?? false
      if isMember || isRemote[port] || set.contains(Self.key(Self.router, port), now: view.now) {
        view.add(PolicyTarget(port))
      }
    }
    return view.targets(since: first)
  }

  // MARK: What is known

  // Keys are a MAC address and a port: of a group and a member's port, or of `router` and a router's. With `anyPort`, a group that has
  // members, or a family that has a querier.
  private static let anyPort = UInt16.max
  private static let router = MACAddress(bits: 1)

  private static func key(_ group: MACAddress, _ port: UInt16) -> UInt64 { UInt64(port) << 48 | group.bits }

  private func hasQuerier(_ family: GroupFamily, _ now: UInt32) -> Bool {
    set.contains(Self.key(family.querier, Self.anyPort), now: now)
  }

  private func hearRouter(_ port: UInt16, _ family: GroupFamily, _ view: inout NetworkView) {
    view.count(Counter.queries.rawValue)
    let until = view.now &+ Self.routerSeconds
    insert(Self.key(Self.router, port), until: until, &view)
    insert(Self.key(family.querier, Self.anyPort), until: until, &view)
  }

  private func readChanges(of frame: borrowing Frame, _ family: GroupFamily, _ view: inout NetworkView) {
    var changes = MembershipChanges(frame, family)
    while let change = changes.next(frame) {
      if family.isForAll(change.group) { continue }
      let key = Self.key(change.group, frame.port)
      if change.isJoin {
        view.count(Counter.reports.rawValue)
        insert(key, until: view.now &+ ageing, &view)
        insert(Self.key(change.group, Self.anyPort), until: view.now &+ ageing, &view)
      } else {
        view.count(Counter.leaves.rawValue)
        set.shorten(key, to: view.now &+ (leavesAtOnce ? 0 : Self.lastMemberSeconds), now: view.now)
      }
    }
  }

  private func insert(_ key: UInt64, until expiry: UInt32, _ view: inout NetworkView) {
    if !set.insert(key, until: expiry, now: view.now) { view.count(Counter.tableFull.rawValue) }
  }
}
