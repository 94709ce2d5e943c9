import Tables
import Wire

// A carrier is a port in no network: what comes in by it are encapsulated frames. A remote VTEP is a port of each network that
// reaches there, so that MAC addresses, counters and limits of a remote are those of any port. Remotes do not reach each other
// (`Separation.remote`): each has its own way to all the others.
extension Engine {
  // MARK: Frames

  @inlinable
  @inline(never)
  mutating func receiveTunnelled<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, now: UInt32, into output: inout Output
  ) {
    let base = Int(frame.port) &* PortCounter.count
    portCounters.handle.add(base &+ PortCounter.rxFrames.rawValue)
    portCounters.handle.add(
      base &+ PortCounter.rxBytes.rawValue, UInt64(max(0, Int(frame.length) &- VirtioNetTunnelHeader.length)))
    switch ports[Int(frame.port)].ingress.decapsulate(frame) {
    case .frame(let tunnelled):
      let left = tunnelled.frame.start.loadUnaligned(as: UInt16.self)
      // One that is small may be one of many (`UDPFlow`).
      if left == 0 { UDPFlow.leaveChecksum(tunnelled.frame) }
      receive(tunnelled, now: now, into: &output)
    case .train(var train):
      while let next = train.next() {
        switch next {
        case .frame(let tunnelled): receive(tunnelled, now: now, into: &output)
        case .drop(let reason): countDrop(reason, of: frame)
        }
      }
    case .drop(let reason): countDrop(reason, of: frame)
    }
  }

  @inlinable
  mutating func receive<Output: FrameOutput & ~Copyable>(
    _ tunnelled: TunnelledFrame, now: UInt32, into output: inout Output
  ) {
    let carrier = tunnelled.frame.port
    let tunnel = Self.tunnel(carrier, vni: tunnelled.vni)
    guard let port = remotes.lookup(tunnelled.source, tunnel: tunnel) else {
      return countDrop(remotes.contains(tunnel: tunnel) ? .vxlanUnknownVTEP : .vxlanUnknownVNI, of: tunnelled.frame)
    }
    var frame = tunnelled.frame
    frame.port = port
    if Output.isObserved { beginObserving(frame, into: &output) }
    if ports[Int(port)].refusesTags && frame.isTagged {
      countUnwanted(frame, .innerVLAN)
    } else {
      withUnsafePointer(to: frame) {
        forward(
          UnsafeBufferPointer(start: $0, count: 1), network: Int(ports[Int(port)].network), now: now, into: &output)
      }
    }
    if Output.isObserved { endObserving(frame, into: &output) }
  }

  /// A frame that came by its port, and no further.
  @usableFromInline
  mutating func countUnwanted(_ frame: FrameDescriptor, _ reason: DropReason) {
    let base = Int(frame.port) &* PortCounter.count
    portCounters.handle.add(base &+ PortCounter.rxFrames.rawValue)
    portCounters.handle.add(
      base &+ PortCounter.rxBytes.rawValue, UInt64(Int(frame.length) &- VirtioNetHeader.length))
    countDrop(reason, of: frame)
  }

  /// Answers a question for a neighbour that the control plane knows, in place of its flood.
  @inlinable
  @inline(never)
  mutating func answer<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, network: Int, isFromElsewhere: Bool = false, into output: inout Output
  ) -> Bool {
    let number = UInt32(truncatingIfNeeded: network)
    guard case .answered(let answer) = answers.answer(frame, network: number, isFromElsewhere: isFromElsewhere) else {
      return false
    }
    output.transmit(answer, to: frame.port, isOnlyCopy: true)
    return true
  }

  /// Drops a frame that may be too long, if it is. On an overlay its sender is told how long a packet may be.
  /// - Returns: false where it is not.
  @inlinable
  @inline(never)
  mutating func dropTooLong<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, network: Int, now: UInt32, into output: inout Output
  ) -> Bool {
    guard isTooLong(frame, network: network) else { return false }
    countDrop(.oversize, of: frame)
    if let answer = tooBigAnswer(frame, network: network, now: now) {
      countRouted(from: Int(Self.none), to: frame.port)
      output.transmit(answer, to: frame.port, isOnlyCopy: true)
    }
    return true
  }

  @usableFromInline
  mutating func isTooLong(_ frame: FrameDescriptor, network: Int) -> Bool { networks[network].isTooLong(frame) }

  /// The ICMP error, where the frame was; nil: there is none to be sent. IPv4 without DF is answered too, for nobody cuts it on its
  /// way: a sender that learns of the path's MTU does so itself. What came by the tunnel is not: its sender's own VTEP knows better.
  @usableFromInline
  mutating func tooBigAnswer(_ frame: FrameDescriptor, network: Int, now: UInt32) -> FrameDescriptor? {
    guard networks[network].remoteCount > 0, !ports[Int(frame.port)].separation.contains(.remote) else { return nil }
    let ethernet = frame.start + VirtioNetHeader.length
    let length = Int(frame.length) &- VirtioNetHeader.length
    let inner = InnerHeaders(ethernet, length: length)
    let parsed = Self.view(frame)
    let mtu = networks[network].packetLengthMax(behind: inner.networkOffset)
    // Less is more than IPv6 can do about it.
    guard inner.isIPv4 || inner.isIPv6 && mtu >= Packet.mtuMin6, parsed.source.isValidSource,
      !parsed.destination.isGroup,
      let packet = Packet(
        ethernet + inner.networkOffset, available: length &- inner.networkOffset, isIPv6: inner.isIPv6),
      packet.mayBeAnswered, tooBigBudget.take(now: now)
    else { return nil }
    // The packet stays where it is, as the quote; headers and tags of its frame move before the error's.
    let answer = ethernet - packet.errorHeadersLength
    let start = answer - VirtioNetHeader.length
    (answer + 12).copyMemory(from: ethernet + 12, byteCount: inner.networkOffset &- 12)
    VirtioNetHeader().store(to: start)
    let error = FrameDescriptor(
      start: start,
      length: UInt32(VirtioNetHeader.length + inner.networkOffset + packet.errorHeadersLength + packet.quotedLength),
      port: frame.port, buffer: frame.buffer)
    error.setAddresses(to: parsed.source.bits, from: parsed.destination.bits)
    packet.writeError(.tooBig(mtu), at: answer + inner.networkOffset, from: packet.destination)
    return error
  }

  /// Tells the VNIs of all carriers apart.
  @inlinable
  static func tunnel(_ carrier: UInt16, vni: UInt32) -> UInt64 { UInt64(carrier) << 32 | UInt64(vni) }

  // MARK: What the control plane changes

  /// Takes the index as a carrier's port.
  public mutating func addCarrier(_ index: UInt16, _ ingress: TunnelIngress) {
    precondition(!ports[Int(index)].isTaken)
    ports[Int(index)] = Port()
    ports[Int(index)].isTaken = true
    ports[Int(index)].isCarrier = true
    ports[Int(index)].ingress = ingress
  }

  /// What comes by the carrier from this remote with this VNI comes in by the port, which must be a remote's.
  /// - Parameter source: as `IPAddress.mapped`.
  public mutating func addRemote(_ index: UInt16, source: UInt128, vni: UInt32, by carrier: UInt16) {
    remotes.insert(source, tunnel: Self.tunnel(carrier, vni: vni), port: index)
  }

  /// Who has an address in the network; nil: nobody is known to. What is known goes with the network.
  /// - Parameter address: as `IPAddress.mapped`.
  /// - Returns: false where there is no room for it.
  public mutating func setNeighbour(
    _ address: UInt128, _ neighbour: KnownNeighbours.Neighbour?, network: UInt16
  ) -> Bool {
    precondition(isNetwork[Int(network)])
    guard let neighbour else {
      answers.neighbours.remove(address, network: UInt32(network))
      return true
    }
    networks[Int(network)].knowsNeighbours = true
    return answers.neighbours.set(address, network: UInt32(network), to: neighbour)
  }
}
