/// What `trace` asks: `POST /v1/networks/{network}/trace`.
public struct TraceRequest: Codable, Sendable, Equatable {
  /// The port by which the frame comes in: an endpoint's id or sandbox, an interface, `gateway`, or `vtep=ADDRESS`.
  public var port: String
  /// From the Ethernet header on, without the check sequence; hexadecimal digits.
  public var frame: String
  /// Whether the frame goes its way afterwards. Absent: nothing changes.
  public var send: Bool?

  public init(port: String, frame: String, send: Bool? = nil) {
    (self.port, self.frame, self.send) = (port, frame, send)
  }
}

/// A copy of a frame, and where it goes.
public struct TracedCopy: Codable, Sendable, Equatable {
  /// As people name it.
  public var port: String
  /// What becomes of its VLAN tag; absent: nothing.
  public var tag: String?
  /// Beside the verdict.
  public var mirror: Bool

  public init(port: String, tag: String? = nil, mirror: Bool = false) {
    (self.port, self.tag, self.mirror) = (port, tag, mirror)
  }
}

/// The way of a frame through a network's switch.
public struct Trace: Codable, Sendable, Equatable {
  public var network: String
  public var port: String
  /// In words, in order.
  public var steps: [String]
  /// `sent`, `answered`, `routed` or `dropped`.
  public var outcome: String
  /// Of a drop: its reason, as counters have it.
  public var drop: String?
  public var copies: [TracedCopy]
  /// As the network's policy leaves it; absent where it has not changed it.
  public var rewritten: String?

  public init(
    network: String, port: String, steps: [String], outcome: String, drop: String? = nil, copies: [TracedCopy] = [],
    rewritten: String? = nil
  ) {
    (self.network, self.port, self.steps, self.outcome) = (network, port, steps, outcome)
    (self.drop, self.copies, self.rewritten) = (drop, copies, rewritten)
  }
}

/// A frame that went nowhere.
public struct DroppedFrame: Codable, Sendable, Equatable {
  public var port: String
  public var reason: String
  /// Bytes, from the Ethernet header on.
  public var length: Int
  /// Its first bytes, as hexadecimal digits; a router may have rewritten them.
  public var frame: String
  public var ageSeconds: Double

  public init(port: String, reason: String, length: Int, frame: String, ageSeconds: Double) {
    (self.port, self.reason, self.length, self.frame) = (port, reason, length, frame)
    self.ageSeconds = ageSeconds
  }

  enum CodingKeys: String, CodingKey {
    case port, reason, length, frame
    case ageSeconds = "age_s"
  }
}
