import Tables
import Wire

// Networks under a policy program, and under nothing but the learning switch's common case: the way of frames through the first.
extension Engine {
  /// Apart, so that the other networks' code stays small.
  @inlinable
  @inline(never)
  mutating func runSpecial<Output: FrameOutput & ~Copyable>(
    _ frames: UnsafeBufferPointer<FrameDescriptor>, network: Int, now: UInt32, into output: inout Output
  ) {
    if networks[network].program != nil {
      runProgram(frames, network: network, now: now, into: &output)
    } else {
      runOnLAN(frames, network: network, now: now, into: &output)
    }
  }

  @inlinable
  mutating func runProgram<Output: FrameOutput & ~Copyable>(
    _ frames: UnsafeBufferPointer<FrameDescriptor>, network: Int, now: UInt32, into output: inout Output
  ) {
    var next = 0
    while next < frames.count {
      var count = 0
      while next < frames.count && count < PolicyBurst.framesMax {
        if admit(frames[next], network: network, now: now, into: &output) {
          policyBurst.frames[count] = frames[next]
          count &+= 1
        }
        next &+= 1
      }
      guard count > 0 else { return }
      decideByProgram(count, network: network, now: now)
      carryOutProgram(count, network: network, now: now, into: &output)
    }
  }

  /// What the guard has to say of a frame, before any policy sees it. Counts it in.
  @inlinable
  @inline(__always)
  mutating func admit<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, network: Int, now: UInt32, into output: inout Output
  ) -> Bool {
    let base = Int(frame.port) &* PortCounter.count
    let length = Int(frame.length) &- Self.headerLength
    portCounters.handle.add(base &+ PortCounter.rxFrames.rawValue)
    portCounters.handle.add(base &+ PortCounter.rxBytes.rawValue, UInt64(max(0, length)))
    guard length >= Self.ethernetHeaderLength else {
      countDrop(.runt, of: frame)
      return false
    }
    let header = VirtioNetHeader(loadingFrom: UnsafeRawPointer(frame.start))
    if networks[network].lengths.mayBeExceeded(by: UInt32(length), segmentLength: header.segmentSize),
      dropTooLong(frame, network: network, now: now, into: &output)
    {
      return false
    }
    guard let reason = Network.guardFrame(Self.view(frame)) else { return true }
    countDrop(reason, of: frame)
    return false
  }

  @usableFromInline
  mutating func decideByProgram(_ count: Int, network: Int, now: UInt32, trace: FrameTrace? = nil) {
    guard let program = networks[network].program else { return }
    policyBurst.counts.pointee = PolicyBurst.Counts()
    var view = NetworkView(
      of: networks[network], at: UInt16(truncatingIfNeeded: network), ports: ports, learned: learned, now: now,
      nanoseconds: nanoseconds, burst: policyBurst, counters: trace?.isDryRun == true ? nil : program.counters,
      trace: trace)
    withUnsafeMutablePointer(to: &view) {
      program.decide(program.state, policyBurst.frames, count, $0, policyBurst.verdicts)
    }
  }

  @inlinable
  mutating func carryOutProgram<Output: FrameOutput & ~Copyable>(
    _ count: Int, network: Int, now: UInt32, into output: inout Output
  ) {
    let routedMAC = networks[network].routedMAC
    var mirror = 0
    let mirrorCount = Int(policyBurst.counts.pointee.mirrors)
    for index in 0..<count {
      let frame = policyBurst.frames[index]
      var copies = 0
      while mirror < mirrorCount && Int(policyBurst.mirrors[mirror].place) <= index {
        if ports[Int(policyBurst.mirrors[mirror].port)].network == network {
          output.transmit(frame, to: policyBurst.mirrors[mirror].port, isOnlyCopy: false)
          copies &+= 1
        }
        mirror &+= 1
      }
      if copies > 0 { countCopies(copies, network: network) }
      let verdict = policyBurst.verdicts[index]
      if case .drop(let reason) = verdict {
        countDrop(reason, of: frame)
      } else if isRouted(frame, by: routedMAC) {
        routeOutward(frame, network: network, now: now, into: &output)
      } else {
        send(frame, verdict, network: network, hasMirror: copies > 0, into: &output)
      }
    }
    if policyBurst.counts.pointee.lost > 0 { countLost(policyBurst.frames[0], network: network) }
  }

  @inlinable
  @inline(__always)
  func isRouted(_ frame: FrameDescriptor, by routedMAC: UInt64) -> Bool {
    guard routedMAC != 0 else { return false }
    let parsed = Self.view(frame)
    return parsed.destination.bits == routedMAC && parsed.isIP
  }

  /// Carries out a verdict that is no drop. Ports that are not the network's, and those that the one it came in by does not reach,
  /// get nothing, whatever a policy says.
  @inlinable
  @inline(__always)
  mutating func send<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, _ verdict: Verdict, network: Int, hasMirror: Bool, into output: inout Output
  ) {
    switch verdict {
    case .forward(let port):
      if let reason = reasonAgainst(frame.port, port, network: network) { return countDrop(reason, of: frame) }
      output.transmit(frame, to: port, isOnlyCopy: !hasMirror)
    case .flood, .floodSeparated: floodSeparated(frame, network: network, into: &output)
    case .floodBeside(let port):
      let separation = ports[Int(frame.port)].separation
      countFlood(
        of: frame, floodBeside(frame, port, network: network, beyond: separation, into: &output), network: network)
    case .targets(let first, let count):
      sendToTargets(frame, first, count, network: network, hasMirror: hasMirror, into: &output)
    case .drop(let reason): countDrop(reason, of: frame)
    }
  }

  /// Why a frame of one port does not go to the other; nil: it does.
  @inlinable
  @inline(__always)
  func reasonAgainst(_ from: UInt16, _ port: UInt16, network: Int) -> DropReason? {
    guard Int(port) < portCapacity, Int(ports[Int(port)].network) == network else { return .noSuchPort }
    return ports[Int(from)].separation.reasonAgainst(ports[Int(port)].separation)
  }

  @inlinable
  @inline(never)
  mutating func sendToTargets<Output: FrameOutput & ~Copyable>(
    _ frame: FrameDescriptor, _ first: UInt16, _ count: UInt16, network: Int, hasMirror: Bool, into output: inout Output
  ) {
    let end = min(Int(first) &+ Int(count), Int(policyBurst.targetCount))
    let isOnly = count == 1 && !hasMirror
    var copies = 0
    var reason = DropReason.noOtherPort
    for index in min(Int(first), end)..<end {
      let target = policyBurst.targets[index]
      if let obstacle = reasonAgainst(frame.port, target.port, network: network) {
        reason = obstacle
        continue
      }
      copies &+= 1
      if target.tagging == .unchanged {
        output.transmit(frame, to: target.port, isOnlyCopy: isOnly)
        continue
      }
      let edited = FrameEditing.edit(frame, target.tagging, mayMove: isOnly, buffer: policyBurst.edited)
      if edited.start == frame.start || isOnly {
        output.transmit(edited, to: target.port, isOnlyCopy: isOnly)
      } else if !output.transmitCopy(of: edited, to: target.port) {
        countDrop(.queueFull, at: target.port)
      }
    }
    if copies == 0 { countDrop(reason, of: frame) } else { countCopies(copies &- 1, network: network) }
  }

  @usableFromInline
  mutating func countCopies(_ copies: Int, network: Int) {
    let counter = network &* NetworkCounter.count &+ NetworkCounter.floodedCopies.rawValue
    networkCounters.handle.add(counter, UInt64(copies))
  }

  /// Copies that there was no room for: made, and dropped. Which frames' they were is not known any more.
  @usableFromInline
  mutating func countLost(_ frame: FrameDescriptor, network: Int) {
    let lost = Int(policyBurst.counts.pointee.lost)
    countCopies(lost, network: network)
    for _ in 0..<lost { countDrop(.tooManyTargets, at: frame.port) }
  }

  // MARK: What the control plane changes

  /// From here on the program decides on the network's frames; nil: the learning switch does. Not for networks on the LAN.
  public mutating func setProgram(_ program: PolicyProgram?, network: UInt16) {
    precondition(isNetwork[Int(network)] && networks[Int(network)].forwarding == .learning)
    networks[Int(network)].program = program
  }
}
