import CNI
import ControlModel

// Theory of operation. Podman 5 starts the plugin once for each command, with JSON on standard input, and reads what it prints.
// It chooses the addresses; Martlet makes the endpoint. There is no command for a network that goes: so the network is made with
// its first container, and goes with its last, as netavark's own bridge does.

/// One run of the plugin: a command in, an answer out.
public struct Driver: Sendable {
  public struct Outcome: Equatable, Sendable {
    /// For standard output.
    public var output: [UInt8]
    /// 0 or 1.
    public var status: Int32
  }

  /// Of what comes by standard input.
  public static let inputBytesMax = 1 << 20
  /// Of netavark's plugin API.
  static let apiVersion = "1.0.0"

  let service: any ControlService

  public init(service: any ControlService) { self.service = service }

  /// - Parameter words: the command line, without the program.
  public func run(_ words: [String], input: [UInt8]) -> Outcome {
    do throws(ControlError) {
      let answer = try answer(words, input)
      return Outcome(output: answer.map { $0.bytes + [UInt8(ascii: "\n")] } ?? [], status: 0)
    } catch {
      return Outcome(
        output: JSONValue.object(["error": .string(error.message)]).bytes + [UInt8(ascii: "\n")], status: 1)
    }
  }

  private func answer(_ words: [String], _ input: [UInt8]) throws(ControlError) -> JSONValue? {
    switch (words.first, words.count) {
    case ("info", 1):
      return .object(["version": .string(Version.current.version), "api_version": .string(Self.apiVersion)])
    case ("create", 1):
      return try create(try Self.object(input))
    case ("setup", 2):
      return try setUp(Attachment(try Self.object(input), namespace: words[1]))
    case ("teardown", 2):
      try tearDown(Attachment(try Self.object(input), namespace: words[1]))
      return nil
    default:
      throw ControlError(
        .invalid, "create, setup NETNS, teardown NETNS and info are the commands, not \(words.joined(separator: " "))")
    }
  }

  private static func object(_ input: [UInt8]) throws(ControlError) -> JSONObject {
    guard input.count <= inputBytesMax else {
      throw ControlError(.invalid, "standard input holds more than \(inputBytesMax) bytes")
    }
    guard case .object(let fields) = JSONValue(input) else {
      throw ControlError(.invalid, "standard input holds no JSON object")
    }
    return JSONObject(fields)
  }

  /// Refuses what no setup could do; nothing is made yet, and nothing of the network changed.
  private func create(_ object: JSONObject) throws(ControlError) -> JSONValue {
    _ = try PodmanNetwork(object)
    return .object(object.fields)
  }

  // MARK: Containers

  /// A network that its last container took along in between is made again, so many times at most.
  private static let attemptsMax = 5

  private func setUp(_ attachment: Attachment) throws(ControlError) -> JSONValue {
    var attempts = 0
    while true {
      attempts += 1
      let network = try attachment.network.demand.satisfy(service)
      do throws(ControlError) {
        let id = try service.connect(network: network.id, attachment.connect).id
        return try answer(endpoint: id, on: network)
      } catch {
        let isToBeMade = error.code == .notFound && attempts < Self.attemptsMax
        if isToBeMade, try !exists(network) { continue }
        try? removeUnused(attachment.network)
        throw error
      }
    }
  }

  private func exists(_ network: Network) throws(ControlError) -> Bool {
    do throws(ControlError) {
      _ = try service.bareNetwork(network.id)
      return true
    } catch let error where error.code == .notFound {
      return false
    }
  }

  private func answer(endpoint id: String, on network: Network) throws(ControlError) -> JSONValue {
    do throws(ControlError) {
      return SetupAnswer(endpoint: try service.endpoint(id), network: network).json
    } catch {
      try? service.removeEndpoint(id)
      throw error
    }
  }

  /// What is gone already is no error.
  private func tearDown(_ attachment: Attachment) throws(ControlError) {
    for endpoint in try service.endpoints(EndpointFilter(label: attachment.containerFilter))
    where attachment.isOf(endpoint) {
      try Self.ignoring(.notFound) { () throws(ControlError) in try service.removeEndpoint(endpoint.id) }
    }
    try removeUnused(attachment.network)
  }

  /// Ours alone, and only where nobody is left: the daemon refuses it otherwise.
  private func removeUnused(_ network: PodmanNetwork) throws(ControlError) {
    try Self.ignoring(.notFound) { () throws(ControlError) in
      let found = try service.bareNetwork(network.demand.request.name)
      guard found.labels[PodmanNetwork.label] == network.id else { return }
      try Self.ignoring(.conflict) { () throws(ControlError) in try service.removeNetwork(found.id) }
    }
  }

  private static func ignoring(
    _ code: ControlError.Code, _ body: () throws(ControlError) -> Void
  ) throws(ControlError) {
    do throws(ControlError) { try body() } catch { if error.code != code { throw error } }
  }
}
