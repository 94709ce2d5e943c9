import ControlModel
import Foundation
import Glibc
import Testing

@testable import ControlPlane

/// A control plane over the kernel, in a namespace of its own, with a data plane that only holds descriptors.
final class KernelBench {
  /// Names that no other run has: of the namespaces, and below /etc/netns.
  let prefix = "mt\(getpid())x\(UInt32.random(in: 0 ... .max))"
  let directory: String
  let dataPlane = StandInDataPlane(faults: Faults())
  private(set) var controlPlane: ControlPlane!

  var hostName: String { prefix + "host" }
  func name(_ short: String) -> String { prefix + short }

  init() throws {
    directory = NSTemporaryDirectory() + prefix
    try Self.run("ip", "netns", "add", hostName)
    try start()
  }

  deinit {
    try? controlPlane?.shutdown(ShutdownRequest(purge: true))
    controlPlane = nil
    for file in (try? FileManager.default.contentsOfDirectory(atPath: "/run/netns")) ?? [] where file.hasPrefix(prefix)
    {
      _ = try? Self.attempt(["ip", "netns", "del", file])
    }
    for file in (try? FileManager.default.contentsOfDirectory(atPath: "/etc/netns")) ?? [] where file.hasPrefix(prefix)
    {
      try? FileManager.default.removeItem(atPath: "/etc/netns/" + file)
    }
    try? FileManager.default.removeItem(atPath: directory)
  }

  func start() throws {
    controlPlane = try whenFree { () throws(ControlError) in
      let host = try KernelHostNetwork(ownNamespace: "/run/netns/" + hostName)
      return try ControlPlane(
        dataPlane: dataPlane, host: host, stateDirectory: directory + "/state", logger: Bench.silent)
    }
  }

  func stop() throws {
    end(&controlPlane)
    for port in dataPlane.state.ports.keys { try dataPlane.removePort(port) }
    for network in dataPlane.state.networks.keys { try dataPlane.removeNetwork(network) }
  }

  // MARK: Short forms

  @discardableResult
  func network(_ name: String, _ edit: (inout NetworkRequest) -> Void = { _ in }) throws -> Network {
    var request = NetworkRequest(name: name)
    edit(&request)
    return try controlPlane.network(try controlPlane.createNetwork(request).id)
  }

  @discardableResult
  func sandbox(_ short: String) throws -> Sandbox {
    try controlPlane.sandbox(try controlPlane.createSandbox(SandboxRequest(name: name(short))).id)
  }

  @discardableResult
  func connect(
    _ network: String, _ short: String, _ edit: (inout ConnectRequest) -> Void = { _ in }
  ) throws -> Endpoint {
    var request = ConnectRequest(sandbox: name(short))
    edit(&request)
    return try controlPlane.endpoint(try controlPlane.connect(network: network, request).id)
  }

  // MARK: iproute2, the other side of every comparison

  struct Interface: Decodable {
    struct Address: Decodable {
      var family: String
      var local: String
      var prefixlen: Int
      var scope: String
      var tentative: Bool?
    }
    var ifname: String
    var ifalias: String?
    var address: String
    var mtu: Int
    var qdisc: String?
    var flags: [String]
    var ifindex: Int
    var addrInfo: [Address]
    var addresses: [String] { addrInfo.filter { $0.scope == "global" }.map { "\($0.local)/\($0.prefixlen)" } }
  }

  struct RouteEntry: Decodable {
    var dst: String?
    var type: String?
    var gateway: String?
    var dev: String?
  }

  struct RuleEntry: Decodable {
    var priority: Int
    var iif: String?
  }

  func interfaces(_ namespace: String) throws -> [Interface] { try show(namespace, "addr", "show") }

  func interface(_ name: String, in namespace: String) throws -> Interface {
    try #require(try interfaces(namespace).first { $0.ifname == name })
  }

  func show<Object: Decodable>(_ namespace: String, _ words: String...) throws -> [Object] {
    let output = try Self.run(["ip", "-n", namespace, "-j", "-d"] + words)
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return output.isEmpty ? [] : try decoder.decode([Object].self, from: Data(output.utf8))
  }

  /// Rules beyond the three that every namespace has.
  func rules() throws -> [RuleEntry] {
    let all: [RuleEntry] = try show(hostName, "rule") + show(hostName, "-6", "rule")
    return all.filter { ![0, 32766, 32767].contains($0.priority) }
  }

  static func attempt(_ words: [String]) throws -> (status: Int32, output: String, complaint: String) {
    let process = Process()
    let (output, complaint) = (Pipe(), Pipe())
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = words
    (process.standardOutput, process.standardError) = (output, complaint)
    try process.run()
    let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
    let text = try complaint.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: bytes, as: UTF8.self), String(decoding: text, as: UTF8.self))
  }

  @discardableResult
  static func run(_ words: [String]) throws -> String {
    let (status, output, complaint) = try attempt(words)
    try #require(status == 0, "\(words.joined(separator: " ")): \(complaint)")
    return output
  }

  @discardableResult
  static func run(_ words: String...) throws -> String { try run(words) }

  /// What the kernel would do with a packet: the interface it leaves by, or nil where it is refused.
  func leads(from source: String, by interface: String?, to destination: String) throws -> String? {
    let arrival = interface.map { ["from", source, "iif", $0] } ?? []
    let (status, output, _) = try Self.attempt(["ip", "-n", hostName, "-j", "route", "get", destination] + arrival)
    guard status == 0 else { return nil }
    return try JSONDecoder().decode([RouteEntry].self, from: Data(output.utf8)).first?.dev
  }
}
