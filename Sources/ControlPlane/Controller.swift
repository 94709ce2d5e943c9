import Cluster
import ControlModel
import Dispatch
import Foundation
import Logging
import Policies
import Wire

// Theory of operation. A change goes the same way every time: check the request, write an intent to the store, change the
// kernel and the data plane step by step with a way back from each, settle the record. What a step's failure leaves is
// undone at once; what a crash leaves is undone at the next start, from the intents. The store is the one truth: memory
// holds only the data plane's handles, and what is taken (names, addresses, MACs) is asked of the store each time.
//
// Not thread-safe: `ControlPlane` has the lock.

/// Makes and unmakes networks, sandboxes, endpoints, ports, publications and the uplink.
final class Controller {
  let dataPlane: any DataPlane
  let host: any HostNetwork
  /// nil: names are not served.
  let names: (any NameService)?
  let store: Store
  let logger: Logger
  /// Called with the id of an endpoint whose addresses have been announced once, to have them announced again.
  let repeatAnnouncement: @Sendable (String) -> Void
  private let lock: StateLock

  /// Where interfaces are removed that nobody waits for.
  let removals = DispatchQueue(label: "martlet.removals")

  /// By id. A network with a switch that is not in here is one whose making or removal failed half-way.
  var dataPlaneNetworks: [String: DataPlaneNetwork] = [:]
  /// By the network's id.
  var gatewayPorts: [String: DataPlanePort] = [:] { didSet { portsGeneration += 1 } }
  /// By the endpoint's id.
  var endpointPorts: [String: DataPlanePort] = [:] { didSet { portsGeneration += 1 } }
  /// By the interface's name.
  var interfacePorts: [String: AttachedInterface] = [:] { didSet { portsGeneration += 1 } }
  /// By the interface's name: why it is there and not attached.
  var portTroubles: [String: String] = [:]
  /// By the network's id.
  var parents: [String: RaisedParent] = [:] { didSet { portsGeneration += 1 } }
  /// By the network's id: why its parent is there and not in use.
  var parentTroubles: [String: String] = [:]
  /// By the endpoint's id: addresses that its interface was found to have, and those of them that nobody else has.
  var seenAddresses: [String: [IPAddress]] = [:]
  var followedAddresses: [String: [IPAddress]] = [:]
  /// Of this host, by which networks reach others.
  var carriers: [LocalVTEP: RaisedCarrier] = [:]
  /// By the network's id.
  var raisedOverlays: [String: RaisedOverlay] = [:] { didSet { portsGeneration += 1 } }
  /// By the network's id: why its overlay is not as asked for.
  var overlayTroubles: [String: String] = [:]
  /// nil: a single host.
  var membership: Membership?
  /// On the cluster's other hosts: by the network's id, then by the endpoint's.
  var remoteEndpoints: [String: [String: ClusterEndpoint]] = [:]
  /// By the service's id.
  var raisedServices: [String: RaisedService] = [:]
  /// By the service's id: why it is not as asked for.
  var serviceTroubles: [String: String] = [:]
  /// By the network's id: members on other hosts that the data plane was told of.
  var hostsElsewhere: [String: [IPAddress: HostElsewhere]] = [:]
  /// By the network's id: mesh addresses that the data plane was told of.
  var ownAddresses: [String: Set<IPAddress>] = [:]
  /// The uplink that is asked for; whether it is there, `uplink` tells.
  var uplinkRecord: UplinkRecord?
  var uplink: RaisedUplink?
  /// Of the host, as they were when last looked for: its programs may have taken some by name.
  var usedPorts: Set<UInt16> = []
  /// Sweeps since then.
  var usedPortsAge = 0
  /// On the way back from a move: which slots the addresses had.
  var formerSlots: [ExternalAddress] = []
  /// Why it is not as asked for.
  var uplinkTrouble: String?
  /// By the network's id: what the data plane was told.
  var gateways: [String: DataPlaneGateway] = [:]
  var toldRoutes: [DataPlaneRoute] = []
  var claimedSubnets: [IPPrefix] = []
  /// On the uplink, that the data plane has asked for.
  var nextHops: Set<IPAddress> = []
  /// By the record's id.
  var raisedPublications: [Int64: RaisedPublication] = [:]
  /// By the record's id: why it cannot be reached.
  var publicationTroubles: [Int64: String] = [:]
  /// The host's port that was chosen last, so that one which was given back is not the next to be given.
  var lastChosenPort = 0
  var servedNames = ServedNames()
  /// Endpoints of engines that have not been seen in their sandboxes yet, and since when they are waited for.
  var arriving: [String: Arrival] = [:]
  /// Does nothing on its own any more.
  var isStopped = false
  /// nil: nobody watches over libraries' policies.
  let policyWatch: PolicyWatch?
  /// By the network's id.
  var raisedPolicies: [String: RaisedPolicy] = [:]
  /// By the network's id: why its policy could not be raised.
  var policyTroubles: [String: String] = [:]
  /// Changes with ports; and what it was when policies were told of them last.
  var portsGeneration = 0
  var toldPortsGeneration = 0
  /// By the capture's id.
  var captures: [String: RunningCapture] = [:]
  /// By the record's id; and what `portsGeneration` was when they were looked after last.
  var raisedMirrors: [String: RaisedMirror] = [:]
  var mirroredGeneration = 0
  let stateDirectory: String
  /// By the endpoint's id: why it is down.
  var troubles: [String: String] = [:]

  init(
    dataPlane: any DataPlane, host: any HostNetwork, names: (any NameService)?, policyWatch: PolicyWatch?,
    stateDirectory: String, logger: Logger,
    repeatAnnouncement: @escaping @Sendable (String) -> Void
  ) throws(ControlError) {
    do {
      try FileManager.default.createDirectory(
        atPath: stateDirectory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw ControlError(.system, "make the state directory \(stateDirectory): \(error.localizedDescription)")
    }
    lock = try StateLock(directory: stateDirectory)
    try host.claim()
    store = try Store(directory: stateDirectory)
    self.dataPlane = dataPlane
    self.policyWatch = policyWatch
    self.stateDirectory = stateDirectory
    self.host = host
    self.names = names
    self.logger = logger
    self.repeatAnnouncement = repeatAnnouncement
    try restore()
  }

  /// RFC 3339, UTC.
  static func now() -> String { Date().formatted(.iso8601) }

  /// Runs a change whose steps undo themselves when a later one fails.
  func change<Value>(
    _ body: (inout Rollback) throws(ControlError) -> Value
  ) throws(ControlError) -> Value {
    var rollback = Rollback(logger: logger)
    do throws(ControlError) {
      return try body(&rollback)
    } catch {
      rollback.run()
      throw error
    }
  }

  /// Takes a step of a removal: what fails is logged, and the removal goes on.
  func attempt(_ what: String, _ body: () throws(ControlError) -> Void) {
    do { try body() } catch { logger.error("\(what): \(error)") }
  }
}

/// An endpoint that is waited for.
struct Arrival {
  /// Of the sandbox; empty: the endpoint has not joined one.
  var path = ""
  let since = ContinuousClock.now
}

/// The mark on interfaces of ours (IFLA_IFALIAS): it says what they are, whatever they are called now.
enum InterfaceMark {
  static let prefix = "martlet "
  static func gateway(network id: String) -> String { prefix + "gateway " + id }
  static func endpoint(_ id: String) -> String { prefix + "endpoint " + id }
  static let carrierPrefix = prefix + "carrier "
  static func carrier(_ name: String) -> String { carrierPrefix + name }
}
