import Foundation
import Glibc
import Netlink
import SystemCalls
import Testing

@testable import UplinkFilter

/// The filter where it works: at an interface, before a host's stack.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct UplinkTests {
  private static let addresses = ["192.0.2.1", "2001:db8::1"]
  private static let port: UInt16 = 8080

  private func claim(_ filter: borrowing UplinkFilter) {
    for slot in [externalSlot, externalSlot6] {
      filter.claims.set(slot: slot, plane: .tcp, port: Self.port)
      filter.claims.set(slot: slot, plane: .udp, port: Self.port)
    }
  }

  /// The destination port of a TCP or UDP packet without options or extension headers.
  private func port(_ frame: Frame) -> UInt16 {
    let offset = (frame.isIPv4 ? 34 : 54) + 2
    return UInt16(frame.bytes[offset]) << 8 | UInt16(frame.bytes[offset + 1])
  }

  @Test func hostIsSilentWhereAPortIsClaimedAndAnswersElsewhere() async throws {
    try await TestUplink.with { uplink in
      var filter = try makeFilter()
      claim(filter)
      let socket = try uplink.onHost { () throws(Errno) in
        try TestPacketSocket(on: "wan", program: filter.socketProgram)
      }
      try uplink.attach(&filter)
      for address in Self.addresses {
        for transport in [Transport.tcp, .udp] {
          #expect(try uplink.connect(to: address, port: Self.port, transport, wait: 300) == ETIMEDOUT)
          let received = socket.receive()
          let frame = try #require(received)
          #expect(port(frame) == Self.port)
          // What is behind it in the queue has been answered, so it would have been too.
          #expect(try uplink.connect(to: address, port: 8081, transport) == ECONNREFUSED)
        }
      }
      #expect(try uplink.counter("TcpOutRsts") == 2)
      #expect(try uplink.counter("UdpNoPorts") == 1)
      #expect(try uplink.counter("Udp6NoPorts") == 1)
      // Nothing but what is claimed; SYNs may have come again.
      while let frame = socket.receive(wait: 0) { #expect(port(frame) == Self.port) }

      filter.detach()
      for address in Self.addresses {
        for transport in [Transport.tcp, .udp] {
          #expect(try uplink.connect(to: address, port: Self.port, transport) == ECONNREFUSED)
        }
      }
    }
  }

  /// Also frames that are shorter than their headers, of which the kernel tells a program nothing in a test run.
  @Test(arguments: [(GoldenFrames.udp, 38), (GoldenFrames.tcp6, 58), (GoldenFrames.exceededTCP, 70)])
  func frameOfEveryLength(frame: Frame, needed: Int) async throws {
    try await TestUplink.with { uplink in
      var filter = try makeFilter()
      filter.claims.setAll()
      try uplink.attach(&filter)
      let program = filter.socketProgram
      let socket = try uplink.onHost { () throws(Errno) in try TestPacketSocket(on: "wan", program: program) }
      let sender = try uplink.onPeer { () throws(Errno) in try TestPacketSocket(on: "eth0") }
      for count in 14...frame.bytes.count { try sender.send(frame.cut(to: count)) }
      for count in needed...frame.bytes.count {
        let received = socket.receive()
        #expect(received == frame.cut(to: count))
      }
    }
  }

  /// A tag is taken off the frame before a program sees it.
  @Test func taggedFrameIsNotForTheUplink() async throws {
    try await TestUplink.with { uplink in
      let filter = try makeFilter()
      claim(filter)
      let program = filter.socketProgram
      let socket = try uplink.onHost { () throws(Errno) in try TestPacketSocket(on: "wan", program: program) }
      let sender = try uplink.onPeer { () throws(Errno) in try TestPacketSocket(on: "eth0") }
      var tagged = GoldenFrames.tcp.bytes
      tagged.insert(contentsOf: [0x81, 0x00, 0x00, 0x07], at: 12)
      try sender.send(Frame(tagged))
      let other = GoldenFrames.tcp.with(0x77, at: 41)
      try sender.send(other)
      let received = socket.receive()
      #expect(received == other)
    }
  }

  @Test func interfaceThatIsNotThereIsRefused() throws {
    var filter = try UplinkFilter()
    var error = #expect(throws: Errno.self) { try filter.attach(interface: 0x7FFF_FFFF) }
    #expect(error?.code == ENODEV)
    error = #expect(throws: Errno.self) { try filter.attachClassifier(interface: 0x7FFF_FFFF) }
    #expect(error != nil)
  }

  /// As on a kernel without tcx.
  @Test func classifierDoesTheSameAndGoes() async throws {
    try await TestUplink.with { uplink in
      var filter = try makeFilter()
      claim(filter)
      try uplink.onHost { () throws(Errno) in
        try filter.attachClassifier(interface: Int32(if_nametoindex("wan")))
      }
      for address in Self.addresses {
        #expect(try uplink.connect(to: address, port: Self.port, wait: 300) == ETIMEDOUT)
        #expect(try uplink.connect(to: address, port: 8081) == ECONNREFUSED)
      }
      #expect(try uplink.counter("TcpOutRsts") == 2)
      filter.detach()
      #expect(try uplink.connect(to: Self.addresses[0], port: Self.port) == ECONNREFUSED)
      #expect(try uplink.run("tc", "-n", uplink.host, "filter", "show", "dev", "wan", "ingress") == "")
    }
  }

  /// Several filters on one interface: a frame is the host's where none of them says otherwise.
  @Test(arguments: [false, true]) func filtersOnOneInterfaceStandBesideEachOther(areClassifiers: Bool) async throws {
    try await TestUplink.with { uplink in
      var filters = FilterPair(try makeFilter(), try makeFilter())
      claim(filters.first)
      filters.second.claims.set(slot: externalSlot, plane: .tcp, port: 8081)
      try uplink.onHost { () throws(Errno) in
        let index = Int32(if_nametoindex("wan"))
        if areClassifiers {
          try filters.first.attachClassifier(interface: index)
          try filters.second.attachClassifier(interface: index, handle: 7)
        } else {
          try filters.first.attach(interface: index)
          try filters.second.attach(interface: index, handle: 7)
        }
      }
      let address = Self.addresses[0]
      for port in [Self.port, 8081] as [UInt16] {
        #expect(try uplink.connect(to: address, port: port, wait: 300) == ETIMEDOUT)
      }
      #expect(try uplink.connect(to: address, port: 8082) == ECONNREFUSED)
      filters.first.detach()
      #expect(try uplink.connect(to: address, port: Self.port) == ECONNREFUSED)
      #expect(try uplink.connect(to: address, port: 8081, wait: 300) == ETIMEDOUT)
      filters.second.detach()
      #expect(try uplink.connect(to: address, port: 8081) == ECONNREFUSED)
    }
  }

  @Test func processThatIsKilledLeavesNoBlackHole() async throws {
    try await TestUplink.with { uplink in
      await #expect(processExitsWith: .signal(SIGKILL)) { [host = uplink.host as String] in
        try Self.attachAndDie(host) { filter, interface throws(Errno) in try filter.attach(interface: interface) }
      }
      let error = try uplink.connect(to: Self.addresses[0], port: Self.port)
      #expect(error == ECONNREFUSED)
    }
  }

  /// A daemon that ends to be started again: the host stays silent meanwhile, and not for ever.
  @Test func programLingersUntilItsLeaseEndsOrTheNextComes() async throws {
    try await TestUplink.with { uplink in
      for seconds in [60, 1] {
        var filter = try makeFilter()
        claim(filter)
        try uplink.onHost { () throws(Errno) in
          try filter.attach(interface: Int32(if_nametoindex("wan")))
          try filter.linger(seconds: seconds)
        }
        filter.detach()
        #expect(try uplink.connect(to: Self.addresses[0], port: Self.port, wait: 300) == ETIMEDOUT)
        if seconds > 1 {
          var next = try makeFilter()
          try uplink.onHost { () throws(Errno) in
            try next.attach(interface: Int32(if_nametoindex("wan")))
            UplinkFilter.endLingering(interface: Int32(if_nametoindex("wan")))
          }
        }
        var answer = try uplink.connect(to: Self.addresses[0], port: Self.port, wait: 300)
        for _ in 0..<20 where answer != ECONNREFUSED {
          answer = try uplink.connect(to: Self.addresses[0], port: Self.port, wait: 300)
        }
        #expect(answer == ECONNREFUSED)
      }
      try uplink.onHost { () throws(Errno) in UplinkFilter.endLingering(interface: Int32(if_nametoindex("wan"))) }
    }
  }

  /// What a killed process leaves on a kernel without tcx is replaced by the next one.
  @Test func classifierThatWasLeftIsReplaced() async throws {
    try await TestUplink.with { uplink in
      await #expect(processExitsWith: .signal(SIGKILL)) { [host = uplink.host as String] in
        try Self.attachAndDie(host) { filter, interface throws(Errno) in
          try filter.attachClassifier(interface: interface)
        }
      }
      #expect(try uplink.connect(to: Self.addresses[0], port: Self.port, wait: 300) == ETIMEDOUT)
      var filter = try makeFilter()
      try uplink.onHost { () throws(Errno) in
        try filter.attachClassifier(interface: Int32(if_nametoindex("wan")))
      }
      #expect(try uplink.connect(to: Self.addresses[0], port: Self.port) == ECONNREFUSED)
      let filters = try uplink.run("tc", "-n", uplink.host, "filter", "show", "dev", "wan", "ingress")
      #expect(filters.split(separator: "\n").count { $0.contains("handle") } == 1, "\(filters)")
      filter.detach()
      #expect(try uplink.run("tc", "-n", uplink.host, "filter", "show", "dev", "wan", "ingress") == "")
    }
  }

  /// Claims the port in the namespace of that name, sees that the host is silent, and kills this process.
  private static func attachAndDie(
    _ host: String, _ attach: (inout UplinkFilter, Int32) throws(Errno) -> Void
  ) throws {
    var filter = try makeFilter()
    filter.claims.setAll()
    try NetworkNamespace(path: "/run/netns/\(host)").run { () throws(Errno) in
      try attach(&filter, Int32(if_nametoindex("wan")))
    }
    let uplink = TestUplink(host: host)
    let answer = try uplink.connect(to: addresses[0], port: port, wait: 300)
    if answer != ETIMEDOUT { fatalError("errno \(answer)") }
    kill(getpid(), SIGKILL)
  }
}

private struct FilterPair: ~Copyable {
  var first: UplinkFilter
  var second: UplinkFilter

  init(_ first: consuming UplinkFilter, _ second: consuming UplinkFilter) {
    self.first = first
    self.second = second
  }
}
