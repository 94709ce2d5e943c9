import Tables
import Wire

/// What an engine would do with a frame.
public struct FrameExplanation: Equatable, Sendable {
  /// A port that it would leave by.
  public struct Copy: Equatable, Sendable {
    public let port: UInt16
    public let tagging: Tagging
    /// Beside the verdict: the policy's.
    public let isMirror: Bool
  }

  public enum Outcome: Equatable, Sendable {
    /// A copy by each of the ports.
    case sent
    /// Its sender gets the answer.
    case answered
    /// The router's, which sends it on, holds it, or drops it.
    case routed
    case dropped(DropReason)
  }

  public var outcome: Outcome
  public var copies: [Copy]

  public init(outcome: Outcome, copies: [Copy] = []) { (self.outcome, self.copies) = (outcome, copies) }
}

// For people who ask why: what `process` would decide, step by step, and nothing carried out. It may allocate, and is not for frames on
// their way.
extension Engine {
  /// - Parameters:
  ///   - frame: of a port of a network; its bytes may be rewritten by the network's policy.
  ///   - program: a copy of the one that its network has, which may change; nil where it has none.
  ///   - trace: a dry run's.
  public mutating func explain(
    _ frame: FrameDescriptor, now: UInt32, program: PolicyProgram? = nil, trace: FrameTrace
  ) -> FrameExplanation {
    precondition(trace.isDryRun)
    let network = Int(ports[Int(frame.port)].network)
    guard network != Int(Self.none) else {
      trace.add("port \(trace.name(frame.port)) is in no network")
      return FrameExplanation(outcome: .dropped(.portDown))
    }
    let length = Int(frame.length) &- Self.headerLength
    trace.add("in by port \(trace.name(frame.port)): \(max(0, length)) bytes")
    if let reason = reasonToRefuse(frame, network: network, trace) {
      return FrameExplanation(outcome: .dropped(reason))
    }
    if let program {
      return explainProgram(frame, program, network: network, now: now, trace)
    }
    var view = NetworkView(
      of: networks[network], at: UInt16(network), ports: ports, learned: learned, now: now, nanoseconds: nanoseconds,
      burst: policyBurst, trace: trace)
    view.current = frame
    let verdict =
      networks[network].forwarding == .learning
      ? SeparatedPorts().decide(Self.view(frame), &view)
      : decide(Self.view(frame), &view, networks[network].forwarding)
    if isRouted(frame, by: networks[network].routedMAC) { return explainRouting(frame, network: network, trace) }
    return explainVerdict(verdict, frame, network: network, trace)
  }

  private mutating func reasonToRefuse(
    _ frame: FrameDescriptor, network: Int, _ trace: FrameTrace
  ) -> DropReason? {
    let length = Int(frame.length) &- Self.headerLength
    guard length >= Self.ethernetHeaderLength else {
      trace.add("shorter than an Ethernet header")
      return .runt
    }
    let header = VirtioNetHeader(loadingFrom: UnsafeRawPointer(frame.start))
    if networks[network].lengths.mayBeExceeded(by: UInt32(length), segmentLength: header.segmentSize),
      isTooLong(frame, network: network)
    {
      trace.add("longer than the network's MTU of \(networks[network].mtu) allows")
      return .oversize
    }
    let parsed = Self.view(frame)
    guard let reason = Network.guardFrame(parsed) else { return nil }
    trace.add(
      reason == .invalidSource
        ? "source \(parsed.source) is no address of a sender" : "destination \(parsed.destination) stays on its link")
    return reason
  }

  private mutating func explainProgram(
    _ frame: FrameDescriptor, _ program: PolicyProgram, network: Int, now: UInt32, _ trace: FrameTrace
  ) -> FrameExplanation {
    trace.add("the network's policy decides")
    let own = networks[network].program
    networks[network].program = program
    defer { networks[network].program = own }
    policyBurst.frames[0] = frame
    decideByProgram(1, network: network, now: now, trace: trace)
    let verdict = policyBurst.verdicts[0]
    var explanation: FrameExplanation
    if case .drop(let reason) = verdict {
      explanation = FrameExplanation(outcome: .dropped(reason))
      trace.add("dropped: \(reason.name)")
    } else if isRouted(frame, by: networks[network].routedMAC) {
      explanation = explainRouting(frame, network: network, trace)
    } else {
      explanation = explainVerdict(verdict, frame, network: network, trace)
    }
    for index in 0..<Int(policyBurst.counts.pointee.mirrors)
    where Int(ports[Int(policyBurst.mirrors[index].port)].network) == network {
      let port = policyBurst.mirrors[index].port
      trace.add("mirrored to port \(trace.name(port))")
      explanation.copies.append(.init(port: port, tagging: .unchanged, isMirror: true))
    }
    return explanation
  }

