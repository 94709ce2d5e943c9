import Datapath
import Tables
import Wire

/// A VLAN-aware bridge (IEEE 802.1Q-2018, 6.9 and 8.6): each frame is of one VLAN, and leaves by that VLAN's ports, tagged as each of them
/// has it.
///
/// The network's MAC table knows no VLANs, so addresses are learned in a table of the policy's own, which all workers share: the same
/// address may be at one port in one VLAN and at another port in another.
public struct VLANPolicy: LoadablePolicy {
  public static let name = "vlan"
  public static let summary = "port.NAME=access:10, trunk:10,20-30,native=5,s100 or qinq:100; default=access:1"

  private enum Counter: Int, CaseIterable { case filtered, tableFull }

  public let counterNames = ["filtered", "table_full"]

  private let defaultMode: VLANMode
  private let modes: [String: VLANMode]
  private let ageing: UInt32
  private var ports = PortMap(VLANPort())
  /// VLANs that each trunk carries: a row of bits each.
  private var carried: [UInt64] = []
  /// The router's address, and the VLAN that the gateway is in.
  private var gateway: (mac: MACAddress?, vlan: UInt16) = (nil, 0)
  private let shared: SharedKeys
  private let table: SharedSet

  public init?(_ parameters: inout PolicyParameters) {
    var modes: [String: VLANMode] = [:]
    for (name, text) in parameters.all(prefix: "port.") {
      modes[name] = VLANMode(text)
      if modes[name] == nil { parameters.refuse("port.\(name)=\(text): \(VLANMode.help)") }
    }
    let text = parameters.text("default") ?? "access:1"
    if VLANMode(text) == nil { parameters.refuse("default=\(text): \(VLANMode.help)") }
    (self.modes, defaultMode) = (modes, VLANMode(text) ?? .access(1))
    ageing = UInt32(parameters.number("ageing", in: 1...1_000_000, default: 300))
    shared = SharedKeys(
      capacity: Int(parameters.number("table", in: 16...UInt64(SharedSet.capacityMax), default: 8192)))
    table = shared.set
  }

  public mutating func portsChanged(_ ports: [PolicyPort]) {
    self.ports.removeAll()
    carried.removeAll(keepingCapacity: true)
    gateway = (ports.gatewayMAC, 0)
    for port in ports {
      let mode = port.value(in: modes) ?? defaultMode
      self.ports[port.index] = VLANPort(mode, row: carried.count)
      if case .trunk(let vlans, _) = mode {
        carried += repeatElement(0, count: VLANPort.rowLength)
        for vlan in vlans { carried[carried.count - VLANPort.rowLength + Int(vlan >> 6)] |= 1 << UInt64(vlan & 63) }
      }
      if port.kind == .gateway { gateway.vlan = self.ports[port.index].vlan }
    }
  }

  @inline(__always)
  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    let tag = FrameTag(frame)
    let vlan = vlan(of: tag, at: ports[frame.port])
    if vlan == 0 { return filter("{\(frame.port)} takes no frame with \(tag)", &view) }
    // The router has no VLANs: whoever may not reach the gateway's port may not be routed either.
    if frame.destination == gateway.mac && vlan != gateway.vlan {
      return filter("the gateway is not in VLAN \(VLANMode.text(vlan))", &view)
    }
    view.explain("the frame is of VLAN \(VLANMode.text(vlan))")
    if !view.isDryRun { learn(frame.source, vlan, frame.port, &view) }
    let first = view.targetCount
    if !frame.destination.isGroup, let port = table.value(of: Self.key(frame.destination, vlan), now: view.now) {
      view.explain("destination \(frame.destination) is on {\(port)} in this VLAN")
      if port == frame.port { return .drop(.samePort) }
      // Learned there before the port's VLANs were changed, perhaps, or it is gone.
      if isCarried(vlan, by: ports[port]) { return .forward(to: port, tagging(tag, vlan, ports[port]), &view) }
    }
    for position in 0..<view.portCount {
      let port = view.port(at: position)
      guard port != frame.port, isCarried(vlan, by: ports[port]) else { continue }
      view.add(PolicyTarget(port, tagging(tag, vlan, ports[port])))
    }
    return view.targets(since: first)
  }

  private func filter(_ reason: @autoclosure () -> String, _ view: inout NetworkView) -> Verdict {
    view.explain(reason())
    view.count(Counter.filtered.rawValue)
    return .drop(.vlanFiltered)
  }

  private func learn(_ mac: MACAddress, _ vlan: UInt16, _ port: UInt16, _ view: inout NetworkView) {
    if !table.insert(Self.key(mac, vlan), value: port, until: view.now &+ ageing, now: view.now) {
      view.count(Counter.tableFull.rawValue)
    }
  }

  private static func key(_ mac: MACAddress, _ vlan: UInt16) -> UInt64 { UInt64(vlan) << 48 | mac.bits }

  // MARK: Ports and VLANs

  /// The VLAN that a frame is of (IEEE 802.1Q-2018, 6.9.1); 0: the port does not take it.
  @inline(__always)
  private func vlan(of tag: FrameTag, at port: VLANPort) -> UInt16 {
    switch port.kind {
    case .access: return tag.namesNone && !tag.isService ? port.vlan : 0
    case .customer: return tag.isService || tag.isBroken ? 0 : port.vlan
    case .trunk:
      let vlan = tag.namesNone ? (tag.isService ? 0 : port.vlan) : tag.vlan
      return vlan != 0 && isCarried(vlan, by: port) ? vlan : 0
    }
  }

  @inline(__always)
  private func isCarried(_ vlan: UInt16, by port: VLANPort) -> Bool {
    guard port.kind == .trunk else { return port.vlan == vlan }
    return carried[port.row &+ Int(vlan >> 6)] & 1 << UInt64(vlan & 63) != 0
  }

  /// How a frame of the VLAN leaves by a port that carries it.
  @inline(__always)
  private func tagging(_ tag: FrameTag, _ vlan: UInt16, _ port: VLANPort) -> Tagging {
    let hasOwn = !tag.namesNone && tag.vlan == vlan
    if vlan & VLANMode.service != 0 {
      // The customer's tag stays, with the provider's before it (IEEE 802.1ad).
      if port.kind != .trunk { return hasOwn ? .removed : .unchanged }
      let control = tag.control & 0xE000 | vlan & 0x0FFF
      return hasOwn ? .unchanged : .added(VLANTag(type: .serviceVLAN, control: control))
    }
    if port.kind != .trunk || port.vlan == vlan { return tag.isThere ? .removed : .unchanged }
    return hasOwn ? .unchanged : .set(VLANTag(type: .vlan, control: tag.control & 0xF000 | vlan))
  }
}

extension Verdict {
  /// To one port, with its tag changed.
  fileprivate static func forward(to port: UInt16, _ tagging: Tagging, _ view: inout NetworkView) -> Verdict {
    if tagging == .unchanged { return .forward(port) }
    let first = view.targetCount
    view.add(PolicyTarget(port, tagging))
    return view.targets(since: first)
  }
}
