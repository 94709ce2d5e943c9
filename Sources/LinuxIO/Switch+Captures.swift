import Datapath
import Glibc
import SystemCalls

// Who looks at frames: captures, which take copies of them to the control plane, and mirrors, which take them to another port.
extension Switch {
  /// Captures that run at a time.
  public static let capturesMax = WorkerCaptures.capacity

  /// From here on frames of the network are captured. While nobody captures or mirrors, no worker does anything for it.
  public func startCapture(_ options: CaptureOptions, of network: NetworkHandle) throws(Errno) -> FrameCapture {
    let serial: Int? = places.withLock { places in
      guard places.captures < Self.capturesMax else { return nil }
      places.captures += 1
      places.captureSerial += 1
      return places.captureSerial
    }
    guard let serial else { throw Errno(EBUSY, "capture: \(Self.capturesMax) captures run already") }
    let capture: FrameCapture
    do throws(Errno) {
      capture = try FrameCapture(options, network: network.network, serial: serial, workers: workerCount)
    } catch {
      places.withLock { $0.captures -= 1 }
      throw error
    }
    for worker in 0..<workerCount {
      let entry = WorkerCaptures.Entry(capture, worker: worker)
      ask(worker) {
        $0.transmitter.captures.add(entry)
        $0.engine.setTap($0.transmitter.captures.tap)
      }
    }
    return capture
  }

  /// What was captured can be read still. Once.
  public func endCapture(_ capture: FrameCapture) {
    askAll {
      $0.transmitter.captures.remove(capture.serial)
      $0.engine.setTap($0.transmitter.captures.tap)
    }
    places.withLock { $0.captures -= 1 }
  }

  /// Whether any worker has a capture.
  var isCapturing: Bool { askAll { !$0.transmitter.captures.isEmpty }.contains(true) }

  /// As `Engine.setMirror`, on all workers.
  public func setMirror(
    from port: PortHandle, to destination: PortHandle, received: Bool, sent: Bool
  ) throws(Errno) {
    let mirror = FrameMirror(
      from: port.index, to: destination.index, copiesReceived: received, copiesSent: sent)
    // The workers have the same mirrors: all refuse, or none.
    guard askAll({ $0.engine.setMirror(mirror) }).allSatisfy({ $0 }) else {
      throw Errno(ENOSPC, "mirror a port: there are \(Engine.mirrorsMax) mirrors, or the ports are on two networks")
    }
  }

  /// Once more is no error.
  public func removeMirror(from port: PortHandle, to destination: PortHandle) {
    askAll { $0.engine.removeMirror(from: port.index, to: destination.index) }
  }
}
