import ControlModel

/// The `Options` of an endpoint: the engine's own keys, and beside them what a user says with `driver-opt`.
struct EndpointOptions: Decodable {
  private static let mtuKey = "com.docker.network.driver.mtu"
  private static let interfaceNameKey = "com.docker.network.endpoint.ifname"
  private static let ofEngine: Set<String> = [
    // Acted on when they come again, with ProgramExternalConnectivity: only then is the endpoint the container's way outside.
    "com.docker.network.portmap",
    // What the image says it listens on. It opens nothing.
    "com.docker.network.endpoint.exposedports",
    // The MAC address of `Interface` once more.
    "com.docker.network.endpoint.macaddress",
    // The engine's resolver asks these.
    "com.docker.network.endpoint.dnsservers",
    // The engine sets these in the sandbox.
    "com.docker.network.endpoint.sysctls",
  ]
  /// Between the engine and its own drivers.
  private static let privatePrefix = "com.docker.network.driver.private."

  private(set) var mtu: Int?
  private var names: Set<String> = []

  init() {}

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    names = Set(container.allKeys.map(\.stringValue))
    guard let text = try container.decodeIfPresent(String.self, forKey: Key(stringValue: Self.mtuKey)) else { return }
    guard let mtu = Int(text) else {
      throw ControlError(.invalid, "option \(Self.mtuKey): \"\(text)\" is no number")
    }
    self.mtu = mtu
  }

  /// Refuses a user's option that nothing would follow from.
  func check() throws(ControlError) {
    if names.contains(Self.interfaceNameKey) {
      throw ControlError(
        .unsupported,
        "option \(Self.interfaceNameKey) is not supported: Docker takes an interface's name from its own drivers only; the network's option com.docker.network.container_iface_prefix names all of its interfaces"
      )
    }
    let known = Self.ofEngine.union([Self.mtuKey])
    let unknown = names.filter { !known.contains($0) && !$0.hasPrefix(Self.privatePrefix) }
    if let first = unknown.min() {
      throw ControlError(.unsupported, "option \"\(first)\" of an endpoint is not known: known is \(Self.mtuKey)")
    }
  }

  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }
}
