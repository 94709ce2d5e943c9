import FoundationEssentials

/// What bounds captures.
public enum CaptureLimits {
  /// At a time.
  public static let sessions = 8
  /// Bytes kept of each frame: as many as the longest has.
  public static let snapLength = 1...65_535
  /// How long an answer is waited for while there is nothing to tell.
  public static let waitMilliseconds = 1000
  /// One that nobody has asked for so long ends.
  public static let patienceSeconds = 15
  /// Of one answer. Bytes of frames.
  public static let framesPerAnswer = 1024
  public static let bytesPerAnswer = 1 << 20
}

/// As the switch sees it: `in` is what comes from a port.
public enum FrameDirection: String, Codable, Sendable, Equatable, CaseIterable {
  case `in`
  case out
  case both
}

/// What `capture` asks for: `POST /v1/networks/{network}/captures`.
public struct CaptureRequest: Codable, Sendable, Equatable {
  /// nil: all ports.
  public var port: String?
  /// Default: both.
  public var direction: FrameDirection?
  /// As tcpdump takes it (pcap-filter(7)).
  public var filter: String?
  /// Only frames that go nowhere.
  public var drops: Bool?
  /// Bytes kept of each frame. Default: all.
  public var snaplen: Int?

  public init(
    port: String? = nil, direction: FrameDirection? = nil, filter: String? = nil, drops: Bool? = nil,
    snaplen: Int? = nil
  ) {
    (self.port, self.direction, self.filter) = (port, direction, filter)
    (self.drops, self.snaplen) = (drops, snaplen)
  }
}

/// What the switch did with a frame at a port.
public enum FrameFate: String, Codable, Sendable, Equatable {
  case `in`
  case out
  /// It came in by the port, and went nowhere.
  case drop
  /// It was to leave by the port, and did not.
  case dropOut = "drop_out"

  public var isDrop: Bool { self == .drop || self == .dropOut }
}

/// A frame of a capture.
public struct SwitchedFrame: Codable, Sendable, Equatable {
  /// Nanoseconds since 1970 (UTC).
  public var time: UInt64
  public var event: FrameFate
  /// A sandbox, `gateway`, an interface or `vtep=ADDRESS`.
  public var port: String
  /// Of a drop: a word of `DropReason`.
  public var reason: String?
  /// Bytes that the frame had, from the Ethernet header on.
  public var length: Int
  /// The first of them.
  public var bytes: Data

  public init(time: UInt64, event: FrameFate, port: String, reason: String? = nil, length: Int, bytes: Data) {
    (self.time, self.event, self.port, self.reason) = (time, event, port, reason)
    (self.length, self.bytes) = (length, bytes)
  }
}

/// What has been captured since the last answer.
public struct CapturedFrames: Codable, Sendable, Equatable {
  public var frames: [SwitchedFrame]
  /// Frames that the capture was too slow for, since its begin.
  public var lost: UInt64

  public init(frames: [SwitchedFrame], lost: UInt64) { (self.frames, self.lost) = (frames, lost) }
}
