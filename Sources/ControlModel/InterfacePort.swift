/// An interface of the daemon's namespace that was put on a network, as `port ls` shows it.
public struct InterfacePort: Codable, Sendable, Equatable {
  public var network: String
  public var interface: String
  /// up; down: frames do not pass, `detail` says why; missing: there is no interface of that name, the port waits for one.
  public var state: String
  public var detail: String?
  public var counters: Counters

  public init(network: String, interface: String, state: String, detail: String? = nil, counters: Counters = Counters())
  {
    (self.network, self.interface, self.state, self.detail) = (network, interface, state, detail)
    self.counters = counters
  }
}

/// What `port attach` asks for: `POST /v1/networks/{network}/ports`.
public struct InterfacePortRequest: Codable, Sendable, Equatable {
  public var interface: String
  public init(interface: String) { self.interface = interface }
}
