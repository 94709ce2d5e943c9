import ControlModel
import Glibc
import Testing
import Wire

@testable import ControlPlane

@Suite struct RestoreTests {
  @Test func endpointsComeBack() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.network("isolated") { $0.gatewayMode = "isolated" }
    try bench.sandbox("a")
    try bench.connect("web", "a") { $0.isolated = true }
    try bench.connect("isolated", "a")
    let (host, endpoints) = (bench.host.state, try bench.controlPlane.endpoints())
    try bench.restart()
    #expect(bench.host.state == host)
    let restored = try bench.controlPlane.endpoints()
    #expect(restored.map(\.id) == endpoints.map(\.id) && restored.map(\.addresses) == endpoints.map(\.addresses))
    #expect(restored.allSatisfy { $0.state == "up" })
    #expect(bench.dataPlane.state.ports.count == 3 && bench.host.heldDescriptors == 3)
    #expect(bench.dataPlane.state.ports.values.count { $0.options.isolated } == 1)
  }

  @Test func optionsThatWereNeverAcceptedAreRefusedAndNamed() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    let store = try Store(directory: bench.directory)
    var network = try store.network("web")
    network.options["com.docker.network.bridge.enable_icc"] = "perhaps"
    try store.update(network)
    let refusal = #expect(throws: ControlError.self) { try bench.connect("web", "a") }
    #expect(refusal?.message.contains("network web: the store has options that were never accepted") == true)
    #expect(try bench.controlPlane.endpoints().isEmpty)
  }

  @Test func aRenamedInterfaceIsFoundByItsMark() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    try bench.connect("web", "a")
    try bench.restart {
      bench.host.edit { state in
        let inode = state.namespaces["/named/a"]!
        state.interfaces[inode]!["wan"] = state.interfaces[inode]!.removeValue(forKey: "eth0")
      }
    }
    #expect(try bench.controlPlane.endpoints().map(\.interface) == ["wan"])
    try bench.controlPlane.disconnect(network: "web", sandbox: "a")
    #expect(bench.host.interface("wan", in: "/named/a") == nil)
  }

  @Test func whatIsGoneIsCollected() throws {
    let bench = try Bench()
    try bench.network("web")
    for name in ["gone", "cut", "stays"] {
      try bench.sandbox(name)
      try bench.connect("web", name)
    }
    _ = bench.host.addNamespace("/proc/7/ns/net")
    try bench.connect("web", "/proc/7/ns/net")
    try bench.restart {
      bench.host.edit { state in
        state.namespaces["/named/gone"] = nil
        state.namespaces["/proc/7/ns/net"] = nil
        state.interfaces[state.namespaces["/named/cut"]!]!["eth0"] = nil
      }
    }
    #expect(try bench.controlPlane.endpoints().map(\.sandbox) == ["stays"])
    #expect(try bench.controlPlane.sandboxes().map(\.name) == ["gone", "cut", "stays"])
    #expect(try bench.controlPlane.sandbox("gone").inode == 0)
    // Its address is free.
    try bench.connect("web", "cut") { $0.ip = "172.17.0.2" }
    try bench.controlPlane.removeSandbox("gone")
  }

  @Test func aLostPortIsCollected() async throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    try bench.sandbox("b")
    try bench.connect("web", "a")
    let before = Set(bench.dataPlane.state.ports.keys)
    try bench.connect("web", "b")
    let port = try #require(Set(bench.dataPlane.state.ports.keys).subtracting(before).first)
    bench.host.edit { $0.namespaces["/named/b"] = nil }
    bench.dataPlane.lose(port)
    while try bench.controlPlane.endpoints().count > 1 { try await Task.sleep(for: .milliseconds(5)) }
    #expect(Set(bench.dataPlane.state.ports.keys) == before)
  }

  @Test func aLostGatewayIsMadeAnew() async throws {
    let bench = try Bench()
    try bench.network("web")
    let interface = try #require(try bench.controlPlane.network("web").gatewayInterface)
    let port = try #require(bench.dataPlane.state.ports.keys.first)
    let before = bench.host.state
    bench.host.edit { $0.interfaces[1]![interface] = nil }
    bench.dataPlane.lose(port)
    while bench.dataPlane.state.ports.keys.contains(port) || bench.host.state != before {
      try await Task.sleep(for: .milliseconds(5))
    }
    #expect(bench.dataPlane.state.ports.count == 1)
  }

  /// A crash between the intent and its settlement, before and after the kernel was changed.
  @Test(arguments: [RecordState.creating, .removing]) func intentsAreRolledBack(state: RecordState) throws {
    let bench = try Bench()
    let empty = try bench.snapshot()
    try bench.network("web")
    try bench.sandbox("a")
    try bench.connect("web", "a")
    try bench.restart {
      let store = try Store(directory: bench.directory)
      try store.database.write { database in
        for table in ["networks", "sandboxes", "endpoints"] {
          try database.execute(sql: "UPDATE \(table) SET state = ?", arguments: [state.rawValue])
        }
      }
    }
    #expect(try bench.snapshot() == empty)
  }

  @Test func aTAPWhoseConnectWasNotFinishedIsRemoved() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    let before = bench.host.state.interfaces
    try bench.connect("web", "a")
    #expect(bench.host.state.interfaces != before)
    try bench.restart {
      let store = try Store(directory: bench.directory)
      try store.database.write { try $0.execute(sql: "UPDATE endpoints SET state = 'creating'") }
    }
    #expect(bench.host.state.interfaces == before)
    #expect(try bench.controlPlane.endpoints().isEmpty)
  }

  @Test func orphansAreRemovedAndOthersStay() throws {
    let bench = try Bench()
    try bench.network("web")
    let expected = bench.host.state
    try bench.restart {
      bench.host.edit { state in
        state.interfaces[1]!["mt-lost"] = .init(alias: "martlet gateway \(Identifier.random())")
        state.barriers["mt-lost"] = ForwardingBarrier(gatewayInterface: "mt-lost", subnets: [], isInternal: false)
      }
    }
    #expect(bench.host.state == expected)
    try bench.restart { bench.host.edit { $0.interfaces[1]!["tap0"] = .init(alias: "someone's") } }
    #expect(bench.host.interface("tap0", in: "/own") != nil)
  }

  @Test func aGatewayInterfaceOfSomeoneElseIsLeftAlone() throws {
    let bench = try Bench()
    try bench.network("web")
    let interface = try #require(try bench.controlPlane.network("web").gatewayInterface)
    try bench.restart { bench.host.edit { $0.interfaces[1]![interface] = .init(alias: "someone's") } }
    #expect(bench.host.interface(interface, in: "/own")?.alias == "someone's")
    #expect(bench.dataPlane.state.ports.isEmpty)
    try bench.controlPlane.removeNetwork("web")
    #expect(bench.host.interface(interface, in: "/own") != nil)
  }

  @Test func purgeTakesEverythingAway() throws {
    let bench = try Bench()
    _ = bench.host.addNamespace("/proc/7/ns/net")
    let empty = try bench.snapshot()
    try bench.network("web") { $0.ipv6 = true }
    try bench.network("none") { $0.driver = "none" }
    try bench.sandbox("a")
    try bench.sandbox("b", share: "a")
    try bench.sandbox("c")
    try bench.connect("web", "a")
    try bench.connect("web", "b")
    try bench.connect("none", "c")
    try bench.connect("web", "/proc/7/ns/net")
    try bench.controlPlane.shutdown(ShutdownRequest(purge: true))
    #expect(try bench.snapshot() == empty)
  }

  @Test func aSecondDaemonIsRefused() throws {
    let bench = try Bench()
    let error = refusal { try bench.start() }
    #expect(error?.code == .conflict && error?.message.contains(bench.directory) == true)
    #expect(error?.message.contains("pid \(getpid())") == true)
    try bench.restart()
  }

  @Test func aBrokenStoreIsRefused() throws {
    let bench = try Bench()
    let error = refusal {
      try bench.restart {
        for suffix in ["-wal", "-shm"] { unlink(bench.directory + "/" + Store.fileName + suffix) }
        let file = try #require(fopen(bench.directory + "/" + Store.fileName, "w"))
        fputs(String(repeating: "this is no database ", count: 100), file)
        fclose(file)
      }
    }
    #expect(error?.code == .system && error?.message.contains(Store.fileName) == true)
  }
}
