import Tables
import Testing
import Wire

@testable import Datapath

extension MemorySwitch {
  fileprivate mutating func mirror(_ mirror: FrameMirror, isRefused: Bool = false) {
    let isSet = engine.setMirror(mirror)
    #expect(isSet != isRefused, "\(mirror)")
  }
}

@Suite("Mirrors")
struct MirrorTests {
  /// Ports 0 to 2 have hosts whose addresses are known; 3 watches.
  private static func settled() -> MemorySwitch {
    var fabric = MemorySwitch(ports: 5)
    for port in 0..<3 { _ = fabric.process([(UInt16(port), frame(to: host(9), from: host(port)))]) }
    return fabric
  }

  private static func sent(_ fabric: inout MemorySwitch, _ port: UInt16, _ bytes: [UInt8]) -> [UInt16] {
    fabric.process([(port, bytes)]).filter { $0.bytes == bytes }.map(\.port).sorted()
  }

  @Test("what a port sends and gets is copied, what others say to each other is not")
  func directions() {
    var fabric = Self.settled()
    fabric.mirror(FrameMirror(from: 0, to: 3))
    #expect(Self.sent(&fabric, 0, frame(to: host(1), from: host(0))) == [1, 3])
    #expect(Self.sent(&fabric, 1, frame(to: host(0), from: host(1))) == [0, 3])
    #expect(Self.sent(&fabric, 1, frame(to: host(2), from: host(1))) == [2])
    fabric.mirror(FrameMirror(from: 0, to: 3, copiesSent: false))
    #expect(Self.sent(&fabric, 0, frame(to: host(1), from: host(0))) == [1, 3])
    #expect(Self.sent(&fabric, 1, frame(to: host(0), from: host(1))) == [0])
    fabric.mirror(FrameMirror(from: 0, to: 3, copiesReceived: false))
    #expect(Self.sent(&fabric, 0, frame(to: host(1), from: host(0))) == [1])
    #expect(Self.sent(&fabric, 1, frame(to: host(0), from: host(1))) == [0, 3])
    fabric.engine.removeMirror(from: 0, to: 3)
    #expect(Self.sent(&fabric, 1, frame(to: host(0), from: host(1))) == [0])
    #expect(fabric.engine.isObserved == false)
  }

  @Test("a frame is copied once to each destination, however many mirrors match it, beside its normal copy")
  func once() {
    var fabric = Self.settled()
    for from in [UInt16(0), 1, 2] { fabric.mirror(FrameMirror(from: from, to: 3)) }
    fabric.mirror(FrameMirror(from: 1, to: 4))
    #expect(Self.sent(&fabric, 0, frame(to: host(1), from: host(0))) == [1, 3, 4])
    // Flooded: port 3 and 4 have it as everybody has, and the mirror's.
    #expect(Self.sent(&fabric, 0, frame(to: host(8), from: host(0))) == [1, 2, 3, 3, 4, 4])
  }

  @Test("mirrors of each other's destinations make no loop, and who sent a frame does not get it back")
  func noLoop() {
    var fabric = Self.settled()
    for (from, to) in [(UInt16(0), UInt16(1)), (1, 0), (1, 3), (3, 1)] {
      fabric.mirror(FrameMirror(from: from, to: to))
    }
    #expect(Self.sent(&fabric, 0, frame(to: host(1), from: host(0))) == [1, 1, 3])
    #expect(Self.sent(&fabric, 0, frame(to: host(2), from: host(0))) == [1, 2])
  }

  @Test("a frame that is dropped is copied too, one without a header is not")
  func drops() {
    var fabric = Self.settled()
    fabric.mirror(FrameMirror(from: 0, to: 3))
    #expect(Self.sent(&fabric, 0, frame(to: host(0), from: host(0))) == [3])
    #expect(fabric.drops(0, .samePort) == 1)
    #expect(Self.sent(&fabric, 0, [1, 2, 3]).isEmpty)
  }

  @Test("every copy is counted: as made, and where there is no room as dropped at the destination")
  func conservation() {
    var fabric = Self.settled()
    fabric.mirror(FrameMirror(from: 0, to: 3))
    fabric.mirror(FrameMirror(from: 0, to: 4))
    let before = fabric.floodedCopies
    let sent = fabric.process((0..<64).map { _ in (0, frame(to: host(1), from: host(0))) })
    #expect(fabric.floodedCopies - before == 128)
    let lost = fabric.drops(3, .mirrorLimit) + fabric.drops(4, .mirrorLimit)
    #expect(Int(lost) == 128 - MirrorTable.perBurstMax)
    #expect(sent.count == 64 + MirrorTable.perBurstMax)
    // The next burst has its own.
    #expect(Self.sent(&fabric, 0, frame(to: host(1), from: host(0))) == [1, 3, 4])
  }

  @Test("a mirror goes with either of its ports, needs two of one network, and there is room for so many")
  func membership() {
    var fabric = MemorySwitch(ports: 80)
    fabric.mirror(FrameMirror(from: 0, to: 0), isRefused: true)
    fabric.engine.addNetwork(Network(NetworkOptions(), portCapacity: 80, seed: 1), at: 1)
    #expect(fabric.engine.detachPort(79) == 0)
    fabric.mirror(FrameMirror(from: 0, to: 79), isRefused: true)
    for port in 1...Engine.mirrorsMax { fabric.mirror(FrameMirror(from: UInt16(port), to: 0)) }
    fabric.mirror(FrameMirror(from: 70, to: 0), isRefused: true)
    fabric.mirror(FrameMirror(from: 1, to: 0, copiesSent: false))
    _ = fabric.engine.detachPort(1)
    fabric.mirror(FrameMirror(from: 70, to: 0))
    _ = fabric.engine.detachPort(0)
    #expect(fabric.engine.isObserved == false)
  }
}

@Suite("Frame taps")
struct FrameTapTests {
  private struct Note: Equatable {
    var event: FrameEvent
    var port: UInt16
    var reason: DropReason?
  }

  private final class Notes { var all: [Note] = [] }

  @Test("who watches is told of each frame as it comes in, as it leaves and as it is dropped, and of a mirror's copies")
  func events() {
    var fabric = MemorySwitch(ports: 3)
    let notes = Notes()
    let context = Unmanaged.passUnretained(notes).toOpaque()
    fabric.engine.setTap(
      FrameTap(context: context) { context, event, _, port, _, reason in
        let event = FrameEvent(rawValue: event)!
        Unmanaged<Notes>.fromOpaque(context).takeUnretainedValue().all.append(
          Note(event: event, port: port, reason: event == .dropped ? DropReason(rawValue: reason) : nil))
      })
    _ = fabric.process([(0, frame(to: host(1), from: host(0)))])
    #expect(notes.all == [Note(event: .received, port: 0), Note(event: .sent, port: 1), Note(event: .sent, port: 2)])
    notes.all = []
    _ = fabric.process([(0, frame(to: host(0), from: host(0)))])
    #expect(notes.all == [Note(event: .received, port: 0), Note(event: .dropped, port: 0, reason: .samePort)])
    notes.all = []
    fabric.mirror(FrameMirror(from: 0, to: 2))
    _ = fabric.process([(0, frame(to: host(0), from: host(0)))])
    #expect(notes.all.contains(Note(event: .sent, port: 2)))
    notes.all = []
    fabric.engine.setTap(nil)
    _ = fabric.process([(0, frame(to: host(1), from: host(0)))])
    #expect(notes.all.isEmpty)
    withExtendedLifetime(notes) {}
  }
}
