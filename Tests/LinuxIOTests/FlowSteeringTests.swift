import Datapath
import Glibc
import Testing
import Wire

@testable import LinuxIO

/// Ports of two queues, each read by a worker of its own. Which queue a frame leaves by says which worker a TAP would let read
/// the answers.
@Suite(.enabled(if: Switch.processorCount > 1, "two workers need two processors"))
struct FlowSteeringTests {
  static let (a, b): (UInt64, UInt64) = (0x02_00_00_00_00_0A, 0x02_00_00_00_00_0B)

  struct Bed {
    let fabric: Switch
    /// Two queues each.
    let (a, b): ([SocketPort], [SocketPort])

    init() throws {
      fabric = try Switch(workers: 2, SwitchTests.options())
      let network = try fabric.addNetwork(NetworkOptions())
      (a, b) = ([SocketPort(), SocketPort()], [SocketPort(), SocketPort()])
      for (end, address) in [(a, FlowSteeringTests.a), (b, FlowSteeringTests.b)] {
        let port = try fabric.addPort(queues: SocketPort.queues(end), to: network, PortOptions())
        _ = fabric.addForwardingEntry(MACAddress(bits: address), port: port)
      }
    }
  }

  /// A TCP segment over IPv4 with its virtio-net header; one beyond the MTU is to be segmented.
  static func message(sourcePort: UInt8, payload count: Int) -> [UInt8] {
    let payload = [UInt8](repeating: 5, count: count)
    let total = 40 + count
    let virtio: [UInt8] = count > 1460 ? [1, 1, 54, 0, 0xB4, 5, 34, 0, 16, 0] : [UInt8](repeating: 0, count: 10)
    let ethernet = MACAddress(bits: b).bytes + MACAddress(bits: a).bytes + [0x08, 0x00]
    let length = [UInt8(total >> 8), UInt8(total & 0xFF)]
    let ipv4: [UInt8] = [0x45, 0] + length + [0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
    let tcp: [UInt8] = [0, sourcePort, 0, 80] + [UInt8](repeating: 0, count: 8) + [0x50, 0x10] + [0, 0, 0, 0, 0, 0]
    return virtio + ethernet + ipv4 + tcp + payload
  }

  static let bulk = message(sourcePort: 1, payload: 20_000)
  static let acknowledgement = message(sourcePort: 1, payload: 0)
  static let request = message(sourcePort: 2, payload: 64)

  /// The queue of `end` by which the message came.
  static func queue(of message: [UInt8], at end: [SocketPort]) throws -> Int {
    while true {
      for (queue, socket) in end.enumerated() where !socket.isEmpty {
        #expect(try #require(socket.receiveMessage()) == message)
        return queue
      }
      sched_yield()
    }
  }

  @Test func `without bulk every worker writes to its own queue`() throws {
    let bed = try Bed()
    defer { bed.fabric.stop() }
    for worker in [0, 1, 0, 1] {
      bed.a[worker].send(message: Self.request)
      #expect(try Self.queue(of: Self.request, at: bed.b) == worker)
    }
  }

  @Test(arguments: [0, 1]) func `beside bulk other flows are handed to the worker without it`(worker: Int) throws {
    let bed = try Bed()
    defer { bed.fabric.stop() }
    // Bulk is over when the test is not run for a while: tried until it was not.
    var queues: Set<Int> = []
    for _ in 0..<1000 where !queues.contains(1 - worker) {
      bed.a[worker].send(message: Self.bulk)
      #expect(try Self.queue(of: Self.bulk, at: bed.b) == worker)
      bed.a[worker].send(message: Self.acknowledgement)
      #expect(try Self.queue(of: Self.acknowledgement, at: bed.b) == worker, "bulk and what belongs to it stay")
      bed.a[worker].send(message: Self.request)
      queues.insert(try Self.queue(of: Self.request, at: bed.b))
    }
    #expect(queues.contains(1 - worker))
  }

  @Test func `a worker with bulk is handed nothing`() throws {
    let bed = try Bed()
    defer { bed.fabric.stop() }
    // Where the test is not run for a while, one worker's bulk may be over before the other's: then it is tried again.
    var own = 0
    for _ in 0..<100 where own < 10 {
      for worker in [1, 0] {
        bed.a[worker].send(message: Self.bulk)
        #expect(try Self.queue(of: Self.bulk, at: bed.b) == worker)
      }
      bed.a[0].send(message: Self.request)
      own = try Self.queue(of: Self.request, at: bed.b) == 0 ? own + 1 : 0
    }
    #expect(own == 10)
  }
}