  private mutating func explainVerdict(
    _ verdict: Verdict, _ frame: FrameDescriptor, network: Int, _ trace: FrameTrace
  ) -> FrameExplanation {
    var explanation = FrameExplanation(outcome: .sent)
    var obstacle = DropReason.noOtherPort
    func add(_ port: UInt16, _ tagging: Tagging = .unchanged) {
      explanation.copies.append(.init(port: port, tagging: tagging, isMirror: false))
    }
    switch verdict {
    case .drop(let reason): obstacle = reason
    case .forward(let port):
      trace.add("forwarded to port \(trace.name(port))")
      if let reason = reasonAgainst(frame.port, port, network: network) { obstacle = reason } else { add(port) }
    case .flood, .floodSeparated:
      if isAnswered(frame, network: network) {
        trace.add("a question for a neighbour that is known: answered here, and not flooded")
        return FrameExplanation(outcome: .answered)
      }
      trace.add("flooded to all other ports")
      for port in otherMembers(frame.port, network: network, beyond: ports[Int(frame.port)].separation) { add(port) }
    case .floodBeside(let beside):
      trace.add("flooded to all other ports but \(trace.name(beside))")
      for port in otherMembers(frame.port, network: network, beyond: []) where port != beside { add(port) }
    case .targets(let first, let count):
      trace.add("sent to \(count) ports that the policy chose")
      for index in Int(first)..<min(Int(first) + Int(count), Int(policyBurst.targetCount)) {
        let target = policyBurst.targets[index]
        if let reason = reasonAgainst(frame.port, target.port, network: network) {
          trace.add("not to port \(trace.name(target.port)): \(reason.name)")
          obstacle = reason
        } else {
          add(target.port, target.tagging)
        }
      }
    }
    guard explanation.copies.isEmpty else { return explanation }
    trace.add("dropped: \(obstacle.name)")
    return FrameExplanation(outcome: .dropped(obstacle))
  }

  private func otherMembers(_ port: UInt16, network: Int, beyond separation: Separation) -> [UInt16] {
    (0..<networks[network].memberCount).map { networks[network].members[$0] }.filter {
      $0 != port && separation.isDisjoint(with: ports[Int($0)].separation)
    }
  }

  /// Asks of a copy, for an answer takes the question's place.
  private func isAnswered(_ frame: FrameDescriptor, network: Int) -> Bool {
    guard networks[network].knowsNeighbours else { return false }
    let length = Int(frame.length)
    let copy = UnsafeMutableRawPointer.allocate(byteCount: length + NeighbourAnswers.growthMax, alignment: 16)
    defer { copy.deallocate() }
    copy.copyMemory(from: frame.start, byteCount: length)
    var question = frame
    question.start = copy
    let isFromElsewhere = ports[Int(frame.port)].separation.contains(.remote)
    if case .answered = answers.answer(question, network: UInt32(network), isFromElsewhere: isFromElsewhere) {
      return true
    }
    return false
  }

  private mutating func explainRouting(
    _ frame: FrameDescriptor, network: Int, _ trace: FrameTrace
  ) -> FrameExplanation {
    trace.add("an IP packet to the gateway's MAC address: the router's")
    if let router {
      router.pointee.explain(frame, trace)
    } else {
      trace.add("the router is another worker's: this worker hands it over")
    }
    return FrameExplanation(outcome: .routed)
  }
}

extension Router {
  /// Says what is known of a packet from a network, and changes nothing.
  func explain(_ frame: FrameDescriptor, _ trace: FrameTrace) {
    guard let passage = Passage(frame, now: 0) else {
      return trace.add("its packet is not whole, or contradicts itself: dropped as malformed")
    }
    let packet = passage.packet
    let destination = IPAddress(mapped: packet.destination)
    if passage.hasPorts {
      let index = sessions.find(inside: passage.key(fromInside: true))
      if index != 0 {
        let session = sessions[index].pointee
        let (inside, external) = (IPAddress(mapped: session.inside), IPAddress(mapped: session.external))
        return trace.add(
          session.inside == session.external && session.insidePort == session.externalPort
            ? "it belongs to a session from \(inside) port \(session.insidePort), which is not translated"
            : "it belongs to a session: \(inside) port \(session.insidePort) is \(external) port \(session.externalPort) outside"
        )
      }
      trace.add("it belongs to no session")
    }
    if slot(of: packet.destination) != nil { return trace.add("\(destination) is an external address of this host") }
    for index in 0..<gatewaysInUse
    where gateways[index].isRouted && gateways[index].holds(packet.destination, isIPv6: packet.isIPv6) {
      return trace.add(
        packet.destination == gateways[index].address(isIPv6: packet.isIPv6)
          ? "\(destination) is a gateway's address: the host's"
          : "\(destination) is in a network of this switch, which others are not let into")
    }
    guard uplink.port != Engine.none, let route = routes.lookup(packet.destination) else {
      return trace.add("no route leads to \(destination) by the uplink")
    }
    switch route.kind {
    case .host: trace.add("the host has another way to \(destination): it gets the packet")
    case .unreachable: trace.add("\(destination) is unreachable by the host's routes")
    case .uplink:
      let hop = route.gateway == 0 ? destination : IPAddress(mapped: route.gateway)
      let isKnown = neighbours.find(route.gateway == 0 ? packet.destination : route.gateway) != 0
      trace.add(
        "a new session would begin, out by the uplink to \(hop)" + (isKnown ? "" : ", which is to be resolved first"))
    }
  }
}
