import ControlModel
import HTTPService
import Logging
import NIOHTTP1

/// Docker's plugin protocol: `POST /Interface.Method` with JSON both ways. What the driver refuses is no error of HTTP: the answer is
/// 200 with the reason, in a field whose name depends on the interface.
struct Plugin: Responder {
  static let contentType = "application/vnd.docker.plugins.v1.2+json"

  let driver: any NetworkDriver
  let scope: PluginServer.Scope
  let logger: Logger

  func answer(_ method: HTTPMethod, _ target: String, body: [UInt8]) -> Answer {
    let name = String(target.drop { $0 == "/" })
    guard let called = Self.methods[name] else {
      // An engine passes over a method that is not there, where it can do without.
      let error = ControlError(.notFound, "no method \(name.prefix(Self.shownNameLengthMax)) here")
      return refusal(error, status: .notFound)
    }
    guard method == .POST else {
      var answer = refusal(ControlError(.invalid, "\(name) takes POST only"), status: .methodNotAllowed)
      answer.allow = "POST"
      return answer
    }
    do {
      return try called.call(self, body)
    } catch {
      // Of some, Docker tells nobody (DeleteNetwork, Leave).
      logger.warning("\(name) refused: \(error)")
      return Self.failure(error, isOfAddresses: name.hasPrefix("IpamDriver."))
    }
  }

  /// Docker reads `Err` out of every answer that is not 200.
  func refusal(_ error: ControlError, status: HTTPResponseStatus) -> Answer {
    var answer = Self.failure(error, isOfAddresses: false)
    answer.status = status
    return answer
  }

  private static let shownNameLengthMax = 64

  private static func failure(_ error: ControlError, isOfAddresses: Bool) -> Answer {
    let fields = [isOfAddresses ? "Error" : "Err": error.message]
    // Two strings always encode; were that ever to fail, the status alone tells that something is wrong.
    let answer = try? Answer.json(fields, contentType: contentType)
    return answer ?? Answer(status: .internalServerError, contentType: contentType)
  }
}

/// One method of the protocol.
struct Method: Sendable {
  let call: @Sendable (Plugin, [UInt8]) throws(ControlError) -> Answer

  /// One that takes an argument.
  init<Argument: Decodable & SendableMetatype, Result: Encodable & SendableMetatype>(
    _ body: @escaping @Sendable (Plugin, Argument) throws(ControlError) -> Result
  ) {
    call = { plugin, bytes throws(ControlError) in
      // Docker's client has read its body to the end when it tries again (callWithRetry in its pkg/plugins/client.go).
      guard !bytes.isEmpty else {
        throw ControlError(
          .invalid, "martletd ended in the midst of this call, and Docker repeats it without its content: try again")
      }
      let argument = try JSONBody.decode(Argument.self, from: bytes)
      return try .json(body(plugin, argument), contentType: Plugin.contentType)
    }
  }

  /// One without: its body is empty, and is not looked at.
  init<Result: Encodable & SendableMetatype>(_ body: @escaping @Sendable (Plugin) throws(ControlError) -> Result) {
    call = { plugin, _ throws(ControlError) in try .json(body(plugin), contentType: Plugin.contentType) }
  }
}

/// The answer that says nothing but that all is well.
struct Nothing: Codable, Equatable {}

extension Plugin {
  /// All that an engine calls, up to Docker 28.
  static let methods: [String: Method] = {
    var methods = [
      // Once in an engine's life, before it calls anything else.
      "Plugin.Activate": Method { plugin throws(ControlError) in
        try plugin.driver.engineStarted()
        return Activation()
      },
      "IpamDriver.GetCapabilities": Method { _ in AddressCapabilities() },
      "IpamDriver.GetDefaultAddressSpaces": Method { _ in AddressSpaces() },
    ]
    for (name, method) in networkMethods { methods["NetworkDriver." + name] = method }
    for (name, method) in swarmMethods { methods["NetworkDriver." + name] = method }
    for (name, method) in endpointMethods { methods["NetworkDriver." + name] = method }
    for (name, method) in addressMethods { methods["IpamDriver." + name] = method }
    return methods
  }()
}

struct Activation: Encodable {
  let implements = ["NetworkDriver", "IpamDriver"]

  enum CodingKeys: String, CodingKey { case implements = "Implements" }
}
