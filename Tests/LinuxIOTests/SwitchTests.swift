import Datapath
import Glibc
import LinuxIO
import Testing
import Wire

/// The worker with sockets for ports: the real rings, threads and commands, without root.
@Suite struct SwitchTests {
  static let modes: [WorkerOptions.ReadMode] = [.automatic, .single]

  static func options(_ mode: WorkerOptions.ReadMode = .automatic) -> WorkerOptions {
    var options = WorkerOptions()
    options.readMode = mode
    options.portCapacity = 64
    options.networkCapacity = 8
    return options
  }

  /// An Ethernet frame with a type for local experiments (IEEE 802 section 9.2.2) and `payload`.
  static func frame(to destination: UInt64, from source: UInt64, _ payload: [UInt8] = Array(repeating: 7, count: 50))
    -> [UInt8]
  {
    MACAddress(bits: destination).bytes + MACAddress(bits: source).bytes + [0x88, 0xB5] + payload
  }

  @Test(arguments: modes) func `unknown destinations are flooded, known ones are not`(mode: WorkerOptions.ReadMode)
    throws
  {
    let fabric = try Switch(workers: 1, Self.options(mode))
    defer { fabric.stop() }
    let network = try fabric.addNetwork(NetworkOptions())
    let (a, b, c) = (SocketPort(), SocketPort(), SocketPort())
    let portA = try fabric.addPort(descriptor: a.portDescriptor, to: network, PortOptions())
    _ = try fabric.addPort(descriptor: b.portDescriptor, to: network, PortOptions())
    _ = try fabric.addPort(descriptor: c.portDescriptor, to: network, PortOptions())
    let question = Self.frame(to: 0x02_00_00_00_00_0B, from: 0x02_00_00_00_00_0A)
    a.send(question)
    #expect(b.receive() == question)
    #expect(c.receive() == question)
    let answer = Self.frame(to: 0x02_00_00_00_00_0A, from: 0x02_00_00_00_00_0B)
    b.send(answer)
    #expect(a.receive() == answer)
    a.send(question)
    #expect(b.receive() == question)
    #expect(c.isEmpty && a.isEmpty)
    let entries = fabric.forwardingEntries(network)
    #expect(Set(entries.map(\.mac.bits)) == [0x02_00_00_00_00_0A, 0x02_00_00_00_00_0B])
    #expect(entries.first { $0.mac.bits == 0x02_00_00_00_00_0A }?.port == portA)
  }

  @Test(arguments: modes) func `a thousand frames keep their order`(mode: WorkerOptions.ReadMode) throws {
    let fabric = try Switch(workers: 1, Self.options(mode))
    defer { fabric.stop() }
    let network = try fabric.addNetwork(NetworkOptions())
    let (a, b) = (SocketPort(), SocketPort())
    let ports = [
      try fabric.addPort(descriptor: a.portDescriptor, to: network, PortOptions()),
      try fabric.addPort(descriptor: b.portDescriptor, to: network, PortOptions()),
    ]
    var received = 0
    for number in 0..<1000 {
      let bytes = [UInt8](repeating: UInt8(number & 0xFF), count: 60)
      a.send(Self.frame(to: 0x02_00_00_00_00_0B, from: 0x02_00_00_00_00_0A, bytes))
      // Never more under way than the socket holds: a full one drops, and says so.
      if number % 50 == 49 {
        while received <= number {
          let frame = try #require(b.receive())
          #expect(frame.last == UInt8(received & 0xFF))
          received += 1
        }
      }
    }
    #expect(fabric[ports[0], .rxFrames] == 1000)
    #expect(fabric[ports[0], .rxBytes] == 74_000)
  }

