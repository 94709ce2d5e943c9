import ControlModel
import Synchronization

/// A network driver without networks: writes down what it was asked, and answers with what it was given.
package final class StandInDriver: NetworkDriver {
  package enum Call: Equatable, Sendable {
    case allocateNetwork(String, NetworkRequest, isRepeated: Bool)
    case freeNetwork(String)
    case nodeCame(String, isOwn: Bool)
    case nodeWent(String)
    case createNetwork(String, NetworkRequest)
    case deleteNetwork(String)
    case createEndpoint(DriverEndpointRequest)
    case join(network: String, endpoint: String, sandbox: String)
    case publish(network: String, endpoint: String, ports: [String])
    case unpublish(network: String, endpoint: String)
    case endpointInformation(network: String, endpoint: String)
    case leave(network: String, endpoint: String)
    case deleteEndpoint(network: String, endpoint: String)
    case requestPool(DriverPoolRequest)
    case releasePool(String)
    case requestAddress(pool: String, address: String?, isGateway: Bool)
    case releaseAddress(pool: String, address: String)
  }

  package struct Answers: Sendable {
    package var vni = 4711
    package var endpoint = DriverEndpoint(mac: "02:42:0a:32:05:00")
    package var join = DriverJoin(interface: "mt58089b", interfacePrefix: "eth", gateway: "10.50.0.1")
    package var information = Sample.endpoint
    package var pool = DriverPool(id: "10.77.0.0/24", pool: "10.77.0.0/24")
    package var address = "10.77.0.2/24"
  }

  private let recorded = Mutex<[Call]>([])
  private let answers: Answers
  private let error: ControlError?
  /// Runs on the thread of the call, before the answer.
  private let during: @Sendable (Call) -> Void

  /// - Parameter error: what every call throws.
  package init(
    error: ControlError? = nil, _ during: @escaping @Sendable (Call) -> Void = { _ in },
    answers change: (inout Answers) -> Void = { _ in }
  ) {
    var answers = Answers()
    change(&answers)
    (self.answers, self.error, self.during) = (answers, error, during)
  }

  package var calls: [Call] { recorded.withLock { $0 } }

  private func record(_ call: Call) throws(ControlError) {
    recorded.withLock { $0.append(call) }
    during(call)
    if let error { throw error }
  }

  /// Not written down: it comes before everything.
  package func engineStarted() throws(ControlError) {}

  package func allocateNetwork(
    id: String, _ request: NetworkRequest, isRepeated: Bool
  ) throws(ControlError) -> Int {
    try record(.allocateNetwork(id, request, isRepeated: isRepeated))
    return answers.vni
  }
  package func freeNetwork(id: String) throws(ControlError) { try record(.freeNetwork(id)) }
  package func nodeCame(_ address: String, isOwn: Bool) throws(ControlError) {
    try record(.nodeCame(address, isOwn: isOwn))
  }
  package func nodeWent(_ address: String) throws(ControlError) { try record(.nodeWent(address)) }
  package func createNetwork(id: String, _ request: NetworkRequest) throws(ControlError) {
    try record(.createNetwork(id, request))
  }
  package func deleteNetwork(id: String) throws(ControlError) { try record(.deleteNetwork(id)) }
  package func createEndpoint(_ request: DriverEndpointRequest) throws(ControlError) -> DriverEndpoint {
    try record(.createEndpoint(request))
    return answers.endpoint
  }
  package func join(network: String, endpoint: String, sandbox: String) throws(ControlError) -> DriverJoin {
    try record(.join(network: network, endpoint: endpoint, sandbox: sandbox))
    return answers.join
  }
  package func publish(network: String, endpoint: String, ports: [String]) throws(ControlError) {
    try record(.publish(network: network, endpoint: endpoint, ports: ports))
  }
  package func unpublish(network: String, endpoint: String) throws(ControlError) {
    try record(.unpublish(network: network, endpoint: endpoint))
  }
  package func endpointInformation(network: String, endpoint: String) throws(ControlError) -> Endpoint {
    try record(.endpointInformation(network: network, endpoint: endpoint))
    return answers.information
  }
  package func leave(network: String, endpoint: String) throws(ControlError) {
    try record(.leave(network: network, endpoint: endpoint))
  }
  package func deleteEndpoint(network: String, endpoint: String) throws(ControlError) {
    try record(.deleteEndpoint(network: network, endpoint: endpoint))
  }
  package func requestPool(_ request: DriverPoolRequest) throws(ControlError) -> DriverPool {
    try record(.requestPool(request))
    return answers.pool
  }
  package func releasePool(id: String) throws(ControlError) { try record(.releasePool(id)) }
  package func requestAddress(pool: String, address: String?, isGateway: Bool) throws(ControlError) -> String {
    try record(.requestAddress(pool: pool, address: address, isGateway: isGateway))
    return answers.address
  }
  package func releaseAddress(pool: String, address: String) throws(ControlError) {
    try record(.releaseAddress(pool: pool, address: address))
  }
}
