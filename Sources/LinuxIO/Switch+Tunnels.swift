import Datapath
import Glibc
import SystemCalls
import Tables
import Wire

/// A VTEP of another host, and how frames of one network go there (RFC 7348).
public struct RemoteOptions: Sendable, Equatable {
  public var local: IPAddress
  /// Of the same family.
  public var remote: IPAddress
  /// UDP, of both.
  public var port: UInt16
  public var vni: UInt32
  /// Of the outer packet; nil: the inner's.
  public var timeToLive: UInt8?
  /// Of the outer packet, its two ECN bits 0: those are RFC 6040's to set; nil: the inner's DSCP.
  public var trafficClass: UInt8?
  /// Its frames tell which MAC addresses are there.
  public var learns: Bool
  /// Frames with VLAN tags go there and come from there (RFC 7348, 6.1).
  public var carriesTags: Bool

  public init(
    local: IPAddress, remote: IPAddress, port: UInt16 = VXLANHeader.portDefault, vni: UInt32,
    timeToLive: UInt8? = TunnelRemote.timeToLiveDefault, trafficClass: UInt8? = 0, learns: Bool = true,
    carriesTags: Bool = true
  ) {
    (self.local, self.remote, self.port, self.vni) = (local, remote, port, vni)
    (self.timeToLive, self.trafficClass) = (timeToLive, trafficClass)
    (self.learns, self.carriesTags) = (learns, carriesTags)
  }
}

// VXLAN (RFC 7348): carriers by which encapsulated frames come and go, and remotes as ports of networks.
extension Switch {
  /// - Parameters:
  ///   - queues: one for each worker, or a single one, of a TAP with a header of `TAPDevice.carrierHeaderLength` bytes. The switch owns
  ///     them from here on, also where this throws.
  ///   - port: UDP, of our VTEP.
  public func addCarrier(queues group: consuming FileDescriptorGroup, port udp: UInt16) throws(Errno) -> PortHandle {
    let queues = group.release()
    precondition(queues.count == 1 || queues.count == workerCount)
    let port = try place(for: queues)
    let segmentation = TAPDevice.setSegmentation(queues[0], atMost: options.tunnelSegmentation)
    places.withLock { $0.segmentations[port] = segmentation }
    for worker in 0..<workerCount {
      let isReader = queues.count > 1 || worker == Int(port.port) % workerCount
      var link = PortLink(descriptor: queues[queues.count > 1 ? worker : 0], isRead: isReader)
      if queues.count > 1 { link.partnerDescriptor = queues[(worker + 1) % queues.count] }
      link.serial = port.serial
      let opened = link
      if let error = ask(worker, { $0.openCarrier(port.port, opened, TunnelIngress(port: udp)) }) {
        take(port, from: 0..<worker)
        throw error
      }
    }
    return port
  }

  /// What is forwarded to the port leaves by the carrier, and what comes by it from the remote comes in by the port.
  /// - Parameter carrier: must stay until the port has gone (`removePort`).
  public func addRemote(
    _ options: RemoteOptions, by carrier: PortHandle, to network: NetworkHandle
  ) throws(Errno) -> PortHandle {
    let remote = TunnelRemote(
      local: options.local, remote: options.remote, vni: options.vni, port: options.port,
      timeToLive: options.timeToLive ?? 0,
      trafficClass: options.trafficClass.map { .fixed($0) } ?? .inherited, hash: flowHash)
    guard let remote else { throw Errno(EINVAL, "add the remote \(options.remote) of \(options.local)") }
    let port = try place(for: [])
    let segmentation = places.withLock { $0.segmentations[carrier] ?? .none }
    let memory = UnsafeMutablePointer<TunnelLink>.allocate(capacity: 1)
    memory.initialize(to: TunnelLink(remote, carrier: carrier.port, segmentation, carriesTags: options.carriesTags))
    let shared = SharedTunnelLink(pointer: UnsafePointer(memory))
    places.withLock { $0.tunnels[port] = shared }
    var link = PortLink()
    link.serial = port.serial
    link.coalescesUDP = self.options.coalescesUDP && segmentation == .tunnel
    link.tunnel = shared.pointer
    let opened = link
    let ports = PortOptions(isRemote: true, carriesTags: options.carriesTags, learns: options.learns)
    askAll { worker in
      worker.transmitter.links[Int(port.port)] = opened
      worker.engine.addPort(port.port, to: network.network, ports)
      worker.engine.addRemote(port.port, source: options.remote.mapped, vni: options.vni, by: carrier.port)
    }
    return port
  }
}

extension Switch {
  /// Who has an address in the network, so that questions for it are answered where they are asked; nil: nobody is known to. Goes
  /// with the network.
  /// - Parameter isOwn: of this host alone, so that other hosts' questions for it are answered too.
  public func setNeighbour(
    _ address: IPAddress, mac: MACAddress?, in network: NetworkHandle, isOwn: Bool = false
  ) throws(Errno) {
    let neighbour = mac.map { KnownNeighbours.Neighbour(mac: $0, isOwn: isOwn) }
    let isKnown = askAll { $0.engine.setNeighbour(address.mapped, neighbour, network: network.network) }
    guard isKnown.allSatisfy({ $0 }) else { throw Errno(ENOSPC, "remember who has \(address)") }
  }
}

extension Worker {
  mutating func openCarrier(_ port: UInt16, _ link: PortLink, _ ingress: TunnelIngress) -> Errno? {
    do throws(Errno) {
      try transmitter.setDescriptors(port, link)
    } catch {
      return error
    }
    engine.addCarrier(port, ingress)
    transmitter.links[Int(port)] = link
    armRead(port)
    return nil
  }
}
