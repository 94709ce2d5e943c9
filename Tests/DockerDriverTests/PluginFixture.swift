import ControlModel
import HTTPService
import Logging
import Support
import Testing

@testable import DockerDriver

let silent = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

/// The plugin before a stand-in driver, called as Docker calls it.
struct PluginFixture {
  let driver: StandInDriver
  let plugin: Plugin

  init(driver: StandInDriver = StandInDriver(), scope: PluginServer.Scope = .local) {
    self.driver = driver
    plugin = Plugin(driver: driver, scope: scope, logger: silent)
  }

  /// The answer's body, which is of status 200.
  func call(_ method: String, _ body: String = "") -> String {
    let answer = plugin.answer(.POST, "/" + method, body: Array(body.utf8))
    #expect(answer.status == .ok && answer.contentType == "application/vnd.docker.plugins.v1.2+json")
    return String(decoding: answer.body, as: UTF8.self)
  }
}

/// Ids of recorded calls.
let network = "58089b8733116de0c2dbd4543d13c0af6e2d835dd9ab8117951f9b99928dab07"
let endpoint = "5891452d94520248954130b218c04c9d6d696aa3ab4c7d4db5d52b79e7b8bd37"
/// The two fields that name an endpoint, without the braces.
let ids = #""NetworkID": "\#(network)", "EndpointID": "\#(endpoint)""#
