import Datapath
import Dispatch
import Foundation
import Glibc
import Testing
import Wire

@testable import LinuxIO

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
    let portA = try fabric.addPort(queues: a.queue(), to: network, PortOptions())
    _ = try fabric.addPort(queues: b.queue(), to: network, PortOptions())
    _ = try fabric.addPort(queues: c.queue(), to: network, PortOptions())
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

  /// At a thousand bytes a second no more than the burst passes while the test runs.
  @Test(arguments: [PortOptions(rateIn: 8000), PortOptions(rateOut: 8000)])
  func `what exceeds a port's rate is dropped and counted`(limited: PortOptions) throws {
    let fabric = try Switch(workers: 2, Self.options())
    defer { fabric.stop() }
    let network = try fabric.addNetwork(NetworkOptions())
    let (a, b) = (SocketPort(), SocketPort())
    let isSender = limited.rateIn != 0
    let sender = try fabric.addPort(queues: a.queue(), to: network, isSender ? limited : PortOptions())
    let receiver = try fabric.addPort(queues: b.queue(), to: network, isSender ? PortOptions() : limited)
    func offer(_ count: Int) -> (received: Int, dropped: UInt64) {
      let (port, reason) = isSender ? (sender, DropReason.rateExceeded) : (receiver, .outputRateExceeded)
      let before = fabric.drops(port, reason)
      let frame = Self.frame(to: 0x02_00_00_00_00_0B, from: 0x02_00_00_00_00_0A, Array(repeating: 7, count: 986))
      var received = 0
      for sent in 1...count {
        a.send(frame)
        while received + Int(fabric.drops(port, reason) - before) < sent {
          if !b.isEmpty { received += b.receive() == frame ? 1 : 0 }
        }
      }
      return (received, fabric.drops(port, reason) - before)
    }
    let (received, dropped) = offer(300)
    // 128 KB, and what a slow machine's seconds add.
    #expect((132...200).contains(received) && received + Int(dropped) == 300)
    #expect(fabric[sender, .rxFrames] == 300)
    for port in [sender, receiver] { fabric.changePort(port, PortOptions()) }
    #expect(offer(200) == (200, 0))
  }

  @Test(arguments: modes) func `a thousand frames keep their order`(mode: WorkerOptions.ReadMode) throws {
    let fabric = try Switch(workers: 1, Self.options(mode))
    defer { fabric.stop() }
    let network = try fabric.addNetwork(NetworkOptions())
    let (a, b) = (SocketPort(), SocketPort())
    let ports = [
      try fabric.addPort(queues: a.queue(), to: network, PortOptions()),
      try fabric.addPort(queues: b.queue(), to: network, PortOptions()),
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
    _ = try fabric.addPort(queues: a.queue(), to: network, PortOptions())
    let stuckPort = try fabric.addPort(queues: stuck.queue(), to: network, PortOptions())
    _ = try fabric.addPort(queues: c.queue(), to: network, PortOptions())
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
      let portA = try fabric.addPort(queues: a.queue(), to: network, PortOptions())
      let portB = try fabric.addPort(queues: b.queue(), to: network, PortOptions())
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
    let port = try fabric.addPort(queues: a!.queue(), to: network, PortOptions())
    a = nil
    #expect(await lost.first { _ in true } == port)
    fabric.removePort(port)
  }

  @Test func `the probe waits for each worker`() throws {
    var options = Self.options()
    let probe = LivenessProbe()
    options.livenessProbe = probe
    let fabric = try Switch(workers: min(2, Switch.processorCount), options)
    defer { fabric.stop() }
    probe.awaitWorkers()
    let last = fabric.workerCount - 1
    let (entered, hang, answered) = (
      DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
    )
    Thread.detachNewThread {
      fabric.ask(last) { _ in
        entered.signal()
        hang.wait()
      }
    }
    entered.wait()
    Thread.detachNewThread {
      probe.awaitWorkers()
      answered.signal()
    }
    #expect(answered.wait(timeout: .now() + 0.1) == .timedOut)
    hang.signal()
    #expect(answered.wait(timeout: .now() + 10) == .success)
  }

  /// Two ports of two queues each: what comes in by the second queue is decided by the second worker.
  @Test(.enabled(if: Switch.processorCount > 1, "two workers need two processors"))
  func `what one worker learned the other knows`() throws {
    let fabric = try Switch(workers: 2, Self.options())
    defer { fabric.stop() }
    let network = try fabric.addNetwork(NetworkOptions())
    let ends = (0..<3).map { _ in [SocketPort(), SocketPort()] }
    let ports = try ends.map { queues in
      try fabric.addPort(queues: SocketPort.queues(queues), to: network, PortOptions())
    }
    let (a, b): (UInt64, UInt64) = (0x02_00_00_00_00_0A, 0x02_00_00_00_00_0B)
    // Learned by the first worker, from a queue that it alone reads.
    ends[0][0].send(Self.frame(to: 0xFFFF_FFFF_FFFF, from: a))
    #expect(ends[1][0].receive() != nil && ends[2][0].receive() != nil)
    // So the second worker, which has not seen it, floods it no more, and writes to its own queue.
    ends[1][1].send(Self.frame(to: a, from: b))
    #expect(ends[0][1].receive() == Self.frame(to: a, from: b))
    #expect(ends.joined().allSatisfy { $0.isEmpty })
    #expect(Set(fabric.forwardingEntries(network).map(\.mac.bits)) == [a, b])
    #expect(fabric[ports[0], .rxFrames] == 1 && fabric[ports[1], .rxFrames] == 1)
    // What is static is so for both.
    #expect(fabric.addForwardingEntry(MACAddress(bits: 0x02_00_00_00_00_0C), port: ports[2]))
    for queue in 0...1 {
      ends[0][queue].send(Self.frame(to: 0x02_00_00_00_00_0C, from: a))
      #expect(ends[2][queue].receive() != nil)
      #expect(ends[1][queue].isEmpty)
    }
    #expect(fabric.removeForwardingEntry(MACAddress(bits: 0x02_00_00_00_00_0C), network: network))
    for port in ports { fabric.removePort(port) }
    #expect(fabric.gone(network, .rxFrames) == 4 && fabric.gone(network, .txFrames) == 5)
    #expect(ends.joined().allSatisfy { $0.receive() == nil })
  }

  @Test(.enabled(if: Switch.processorCount > 1, "two workers need two processors"))
  func `a port of one queue is read by one worker and written by all`() throws {
    let fabric = try Switch(workers: 2, Self.options())
    defer { fabric.stop() }
    let network = try fabric.addNetwork(NetworkOptions())
    let ends = [SocketPort(), SocketPort(), SocketPort()]
    let ports = try ends.map { try fabric.addPort(queues: $0.queue(), to: network, PortOptions()) }
    for (index, end) in ends.enumerated() {
      let frame = Self.frame(to: 0xFFFF_FFFF_FFFF, from: 0x02_00_00_00_00_00 + UInt64(index))
      end.send(frame)
      for other in ends where other !== end { #expect(other.receive() == frame) }
    }
    #expect(ports.map { fabric[$0, .rxFrames] } == [1, 1, 1])
    for port in ports { fabric.removePort(port) }
    #expect(fabric.gone(network, .txFrames) == 6)
  }

  @Test func `networks do not hear each other`() throws {
    let fabric = try Switch(workers: 2, Self.options())
    defer { fabric.stop() }
    let networks = [try fabric.addNetwork(NetworkOptions()), try fabric.addNetwork(NetworkOptions())]
    let (a, b, c, d) = (SocketPort(), SocketPort(), SocketPort(), SocketPort())
    _ = try fabric.addPort(queues: a.queue(), to: networks[0], PortOptions())
    _ = try fabric.addPort(queues: b.queue(), to: networks[0], PortOptions())
    _ = try fabric.addPort(queues: c.queue(), to: networks[1], PortOptions())
    _ = try fabric.addPort(queues: d.queue(), to: networks[1], PortOptions())
    let frame = Self.frame(to: 0xFFFF_FFFF_FFFF, from: 0x02_00_00_00_00_0A)
    a.send(frame)
    #expect(b.receive() == frame)
    let other = Self.frame(to: 0xFFFF_FFFF_FFFF, from: 0x02_00_00_00_00_0C)
    c.send(other)
    #expect(d.receive() == other)
    #expect(a.isEmpty && b.isEmpty && c.isEmpty)
  }
}
