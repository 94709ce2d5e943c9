import LinuxIO

/// A frame that was picked of those that a port has received.
public struct PortSample: Sendable {
  public let port: DataPlanePort
  /// Frames that the port has received so far.
  public let received: UInt64
  public let frame: FrameSample
}

extension SwitchDataPlane {
  /// See `Switch.startSampling`.
  public func startSampling(_ options: SamplingOptions) -> FrameSamples { fabric.startSampling(options) }

  public func stopSampling() { fabric.stopSampling() }

  /// Takes the samples that wait, without those of ports that have gone. One thread at a time.
  public func take(_ samples: FrameSamples, _ body: (PortSample) -> Void) {
    samples.take { frame in
      guard let port = state.withLock({ $0.portsByHandle[frame.port] }) else { return }
      body(PortSample(port: port, received: fabric[frame.port, .rxFrames], frame: frame))
    }
  }
}
