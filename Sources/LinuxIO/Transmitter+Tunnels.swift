import CLiburing
import Datapath
import Glibc
import Wire

/// How a port that is a remote VTEP is reached.
struct TunnelLink: BitwiseCopyable {
  let remote: TunnelRemote
  /// The port by which encapsulated frames leave.
  let carrier: UInt16
  /// Bytes of an encapsulated frame beyond those of the frame as it came, virtio-net headers included.
  let overhead: Int
  let segmentation: TunnelSegmentation
  /// Frames with VLAN tags go there.
  let carriesTags: Bool

  init(_ remote: TunnelRemote, carrier: UInt16, _ segmentation: TunnelSegmentation, carriesTags: Bool) {
    (self.remote, self.carrier, self.segmentation) = (remote, carrier, segmentation)
    self.carriesTags = carriesTags
    overhead = VirtioNetTunnelHeader.length - VirtioNetHeader.length + remote.headersLength
  }
}

/// All workers read it while the port is open, and nobody writes. The switch's, which frees it.
struct SharedTunnelLink: @unchecked Sendable {
  let pointer: UnsafePointer<TunnelLink>
}

extension FrameDescriptor {
  fileprivate var isSegmented: Bool {
    VirtioNetHeader(loadingFrom: UnsafeRawPointer(start)).segmentation != .none
  }
}

// Frames that leave by a tunnel: each is encapsulated where it lies, in the room before it, and written to the carrier.
extension Transmitter {
  mutating func transmitTunnelled(
    _ frame: FrameDescriptor, to port: UInt16, by tunnel: UnsafePointer<TunnelLink>, isOnlyCopy: Bool,
    mayBeSteered: Bool
  ) {
    if !tunnel.pointee.carriesTags && frame.isTagged { return countDrop(.innerVLAN, to: port, buffer: frame.buffer) }
    if links[Int(port)].coalescesUDP {
      if isOnlyCopy, let flow = UDPFlow(frame) {
        if gather(frame, flow, to: port, mayBeSteered: mayBeSteered) { return }
      } else if gathered.openCount > 0 {
        writeGathered(of: port)
      }
    }
    if tunnel.pointee.segmentation != .tunnel && frame.isSegmented {
      return writeTrain(of: frame, to: port, by: tunnel)
    }
    guard isOnlyCopy else { return writeCopy(of: frame, to: port, by: tunnel) }
    let carrier = tunnel.pointee.carrier
    let descriptor = mayBeSteered ? descriptorIndex(frame, carrier) : Int32(carrier)
    guard let outer = tunnel.pointee.remote.encapsulate(frame) else {
      return writeTrain(of: frame, to: port, by: tunnel)
    }
    buffers.retain(frame.buffer)
    links[Int(port)].writes &+= 1
    let submission = uring.nextSubmission()
    io_uring_prep_write(submission, descriptor, outer.start, outer.length, 0)
    finish(submission, Operation(.write, port: port, index: frame.buffer))
  }

  /// Writes at once, for the room before the frame is every copy's; afterwards the frame is as it was.
  private mutating func writeCopy(
    of frame: FrameDescriptor, to port: UInt16, by tunnel: UnsafePointer<TunnelLink>
  ) {
    if links[Int(port)].writes > 0 { _ = uring.submit() }
    let header = VirtioNetHeader(loadingFrom: UnsafeRawPointer(frame.start))
    guard let outer = tunnel.pointee.remote.encapsulate(frame) else {
      return writeTrain(of: frame, to: port, by: tunnel)
    }
    let written = Glibc.write(links[Int(tunnel.pointee.carrier)].descriptor, outer.start, Int(outer.length))
    let result = written < 0 ? -errno : Int32(written)
    header.store(to: frame.start)
    count(
      port, frames: 1, bytes: UInt64(Int(frame.length) &- Engine.headerLength), result: result, buffer: frame.buffer)
  }

  /// Cuts apart what the carrier, or an outer packet, does not take as one. The frame counts as the one it came as.
  private mutating func writeTrain(
    of frame: FrameDescriptor, to port: UInt16, by tunnel: UnsafePointer<TunnelLink>
  ) {
    if links[Int(port)].writes > 0 { _ = uring.submit() }
    let sent = trainSender.send(
      frame, to: tunnel.pointee.remote, tunnel.pointee.segmentation,
      by: links[Int(tunnel.pointee.carrier)].descriptor)
    guard let sent else { return countDrop(.vxlanUnsendable, to: port, buffer: frame.buffer) }
    count(port, frames: 1, bytes: UInt64(Int(frame.length) &- Engine.headerLength), result: sent, buffer: frame.buffer)
  }

  /// The headers of a gathered write, whose other pieces follow; nil where it cannot be sent.
  mutating func encapsulateGathered(
    _ write: GatheredWrite, _ pieces: UnsafeMutablePointer<iovec>, by tunnel: UnsafePointer<TunnelLink>
  ) -> Bool {
    var whole = write.first
    var length = 0
    for index in 0..<write.count { length &+= pieces[index].iov_len }
    whole.length = UInt32(truncatingIfNeeded: length)
    guard let outer = tunnel.pointee.remote.encapsulate(whole) else { return false }
    pieces[0] = iovec(iov_base: outer.start, iov_len: pieces[0].iov_len &+ tunnel.pointee.overhead)
    return true
  }
}
