/// Which frames are sampled, and how much is kept of each.
public struct SamplingOptions: Sendable, Equatable {
  /// One in so many, by chance; at least 1.
  public var rate: UInt32
  /// Bytes, from the Ethernet header on; 1 to 65,535.
  public var headerBytes: Int

  public init(rate: UInt32, headerBytes: Int) { (self.rate, self.headerBytes) = (rate, headerBytes) }
}

/// A frame that a worker received and that was picked.
public struct FrameSample: Sendable, Equatable {
  /// It came in by; it may have gone since.
  public let port: PortHandle
  /// Bytes of the frame, from the Ethernet header on.
  public let length: Int
  /// Of these the first.
  public let header: [UInt8]
}

/// Where the samples of all workers are taken from. Outlives the switch, if need be.
public struct FrameSamples: Sendable {
  fileprivate let lanes: [SampleLane]

  /// Samples that were not taken because the ones before waited still. Any thread.
  public var lost: UInt64 { lanes.reduce(0) { $0 &+ $1.lost } }

  /// Takes what waits, and ends, however much comes meanwhile. One thread at a time.
  public func take(_ body: (FrameSample) -> Void) {
    for lane in lanes {
      for _ in 0..<SampleLane.capacity {
        guard let sample = lane.take() else { break }
        body(sample)
      }
    }
  }
}

// Sampling. Each worker picks for itself; together they pick as one would.
extension Switch {
  /// From here on received frames are sampled, in place of what was said before.
  public func startSampling(_ options: SamplingOptions) -> FrameSamples {
    let lanes = (0..<workerCount).map { _ in SampleLane(options, seed: .random(in: .min ... .max)) }
    for (worker, lane) in lanes.enumerated() { ask(worker) { $0.samples = lane } }
    return FrameSamples(lanes: lanes)
  }

  public func stopSampling() { askAll { $0.samples = nil } }
}
