import Tables
import Testing
import Wire

@testable import Datapath

/// Remote VTEPs as ports of a network, and what comes from them by a carrier.
@Suite struct EngineTunnelTests {
  static let carrier: UInt16 = 8
  static let remotes: [UInt16] = [4, 5]
  static let vni = GoldenTunnel.vni

  /// Ports 0 to 3 are local; 4 is the remote of the golden frames, 5 another one.
  static func fabric(isolated: Set<Int> = [], learns: Bool = true) -> MemorySwitch {
    var fabric = MemorySwitch(ports: 4, isolated: isolated)
    fabric.engine.addCarrier(carrier, TunnelIngress())
    let sources = [GoldenTunnel.source.v4.mapped, GoldenTunnel.source.v4.mapped &+ 9]
    for (port, source) in zip(remotes, sources) {
      fabric.engine.addPort(port, to: fabric.network, PortOptions(isRemote: true, learns: learns))
      fabric.engine.addRemote(port, source: source, vni: vni, by: carrier)
    }
    return fabric
  }

  /// A golden frame as it comes by the carrier, with changes to the bytes behind the virtio-net header.
  static func encapsulated(
    _ golden: GoldenTunnel = GoldenTunnel.all[0], _ change: (inout [UInt8]) -> Void = { _ in }
  ) -> [UInt8] {
    let message = golden.outer[GoldenTunnel.Underlay.ipv4.rawValue] + golden.frame.dropFirst(VirtioNetHeader.length)
    var frame = Array(message.dropFirst(VirtioNetTunnelHeader.length))
    change(&frame)
    return Array(message.prefix(VirtioNetTunnelHeader.length)) + frame
  }

  static var inner: [UInt8] { Array(GoldenTunnel.all[0].frame.dropFirst(VirtioNetHeader.length)) }

  /// What goes out when the message comes by the carrier.
  static func receive(_ fabric: inout MemorySwitch, _ message: [UInt8]) -> [MemorySwitch.Sent] {
    fabric.output.sent = []
    let buffer = TunnelBuffer(message)
    var frame = buffer.frame
    frame.port = carrier
    withUnsafePointer(to: frame) { frame in
      fabric.engine.process(UnsafeBufferPointer(start: frame, count: 1), now: 0, into: &fabric.output)
    }
    return fabric.output.sent
  }

  @Test func `a frame of a remote is flooded to local ports, and never back into the tunnel`() {
    var fabric = Self.fabric()
    let sent = Self.receive(&fabric, Self.encapsulated())
    #expect(sent.map(\.port) == [0, 1, 2, 3])
    #expect(sent.allSatisfy { $0.bytes == Self.inner })
    #expect(fabric.count(4, .rxFrames) == 1 && fabric.count(Self.carrier, .rxFrames) == 1)
    #expect(fabric.floodedCopies == 3)
  }

  @Test func `its source is learned at the remote's port, and answered there alone`() {
    var fabric = Self.fabric()
    _ = Self.receive(&fabric, Self.encapsulated())
    let answer = Array(Self.inner[6..<12] + Self.inner[0..<6]) + [0x88, 0xB5] + [UInt8](repeating: 0, count: 46)
    #expect(fabric.process([(2, answer)]).map(\.port) == [4])
  }

  @Test func `a local frame is flooded to all remotes`() {
    var fabric = Self.fabric(isolated: [0, 1])
    #expect(fabric.process([(2, frame(to: host(9), from: host(1)))]).map(\.port) == [0, 1, 3, 4, 5])
    #expect(fabric.process([(0, frame(to: host(9), from: host(2)))]).map(\.port) == [2, 3, 4, 5])
  }

  @Test func `one remote is not reached from another`() {
    var fabric = Self.fabric()
    let destination = MACAddress(bytes: Array(Self.inner.prefix(6)))!
    _ = fabric.engine.withTable(fabric.network) { $0.insertStatic(destination, port: 5) }
    #expect(Self.receive(&fabric, Self.encapsulated()).isEmpty)
    #expect(fabric.drops(4, .splitHorizon) == 1)
  }

