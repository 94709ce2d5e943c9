import Testing

@testable import Tables

@Suite struct RemoteTableTests {
  @Test func `against a dictionary, at random`() {
    struct Key: Hashable {
      let source: UInt128
      let tunnel: UInt64
    }
    var table = RemoteTable(portCapacity: 64, seed: 5)
    var ports: [Key: UInt16] = [:]
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      let port = UInt16.random(in: 0..<64, using: &generator)
      // Few values, so that chains and tunnels are shared.
      let key = Key(
        source: UInt128.random(in: 0..<12, using: &generator), tunnel: .random(in: 0..<4, using: &generator))
      if ports.values.contains(port) {
        table.remove(port: port)
        ports = ports.filter { $0.value != port }
      } else if ports[key] == nil {
        table.insert(key.source, tunnel: key.tunnel, port: port)
        ports[key] = port
      }
      #expect(table.lookup(key.source, tunnel: key.tunnel) == ports[key])
      #expect(table.contains(tunnel: key.tunnel) == ports.keys.contains { $0.tunnel == key.tunnel })
    }
  }
}
