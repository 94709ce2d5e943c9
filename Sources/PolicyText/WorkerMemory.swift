import Datapath

/// What one worker's value of a policy has for itself: the flow cache, and what names of ports mean now. Made anew when ports change.
final class WorkerMemory: @unchecked Sendable {
  let dimensions: UnsafeMutablePointer<DimensionTable>
  /// By the place of their names; `Engine.none`: there is no such port.
  let ports: UnsafeMutablePointer<UInt16>
  let cache: FlowCache
  let fast: UnsafeMutablePointer<FastPath>
  /// Numbers of the rules that flows met, where these are not one.
  let chains: UnsafeMutablePointer<UInt32>
  let chainCapacity: Int
  /// How much of `chains` is in use.
  var chainEnd = 0
  private let portTable: DimensionMemory?

  /// Room beyond the longest chain there can be: the flow cache is emptied when it is used up.
  private static let chainRoom = 65_536

  init(_ tables: PolicyTables, _ known: [PolicyPort]) {
    dimensions = copied(tables.dimensions)
    portTable = tables.portDimension.map { _ in tables.portTable(known) }
    if let portTable, let place = tables.portDimension { dimensions[place] = portTable.table }
    var byName: [String: UInt16] = [:]
    for port in known.sorted(by: { $0.index < $1.index }) {
      for name in port.names where byName[name] == nil { byName[name] = port.index }
    }
    ports = copied(tables.draft.ports.map { byName[$0] ?? Engine.none })
    cache = FlowCache(seed: UInt64.random(in: 0 ... .max))
    fast = copied([FastPath(tables, cache)])
    chainCapacity = tables.draft.rules.count + Self.chainRoom
    chains = .allocate(capacity: chainCapacity)
  }

  deinit {
    portTable?.deallocate()
    dimensions.deallocate()
    ports.deallocate()
    cache.deallocate()
    fast.deallocate()
    chains.deallocate()
  }
}