  @Test func `a port whose reader sleeps drops its own frames and holds up nobody`() throws {
    let fabric = try Switch(workers: 1, Self.options())
    defer { fabric.stop() }
    let network = try fabric.addNetwork(NetworkOptions())
    let (a, stuck, c) = (SocketPort(), SocketPort(), SocketPort())
    _ = try fabric.addPort(descriptor: a.portDescriptor, to: network, PortOptions())
    let stuckPort = try fabric.addPort(descriptor: stuck.portDescriptor, to: network, PortOptions())
    _ = try fabric.addPort(descriptor: c.portDescriptor, to: network, PortOptions())
    let flood = Self.frame(to: 0xFFFF_FFFF_FFFF, from: 0x02_00_00_00_00_0A, Array(repeating: 1, count: 1400))
    for _ in 0..<2000 {
      a.send(flood)
      #expect(c.receive() == flood)
    }
    let dropped = fabric.drops(stuckPort, .queueFull)
    #expect(dropped > 0)
    // A write is counted when it completes, which may be after its sibling has been read.
    while fabric[stuckPort, .txFrames] + fabric.drops(stuckPort, .queueFull) < 2000 { sched_yield() }
    #expect(fabric[stuckPort, .txFrames] + fabric.drops(stuckPort, .queueFull) == 2000)
  }

  @Test func `a port that goes takes its addresses along and its index comes back`() throws {
    let fabric = try Switch(workers: 1, Self.options())
    defer { fabric.stop() }
    let network = try fabric.addNetwork(NetworkOptions())
    for round in 0..<200 {
      let (a, b) = (SocketPort(), SocketPort())
      let portA = try fabric.addPort(descriptor: a.portDescriptor, to: network, PortOptions())
      let portB = try fabric.addPort(descriptor: b.portDescriptor, to: network, PortOptions())
      let frame = Self.frame(to: 0xFFFF_FFFF_FFFF, from: 0x02_00_00_00_00_00 + UInt64(round))
      a.send(frame)
      #expect(b.receive() == frame)
      fabric.removePort(portA)
      fabric.removePort(portB)
      #expect(fabric.forwardingEntries(network).isEmpty)
    }
    #expect(fabric.gone(network, .rxFrames) == 200)
    #expect(fabric.gone(network, .txFrames) == 200)
  }

  @Test func `a descriptor that dies is reported`() async throws {
    let fabric = try Switch(workers: 1, Self.options())
    defer { fabric.stop() }
    let network = try fabric.addNetwork(NetworkOptions())
    let (lost, continuation) = AsyncStream<PortHandle>.makeStream()
    fabric.onPortLost { continuation.yield($0) }
    var a: SocketPort? = SocketPort()
    let port = try fabric.addPort(descriptor: a!.portDescriptor, to: network, PortOptions())
    a = nil
    #expect(await lost.first { _ in true } == port)
    fabric.removePort(port)
  }

  @Test func `networks do not hear each other`() throws {
    let fabric = try Switch(workers: 2, Self.options())
    defer { fabric.stop() }
    let networks = [try fabric.addNetwork(NetworkOptions()), try fabric.addNetwork(NetworkOptions())]
    let (a, b, c, d) = (SocketPort(), SocketPort(), SocketPort(), SocketPort())
    _ = try fabric.addPort(descriptor: a.portDescriptor, to: networks[0], PortOptions())
    _ = try fabric.addPort(descriptor: b.portDescriptor, to: networks[0], PortOptions())
    _ = try fabric.addPort(descriptor: c.portDescriptor, to: networks[1], PortOptions())
    _ = try fabric.addPort(descriptor: d.portDescriptor, to: networks[1], PortOptions())
    let frame = Self.frame(to: 0xFFFF_FFFF_FFFF, from: 0x02_00_00_00_00_0A)
    a.send(frame)
    #expect(b.receive() == frame)
    let other = Self.frame(to: 0xFFFF_FFFF_FFFF, from: 0x02_00_00_00_00_0C)
    c.send(other)
    #expect(d.receive() == other)
    #expect(a.isEmpty && b.isEmpty && c.isEmpty)
  }
}
