import Datapath
import SystemCalls
import Wire

// What the worker that has the router does beside.
extension Worker {
  /// Frames taken over from one worker in one turn.
  private static let takenOverMax = 64

  /// Routes what other workers have handed over.
  @inline(__always)
  mutating func takeOverFrames() {
    guard routing != nil else { return }
    if transmitter.handOver.isPending { routeHandedOver() }
    askForNextHops()
  }

  private mutating func routeHandedOver() {
    for lender in transmitter.handOver.incoming.indices {
      let lane = transmitter.handOver.incoming[lender]
      var count = 0
      while count < Self.takenOverMax, let handed = lane.frames.pop() {
        var frame = handed.frame
        frame.buffer = transmitter.buffers.foreign(lender, frame.buffer)
        transmitter.buffers.take(frame.buffer)
        engine.processHandedOver(frame, now: now, into: &transmitter)
        transmitter.buffers.release(frame.buffer)
        count += 1
      }
    }
    transmitter.flush()
    _ = transmitter.uring.submit()
  }

  private func askForNextHops() {
    guard let routing else { return }
    routing.router.pointee.takeWanted { routing.wanted.report(IPAddress(mapped: $0)) }
  }

  /// Once a second.
  mutating func tickRouter() {
    guard routing != nil else { return }
    engine.tickRouter(now: now)
    engine.sendLeaving(into: &transmitter)
    transmitter.flush()
    askForNextHops()
  }

  // MARK: Commands

  /// Opens the uplink's port: in no network, read by this worker alone.
  mutating func openUplink(_ port: UInt16, _ link: PortLink) -> Errno? {
    do throws(Errno) {
      try transmitter.setDescriptors(port, link)
    } catch {
      return error
    }
    engine.addUplink(port)
    transmitter.links[Int(port)] = link
    transmitter.links[Int(port)].message = ReceiveMessage.make()
    packetSockets.append(port)
    armRead(port)
    return nil
  }

  mutating func setNeighbour(_ address: IPAddress, mac: MACAddress?) {
    engine.router?.pointee.setNeighbour(address.mapped, mac: mac)
    engine.sendLeaving(into: &transmitter)
    transmitter.flush()
  }
}
