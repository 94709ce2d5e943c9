import CLiburing
import CLinux
import Datapath
import Glibc
import SystemCalls

/// What commands do to ports. On the worker's thread, between two bursts.
extension Worker {
  /// - Returns: why it could not.
  mutating func openPort(_ port: UInt16, _ link: PortLink, network: UInt16, _ options: PortOptions) -> Errno? {
    do throws(Errno) {
      try transmitter.setDescriptors(port, link)
    } catch {
      return error
    }
    engine.addPort(port, to: network, options)
    transmitter.links[Int(port)] = link
    if link.isPacketSocket && link.isRead {
      transmitter.links[Int(port)].message = ReceiveMessage.make()
      packetSockets.append(port)
    }
    armRead(port)
    return nil
  }

  mutating func changePort(
    _ port: UInt16, _ options: PortOptions, limits: PortRateLimits?
  ) {
    engine.changePort(port, options)
    transmitter.links[Int(port)].limits = limits
    transmitter.links[Int(port)].setOffloads(options.offloads, coalescesUDP: self.options.coalescesUDP)
  }

  /// Takes the port and its MAC entries out of its network at once; `command` is finished when the kernel has let go of the
  /// descriptor. The caller closes it: closing a TAP takes the kernel's network lock, too long a wait for a worker.
  /// - Returns: true where the kernel has let go already.
  mutating func closePort(_ port: UInt16, finishing command: Command) -> Bool {
    let link = transmitter.links + Int(port)
    link.pointee.isClosing = true
    let network = engine.detachPort(port)
    if !link.pointee.isReading && link.pointee.writes == 0 {
      finishClosing(port, network: network)
      return true
    }
    let submission = transmitter.uring.nextSubmission()
    io_uring_prep_cancel_fd(submission, Int32(port), UInt32(IORING_ASYNC_CANCEL_FD_FIXED | IORING_ASYNC_CANCEL_ALL))
    submission.pointee.user_data = Operation(.cancel, port: port).rawValue
    closings.append((port, network, command))
    return false
  }

  mutating func finishClosing(_ port: UInt16, network: UInt16) {
    if packetSockets.contains(port) {
      countOverruns(port)
      packetSockets.removeAll { $0 == port }
    }
    transmitter.links[Int(port)].message?.deallocate()
    transmitter.links[Int(port)] = PortLink()
    // Emptying an entry of the table fails only where the table is not there.
    try? transmitter.setDescriptors(port, PortLink())
    engine.freePort(port, from: network)
  }

  /// Sends a frame of the switch's own; false where no buffer is free.
  mutating func inject(_ frame: [UInt8], from port: UInt16) -> Bool {
    guard frame.count <= FrameBuffers.stride - FrameBuffers.headroom - Engine.headerLength else { return false }
    guard let buffer = transmitter.buffers.takeOwn() else { return false }
    let start = transmitter.buffers.start(buffer)
    start.initializeMemory(as: UInt8.self, repeating: 0, count: Engine.headerLength)
    frame.withUnsafeBytes { (start + Engine.headerLength).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    let descriptor = FrameDescriptor(
      start: start, length: UInt32(Engine.headerLength + frame.count), port: port, buffer: buffer)
    engine.inject(descriptor, now: now, into: &transmitter)
    transmitter.flush()
    transmitter.buffers.release(buffer)
    return true
  }
}
