import Tables
import Wire

/// What the control plane changes, between bursts, on the worker's thread.
extension Engine {
  /// - Parameters:
  ///   - network: made beforehand, by whoever asks: its memory is not for the worker to allocate.
  ///   - index: not taken. Who asks chooses it, so that the engines of all workers know the network by the same one.
  public mutating func addNetwork(_ network: consuming Network, at index: UInt16) {
    precondition(!isNetwork[Int(index)])
    (networks + Int(index)).initialize(to: network)
    isNetwork[Int(index)] = true
    clear(networkCounters.handle, from: Int(index) * NetworkCounter.count, count: NetworkCounter.count)
  }

  /// The network must have no members.
  public mutating func removeNetwork(_ index: UInt16) {
    precondition(isNetwork[Int(index)] && networks[Int(index)].memberCount == 0)
    router?.pointee.setGateway(nil, network: index)
    answers.neighbours.removeAll(network: UInt32(index))
    (networks + Int(index)).deinitialize(count: 1)
    isNetwork[Int(index)] = false
  }

  /// - Returns: false where the MAC table's limit cannot be changed to what is asked.
  public mutating func changeNetwork(_ index: UInt16, _ options: NetworkOptions) -> Bool {
    precondition(isNetwork[Int(index)])
    let network = networks + Int(index)
    if network.pointee.table.pointee.limit != options.macLimit {
      guard network.pointee.table.pointee.resize(limit: options.macLimit) else { return false }
    }
    network.pointee.mtu = UInt32(options.mtu)
    network.pointee.ageingSeconds = options.ageingSeconds
    network.pointee.sharedMAC = options.sharedMAC.bits
    return true
  }

  /// - Parameter index: not taken. Who asks chooses it, as with `addNetwork`.
  public mutating func addPort(_ index: UInt16, to network: UInt16, _ options: PortOptions) {
    let port = ports + Int(index)
    precondition(isNetwork[Int(network)] && !port.pointee.isTaken)
    clear(portCounters.handle, from: Int(index) * PortCounter.count, count: PortCounter.count)
    let target = networks + Int(network)
    port.pointee = Port()
    port.pointee.isTaken = true
    port.pointee.network = network
    port.pointee.member = UInt16(target.pointee.memberCount)
    target.pointee.members[target.pointee.memberCount] = index
    target.pointee.memberCount += 1
    if options.isParent { target.pointee.parent = index }
    changePort(index, options)
  }

  public mutating func changePort(_ index: UInt16, _ options: PortOptions) {
    let port = ports + Int(index)
    let network = networks + Int(port.pointee.network)
    countSeparated(port.pointee, in: network, -1)
    port.pointee.separation = []
    if options.isIsolated { port.pointee.separation.insert(.isolated) }
    if options.isRemote { port.pointee.separation.formUnion([.remote, .anycast]) }
    if options.isAnycastGateway { port.pointee.separation.insert(.anycast) }
    countSeparated(port.pointee, in: network, 1)
    port.pointee.refusesTags = !options.carriesTags
    network.pointee.table.pointee.setPortLimit(index, options.learns ? options.macLimit : MACTable.learnsNothing)
  }

  /// The endpoint's IP addresses, in place of those before; they go with the port. Without effect where its network does not
  /// forward by them.
  /// - Returns: false where another port has one of them, or there is no room: such are left out.
  public mutating func setAddresses(_ addresses: UnsafeBufferPointer<UInt128>, of port: UInt16) -> Bool {
    let network = ports[Int(port)].network
    guard network != Self.none, let table = networks[Int(network)].addresses else { return true }
    table.pointee.removeAll(port: port)
    var isComplete = true
    for address in addresses where !table.pointee.insert(address, port: port) { isComplete = false }
    return isComplete
  }

  /// Counts frames that the kernel had for a port and that never came: received, and dropped.
  public mutating func countUnseen(_ frames: UInt64, of index: UInt16, _ reason: DropReason) {
    let base = Int(index) * PortCounter.count
    portCounters.handle.add(base + PortCounter.rxFrames.rawValue, frames)
    portCounters.handle.add(base + PortCounter.drops.rawValue + Int(reason.rawValue), frames)
  }

  /// Takes the port out of its network, with its MAC entries. Its index stays taken until `freePort`: operations that the
  /// kernel has not finished still name it.
  /// - Returns: the network it was in, or `none` where it was detached before.
  public mutating func detachPort(_ index: UInt16) -> UInt16 {
    let port = ports + Int(index)
    let networkIndex = port.pointee.network
    router?.pointee.removePort(index)
    removeMirrors(of: index)
    port.pointee.isUplink = false
    port.pointee.isCarrier = false
    if port.pointee.separation.contains(.remote) { remotes.remove(port: index) }
    guard networkIndex != Self.none else { return Self.none }
    let network = networks + Int(networkIndex)
    network.pointee.table.pointee.setPortLimit(index, 0)
    network.pointee.table.pointee.removeAll(port: index)
    network.pointee.addresses?.pointee.removeAll(port: index)
    if network.pointee.parent == index { network.pointee.parent = Self.none }
    countSeparated(port.pointee, in: network, -1)
    let last = network.pointee.members[network.pointee.memberCount - 1]
    network.pointee.members[Int(port.pointee.member)] = last
    ports[Int(last)].member = port.pointee.member
    network.pointee.memberCount -= 1
    port.pointee.network = Self.none
    return networkIndex
  }

  /// Adds what the detached port counted to its former network's `gone` counters, and frees its index.
  public mutating func freePort(_ index: UInt16, from network: UInt16) {
    let port = ports + Int(index)
    precondition(port.pointee.isTaken && port.pointee.network == Self.none)
    if network != Self.none && isNetwork[Int(network)] {
      let target = Int(network) * NetworkCounter.count + NetworkCounter.gone.rawValue
      for counter in 0..<PortCounter.count {
        networkCounters.handle.add(target + counter, portCounters.handle[Int(index) * PortCounter.count + counter])
      }
    }
    clear(portCounters.handle, from: Int(index) * PortCounter.count, count: PortCounter.count)
    port.pointee.isTaken = false
  }

  /// The network a port is in, or `none`.
  @inlinable
  public func network(of port: UInt16) -> UInt16 { ports[Int(port)].network }

  /// Removes what has aged, at most `budget` entries a network.
  /// - Parameter now: seconds, as given to `process`.
  public mutating func expire(now: UInt32, budget: Int) {
    for index in 0..<networkCapacity where isNetwork[index] {
      _ = networks[index].table.pointee.expire(now: now, ageing: networks[index].ageingSeconds, budget: budget)
    }
  }

  /// The MAC table of a network, for what people ask of it.
  public mutating func withTable<Result>(_ network: UInt16, _ body: (inout MACTable) -> Result) -> Result {
    precondition(isNetwork[Int(network)])
    return body(&networks[Int(network)].table.pointee)
  }

  private func countSeparated(_ port: Port, in network: UnsafeMutablePointer<Network>, _ change: Int) {
    if !port.separation.isEmpty { network.pointee.separatedCount += change }
    if port.separation.contains(.remote) { network.pointee.remoteCount += change }
  }

  private func clear(_ counters: CounterHandle, from first: Int, count: Int) {
    for index in first..<(first + count) { counters.add(index, 0 &- counters[index]) }
  }
}
