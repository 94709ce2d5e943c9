import Tables

// What the control plane tells the router of services, on its thread, between two bursts.
extension Router {
  public static let serviceCapacity = 2048
  /// Virtual and mesh addresses.
  static let serviceAddressCapacity = 8192

  /// A service, or another set of members for it. Flows stay where they are.
  /// - Parameters:
  ///   - number: 1...`serviceCapacity`, chosen by who asks.
  ///   - virtualAddress: of the network; 0: none.
  ///   - seed: a secret, the same on all hosts that are to choose alike.
  ///   - table: which is taken; what is left in its place is to be freed by another thread.
  /// - Returns: false where there is no room. Then nothing has changed.
  public mutating func setService(
    _ number: Int, network: UInt16, virtualAddress: UInt128, seed: UInt64, _ table: inout MaglevTable?
  ) -> Bool {
    let service = services + number
    let before = service.pointee.isTaken ? service.pointee.virtualAddress : 0
    if virtualAddress != 0, virtualAddress != before {
      guard serviceAddresses.find(virtualAddress, 0) == nil,
        serviceAddresses.insert(virtualAddress, 0, UInt32(number))
      else { return false }
    }
    if before != virtualAddress { forgetServiceAddress(before) }
    let old = service.pointee.isTaken ? (members + number).move() : nil
    (members + number).initialize(to: table.take()!)
    table = old
    (service.pointee.isTaken, service.pointee.network) = (true, network)
    (service.pointee.virtualAddress, service.pointee.hash) = (virtualAddress, KeyedHash(seed: seed))
    generation &+= 1
    return true
  }

  /// Its published ports and its flows go with it.
  /// - Returns: to be freed by another thread; nil where there is none of that number.
  public mutating func removeService(_ number: Int) -> MaglevTable? {
    let service = services + number
    guard service.pointee.isTaken else { return nil }
    while service.pointee.publications != 0 { withdraw(Int(service.pointee.publications - 1)) }
    forgetServiceAddress(service.pointee.virtualAddress)
    service.pointee = RouterService()
    generation &+= 1
    return (members + number).move()
  }

  /// Mesh addresses of a network's gateway, in place of those before.
  mutating func moveMesh(from old: Gateway, to new: Gateway) {
    for (before, after) in [(old.mesh4, new.mesh4), (old.mesh6, new.mesh6)] where before != after {
      forgetServiceAddress(before)
      if after != 0, serviceAddresses.find(after, 0) == nil { _ = serviceAddresses.insert(after, 0, 0) }
    }
  }

  /// A virtual or a mesh address goes, with all flows that have part of it. 0 is none.
  private mutating func forgetServiceAddress(_ address: UInt128) {
    guard address != 0 else { return }
    serviceAddresses.remove(address, 0)
    sessions.removeAll { $0.external == address || $0.remote == address }
  }

  /// Those that came by a service's published port, of members and of clients.
  mutating func endSessions(of publication: Publication) {
    let ports = publication.firstHostPort...publication.lastHostPort
    let external = (0..<PortClaims.slots).filter { publication.slots & 1 << UInt16($0) != 0 }.map { externals[$0] }
    sessions.removeAll { session in
      guard session.protocol == publication.protocol, session.mapping == 0 else { return false }
      let isMembers = ports.contains(session.externalPort) && external.contains(session.external)
      let isClients = ports.contains(session.remotePort) && external.contains(session.remote)
      return isMembers || isClients
    }
  }
}
