import Tables

/// How a worker waits, reads and sends. The defaults are the best single configuration that was measured (docs/ablation.md).
public struct WorkerOptions: Sendable, Equatable {
  public enum ReadMode: Sendable, Equatable {
    /// Multishot where the kernel has it (Linux 6.7), else one by one.
    case automatic
    /// One submission for each frame.
    case single
  }

  /// Ports that one worker can hold; fewer where the process may not have as many descriptors (RLIMIT_NOFILE).
  public var portCapacity = 8192
  /// Networks that one worker can hold.
  public var networkCapacity = 4096
  /// Sessions that the router can hold, of 128 bytes each, which are touched when they are used.
  public var sessionCapacity = SessionTable.capacityDefault
  /// A file for the sessions, so that the next process finds them; nil: they go with this one.
  public var sessionFile: String?
  /// A power of two.
  public var receiveBufferCount = FrameBuffers.receiveCountDefault
  /// How long to look for frames before sleeping while the traffic is request and response, in microseconds. 0: never.
  public var spinMicroseconds: UInt32 = 50
  /// How long to let small frames gather under a flood of them, in microseconds. 0: never.
  public var napMicroseconds: UInt32 = 30
  /// Sends small UDP frames of one flow as one segmented frame.
  public var coalescesUDP = true
  /// The most that is asked of the kernel for frames within a tunnel.
  public var tunnelSegmentation = TunnelSegmentation.tunnel
  public var readMode = ReadMode.automatic
  /// Told of the workers, so that it can ask them.
  public var livenessProbe: LivenessProbe?

  public init() {}
}
