import ControlModel
import Foundation
import Glibc
import LinuxIO
import Logging
import Testing
import Wire

@testable import ControlPlane

/// A control plane over stand-ins, with a state directory of its own.
final class Bench {
  let faults = Faults()
  let host: StandInHostNetwork
  let dataPlane: StandInDataPlane
  let names: StandInNameService?
  let directory: String
  private(set) var controlPlane: ControlPlane!

  static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  /// - Parameter names: who serves them; nil: nobody.
  init(names: StandInNameService? = nil) throws {
    self.names = names
    host = StandInHostNetwork(faults: faults)
    dataPlane = StandInDataPlane(faults: faults)
    directory = NSTemporaryDirectory() + "martlet-test-\(UUID().uuidString)"
    try start()
  }

  deinit {
    controlPlane = nil
    try? FileManager.default.removeItem(atPath: directory)
  }

  func start() throws {
    controlPlane = try whenFree { () throws(ControlError) in
      try ControlPlane(dataPlane: dataPlane, host: host, names: names, stateDirectory: directory, logger: Self.silent)
    }
  }

  /// As after kill -9: the data plane's ports are closed, interfaces and store stay.
  func restart(while stopped: () throws -> Void = {}) throws {
    end(&controlPlane)
    for port in dataPlane.state.ports.keys { try dataPlane.removePort(port) }
    dataPlane.forgetOverlays()
    dataPlane.forgetServices()
    for network in dataPlane.state.networks.keys { try dataPlane.removeNetwork(network) }
    if dataPlane.routing.uplink != nil { try dataPlane.lowerUplink() }
    try dataPlane.setRoutes([])
    host.forgetProcess()
    names?.forget()
    try stopped()
    try start()
  }

  /// All that a change may leave behind, but for cursors.
  struct Snapshot: Equatable {
    var host: StandInHostNetwork.State
    var networks: [NetworkRecord]
    var subnets: [String]
    var sandboxes: [SandboxRecord]
    var endpoints: [EndpointRecord]
    var interfacePorts: [InterfacePortRecord]
    var dataPlaneNetworks: [DataPlaneNetwork: DataPlaneNetworkOptions]
    var ports: [DataPlanePort: StandInDataPlane.Port]
    var routing: StandInDataPlane.Routing
    var uplink: UplinkRecord?
    var publications: [PublicationRecord]
    var overlays: [OverlayRecord]
    var peers: [OverlayPeerRecord]
    var carriers: [UInt16]
    var remotes: [RemoteOptions]
    var entries: Set<MACAddress>
    var services: [AskedService]
    var meshAddresses: [IPAddress]
    var heldDescriptors: Int
  }

  func snapshot() throws -> Snapshot {
    let store = try Store(directory: directory)
    var host = self.host.state
    host.forgotten = []
    var routing = dataPlane.routing
    routing.sockets = []
    return Snapshot(
      host: host, networks: try store.networks(),
      subnets: try store.subnetsWithNames().map { "\($0.network) \($0.prefix)" },
      sandboxes: try store.sandboxes(), endpoints: try store.endpoints(),
      interfacePorts: try store.interfacePorts(),
      dataPlaneNetworks: dataPlane.state.networks, ports: dataPlane.state.ports,
      routing: routing, uplink: try store.uplink(), publications: try store.publications(),
      overlays: try store.overlays(), peers: try store.overlayPeers(),
      carriers: dataPlane.overlay.carriers.values.map(\.port).sorted(), remotes: dataPlane.remotes,
      entries: Set(dataPlane.state.entries.keys),
      services: try store.services().map { record throws(ControlError) in try store.asked(record) },
      meshAddresses: try store.meshAddresses(),
      heldDescriptors: self.host.heldDescriptors)
  }

  // MARK: Short forms

  @discardableResult
  func network(_ name: String, _ edit: (inout NetworkRequest) -> Void = { _ in }) throws(ControlError) -> String {
    var request = NetworkRequest(name: name)
    edit(&request)
    return try controlPlane.createNetwork(request).id
  }

  @discardableResult
  func sandbox(_ name: String, netns: String? = nil, share: String? = nil) throws(ControlError) -> String {
    var request = SandboxRequest(name: name)
    (request.netns, request.share) = (netns, share)
    return try controlPlane.createSandbox(request).id
  }

  @discardableResult
  func connect(
    _ network: String, _ sandbox: String, _ edit: (inout ConnectRequest) -> Void = { _ in }
  ) throws(ControlError) -> Endpoint {
    var request = ConnectRequest(sandbox: sandbox)
    edit(&request)
    return try controlPlane.endpoint(try controlPlane.connect(network: network, request).id)
  }

  /// Makes `eth0` the uplink, with 192.0.2.1 and 2001:db8::1 unless there is one of the name.
  @discardableResult
  func uplink(
    _ interface: String = "eth0", _ edit: (inout UplinkRequest) -> Void = { _ in }
  ) throws(ControlError) -> Uplink {
    if host.interface(interface, in: "/own") == nil {
      host.addUplink(interface, index: 7, "192.0.2.1/24", "2001:db8::1/64")
    }
    var request = UplinkRequest(interface: interface)
    edit(&request)
    return try controlPlane.setUplink(request)
  }

  @discardableResult
  func publish(_ endpoint: String, _ ports: String...) throws(ControlError) -> [PublishedPort] {
    try controlPlane.publish(endpoint: endpoint, PublishRequest(ports: ports)).map(\.published)
  }

  func unpublish(_ endpoint: String, _ ports: String...) throws(ControlError) {
    try controlPlane.unpublish(endpoint: endpoint, PublishRequest(ports: ports))
  }

  /// An overlay by 192.0.2.1, which `addUplink` gave an interface.
  @discardableResult
  func overlay(
    _ network: String, vni: Int = 42, _ edit: (inout OverlayRequest) -> Void = { _ in }
  ) throws(ControlError) -> Overlay {
    var request = OverlayRequest(vni: vni, local: "192.0.2.1")
    edit(&request)
    return try controlPlane.setOverlay(network: network, request)
  }

  func peer(_ network: String, _ addresses: String...) throws(ControlError) {
    for address in addresses {
      try controlPlane.addOverlayPeer(network: network, OverlayPeerRequest(address: address))
    }
  }

  @discardableResult
  func attach(_ network: String, _ interface: String) throws(ControlError) -> InterfacePort {
    try controlPlane.attachPort(network: network, InterfacePortRequest(interface: interface))
  }
}

/// Lets go of a control plane, and waits until what it was doing on its own has let go too: then its locks are free.
func end(_ controlPlane: inout ControlPlane?) {
  weak let last = controlPlane
  controlPlane = nil
  while last != nil { usleep(1000) }
}

/// Starts a control plane once the locks of the last one are free: on a busy machine they go a moment after it.
func whenFree(_ start: () throws(ControlError) -> ControlPlane) throws(ControlError) -> ControlPlane {
  for _ in 0..<10_000 {
    do throws(ControlError) { return try start() } catch let error where error.code == .conflict { usleep(1000) }
  }
  return try start()
}

/// Runs what must be refused; the refusal. Its message is one line.
func refusal(
  _ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) -> ControlError? {
  do {
    try body()
    Issue.record("was not refused", sourceLocation: sourceLocation)
  } catch let error as ControlError {
    #expect(!error.message.isEmpty && !error.message.contains("\n"), sourceLocation: sourceLocation)
    return error
  } catch {
    Issue.record(error, sourceLocation: sourceLocation)
  }
  return nil
}
