import ControlModel
import Glibc
import Netlink
import SystemCalls
import Wire

// Theory of operation. The host forwards where ip_forward says so, and Docker and others set it. What keeps martlet's
// networks apart all the same are policy rules (ip-rule(8)) behind the one for the local table, so that the host's own
// addresses stay reachable, and before the one for the main table:
//
//     barrierPriority      from all iif GATEWAY lookup subnetTable       every network: its frames into no other's subnet
//     internalPriority     from all iif GATEWAY prohibit                 --internal: its frames to nowhere,
//     hostPriority         from all to SUBNET iif lo lookup main         nothing to it, but from the host itself
//     inboundPriority      from all to SUBNET prohibit
//
// subnetTable holds a prohibit route for each subnet of each network; what matches none goes on to the main table. Rules and
// routes name what is prohibited and no interface's index, so they outlive the daemon as the TAPs do. No sysctl is touched.

extension KernelHostNetwork {
  static let subnetTable: UInt32 = 10_909
  static let barrierPriority: UInt32 = 10_900
  static let internalPriority: UInt32 = 10_901
  static let hostPriority: UInt32 = 10_902
  static let inboundPriority: UInt32 = 10_903

  private static let families: [AddressFamily] = kernelHasIPv6 ? [.ipv4, .ipv6] : [.ipv4]

  static func rules(_ barrier: ForwardingBarrier) -> [Rule] {
    let name = barrier.gatewayInterface
    var rules = families.map {
      Rule($0, priority: barrierPriority, inputInterface: name, action: .lookUp(table: subnetTable), origin: .martlet)
    }
    guard barrier.isInternal else { return rules }
    rules += families.map {
      Rule($0, priority: internalPriority, inputInterface: name, action: .prohibit, origin: .martlet)
    }
    for subnet in barrier.subnets {
      let family = subnet.address.family
      rules.append(
        Rule(
          family, priority: hostPriority, inputInterface: "lo", destination: subnet,
          action: .lookUp(table: Netlink.Route.Table.main), origin: .martlet))
      rules.append(
        Rule(family, priority: inboundPriority, destination: subnet, action: .prohibit, origin: .martlet))
    }
    return rules
  }

  static func routes(_ barrier: ForwardingBarrier) -> [Netlink.Route] {
    barrier.subnets.map {
      Netlink.Route(destination: $0, table: subnetTable, origin: .martlet, kind: .prohibit)
    }
  }

  public func raiseBarrier(_ barrier: ForwardingBarrier) throws(ControlError) {
    try withSocket(in: own) { socket throws(Errno) in
      for route in Self.routes(barrier) {
        try ignoring(EEXIST) { () throws(Errno) in try socket.addRoute(route) }
      }
      for rule in Self.rules(barrier) {
        try ignoring(EEXIST) { () throws(Errno) in try socket.addRule(rule) }
      }
    }
  }

  public func lowerBarrier(_ barrier: ForwardingBarrier) throws(ControlError) {
    try withSocket(in: own) { socket throws(Errno) in
      for rule in Self.rules(barrier) {
        try ignoring(ENOENT) { () throws(Errno) in try socket.removeRule(rule) }
      }
      for route in Self.routes(barrier) {
        try ignoring(ESRCH) { () throws(Errno) in try socket.removeRoute(route) }
      }
    }
  }

  public func removeBarriers(except barriers: [ForwardingBarrier]) throws(ControlError) {
    let rules = Set(barriers.flatMap(Self.rules))
    let prefixes = Set(barriers.flatMap(\.subnets))
    try withSocket(in: own) { socket throws(Errno) in
      for family in Self.families {
        for rule in try socket.rules(family) where rule.origin == .martlet && !rules.contains(rule) {
          try ignoring(ENOENT) { () throws(Errno) in try socket.removeRule(rule) }
        }
        for route in try socket.routes(family, table: Self.subnetTable)
        where route.origin == .martlet && !prefixes.contains(route.destination) {
          try ignoring(ESRCH) { () throws(Errno) in try socket.removeRoute(route) }
        }
      }
    }
  }

  private func ignoring(_ code: Int32, _ body: () throws(Errno) -> Void) throws(Errno) {
    do throws(Errno) { try body() } catch let error where error.code == code {}
  }
}
