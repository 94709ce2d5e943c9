/// What `mirror add` asks for: `POST /v1/networks/{network}/mirrors`.
public struct MirrorRequest: Codable, Sendable, Equatable {
  /// The port whose frames are copied.
  public var from: String
  /// The port that gets the copies.
  public var to: String
  /// Default: both.
  public var direction: FrameDirection?

  public init(from: String, to: String, direction: FrameDirection? = nil) {
    (self.from, self.to, self.direction) = (from, to, direction)
  }
}

/// Frames of one port that another gets copies of.
public struct PortMirror: Codable, Sendable, Equatable {
  public var id: String
  /// A name.
  public var network: String
  public var from: String
  public var to: String
  public var direction: FrameDirection
  /// `up`, or `down`: one of the ports is not there now.
  public var state: String

  public init(id: String, network: String, from: String, to: String, direction: FrameDirection, state: String) {
    (self.id, self.network, self.from, self.to) = (id, network, from, to)
    (self.direction, self.state) = (direction, state)
  }
}
