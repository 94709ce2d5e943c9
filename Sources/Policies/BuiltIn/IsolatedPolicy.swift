import Datapath
import Tables
import Wire

/// A private VLAN (RFC 5517): isolated ports reach the promiscuous ones and not each other; those reach all.
public struct IsolatedPolicy: LoadablePolicy {
  public static let name = "isolated"
  public static let summary = "ports reach the promiscuous ones (promiscuous=NAME,NAME) and not each other"

  private let names: [String]
  private var promiscuous: [UInt16] = []
  private var isPromiscuous = PortMap(false)
  /// Of a gateway that isolated ports do not reach.
  private var closedGateway: MACAddress?

  public init?(_ parameters: inout PolicyParameters) {
    names = parameters.list("promiscuous", default: ["gateway"])
  }

  public mutating func portsChanged(_ ports: [PolicyPort]) {
    promiscuous = ports.filter { $0.isCalled(oneOf: names) }.map(\.index)
    closedGateway = ports.filter { !$0.isCalled(oneOf: names) }.gatewayMAC
    isPromiscuous.removeAll()
    for port in promiscuous { isPromiscuous[port] = true }
  }

  @inline(__always)
  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    view.learn(frame.source, at: frame.port)
    let port = frame.destination.isGroup ? MACTable.noPort : view.lookup(frame.destination)
    if port == frame.port { return .drop(.samePort) }
    if isPromiscuous[frame.port] {
      view.explain("{\(frame.port)} is promiscuous: it reaches every port")
      return port == MACTable.noPort ? .flood : .forward(port)
    }
    if frame.destination == closedGateway {
      view.explain("the gateway is isolated, too")
      return .drop(.isolated)
    }
    if port != MACTable.noPort {
      if isPromiscuous[port] { return .forward(port) }
      view.explain("{\(frame.port)} and {\(port)} are both isolated")
      return .drop(.isolated)
    }
    view.explain("{\(frame.port)} is isolated: what is for everybody goes to the promiscuous ports")
    let first = view.targetCount
    for target in promiscuous { view.add(PolicyTarget(target)) }
    return view.targets(since: first)
  }
}