  /// All hosts have the gateway, each its own.
  @Test func `an anycast gateway floods to this host, and is reached by its address alone from others`() {
    var fabric = Self.fabric()
    fabric.engine.changePort(0, PortOptions(isAnycastGateway: true))
    let broadcast = Array(repeating: UInt8(0xFF), count: 6)
    #expect(fabric.process([(0, frame(to: host(9), from: host(2)))]).map(\.port) == [1, 2, 3])
    #expect(
      Self.receive(&fabric, Self.encapsulated { $0.replaceSubrange(50..<56, with: broadcast) }).map(\.port) == [
        1, 2, 3,
      ])
    // Both ways, once it is known where.
    let source = MACAddress(bytes: Array(Self.inner[6..<12]))!
    #expect(fabric.process([(0, frame(to: source.bits, from: host(2)))]).map(\.port) == [4])
  }

  @Test(arguments: [true, false]) func `frames with VLAN tags come in where they are wanted`(carries: Bool) throws {
    var fabric = Self.fabric()
    fabric.engine.changePort(4, PortOptions(isRemote: true, carriesTags: carries))
    let tagged = try #require(GoldenTunnel.all.first { $0.name.contains("behind a tag") })
    #expect(Self.receive(&fabric, Self.encapsulated(tagged)).isEmpty != carries)
    #expect(fabric.drops(4, .innerVLAN) == (carries ? 0 : 1) && fabric.count(4, .rxFrames) == 1)
    #expect(!Self.receive(&fabric, Self.encapsulated()).isEmpty)
  }

  @Test func `nothing is learned from a remote that is not to be learned from`() {
    var fabric = Self.fabric(learns: false)
    _ = Self.receive(&fabric, Self.encapsulated())
    #expect(fabric.engine.withTable(fabric.network) { $0.count } == 0)
    let source = MACAddress(bytes: Array(Self.inner[6..<12]))!
    // Nor does an address move there.
    _ = fabric.process([(1, frame(to: host(9), from: source.bits))])
    _ = Self.receive(&fabric, Self.encapsulated())
    #expect(fabric.engine.withTable(fabric.network) { $0.lookup(source) } == 1)
  }

  @Test func `what is of no tunnel here is dropped with its reason`() {
    var fabric = Self.fabric()
    #expect(Self.receive(&fabric, Self.encapsulated { $0[48] ^= 1 }).isEmpty)
    #expect(fabric.drops(Self.carrier, .vxlanUnknownVNI) == 1)
    _ = fabric.engine.detachPort(4)
    fabric.engine.freePort(4, from: fabric.network)
    #expect(Self.receive(&fabric, Self.encapsulated()).isEmpty)
    #expect(fabric.drops(Self.carrier, .vxlanUnknownVTEP) == 1)
    _ = fabric.engine.detachPort(5)
    #expect(Self.receive(&fabric, Self.encapsulated()).isEmpty)
    #expect(fabric.drops(Self.carrier, .vxlanUnknownVNI) == 2)
    #expect(fabric.count(Self.carrier, .rxFrames) == 3)
  }

  @Test func `a question for a neighbour that is known goes nowhere but back`() {
    var fabric = Self.fabric()
    let asked = IPAddress("10.0.0.2")!
    let known = KnownNeighbours.Neighbour(mac: MACAddress(bits: host(7)))
    let isKnown = fabric.engine.setNeighbour(asked.mapped, known, network: fabric.network)
    #expect(isKnown)
    let request =
      frame(to: 0xFFFF_FFFF_FFFF, from: host(1), payload: 0, type: [8, 6])
      + [0, 1, 8, 0, 6, 4, 0, 1] + MACAddress(bits: host(1)).bytes + [10, 0, 0, 1]
      + [0, 0, 0, 0, 0, 0, 10, 0, 0, 2]
    let answer = fabric.process([(1, request)])
    #expect(answer.map(\.port) == [1])
    #expect(answer[0].bytes[22..<32] == (MACAddress(bits: host(7)).bytes + [10, 0, 0, 2])[...])
    _ = fabric.engine.setNeighbour(asked.mapped, nil, network: fabric.network)
    #expect(fabric.process([(1, request)]).map(\.port) == [0, 2, 3, 4, 5])
  }
}
