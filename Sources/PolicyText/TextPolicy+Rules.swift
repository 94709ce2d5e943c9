import Datapath
import Tables
import Wire

// What a rule does with a frame that meets it.
extension TextPolicy {
  /// - Returns: nil where the search goes on.
  func run(rule: Int, _ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict? {
    let record = tables.rules.records[rule]
    view.count(Int(record.hits))
    view.explain("line \(tables.draft.rules[rule].line) matches: \(tables.text(of: rule))")
    for index in 0..<Int(record.actionCount) {
      let action = tables.rules.actions[Int(record.firstAction) + index]
      switch action.kind {
      case .count: view.count(Int(action.index))
      case .meter:
        if !admits(Int(action.index), &view) { return end(action.exceeded, frame, &view) }
      case .mirror: mirror(Int(action.index), &view)
      case .rewrite:
        if let reason = rewrite(action, frame, &view) { return .drop(reason) }
      }
    }
    return end(record.ending, frame, &view)
  }

  private func admits(_ meter: Int, _ view: inout NetworkView) -> Bool {
    let meters = meters.meters
    let isAdmitted =
      view.isDryRun
      ? meters[meter].hasRoom(now: view.nanoseconds)
      : meters[meter].admits(bytes: view.frameLength, now: view.nanoseconds)
    view.explain("meter \(tables.draft.meters[meter].name) \(isAdmitted ? "lets it pass" : "is exceeded")")
    return isAdmitted
  }

  private func mirror(_ name: Int, _ view: inout NetworkView) {
    let port = port(name)
    guard port != Engine.none else {
      return view.explain("not mirrored: no port of the network is called \(tables.draft.ports[name])")
    }
    view.explain("mirrored to \(tables.draft.ports[name])")
    view.mirror(to: port)
  }

  /// What the name means now; `Engine.none`: nothing.
  private func port(_ name: Int) -> UInt16 { worker?.ports[name] ?? Engine.none }

  // MARK: Endings

  /// nil for `next`.
  func end(_ ending: EndingRecord, _ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict? {
    switch ending.kind {
    case .next: return nil
    case .drop: return .drop(.policy)
    case .flood:
      view.learn(frame.source, at: frame.port)
      return .flood
    case .learn: return switchByAddress(frame, &view)
    case .forward: return forward(ending, frame, &view)
    }
  }

  /// As `LearningSwitch`, by the destination that the frame has now: a rule may have changed it.
  private func switchByAddress(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    view.learn(frame.source, at: frame.port)
    let first = UInt64(bigEndian: frame.bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self))
    let destination = MACAddress(bits: first >> 16)
    if destination.isGroup { return .flood }
    let port = view.lookup(destination)
    if port == MACTable.noPort { return .flood }
    return port == frame.port ? .drop(.samePort) : .forward(port)
  }

  private func forward(_ ending: EndingRecord, _ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    let names = tables.rules.ports + Int(ending.firstPort)
    let count = Int(ending.portCount)
    if count == 1 && ending.tag == 0 {
      let port = port(Int(names[0]))
      if port == Engine.none { return noSuchPort(Int(names[0]), view) }
      if port == frame.port { return .drop(.samePort) }
      view.learn(frame.source, at: frame.port)
      return .forward(port)
    }
    let tagging = tagging(ending.tag, frame)
    let first = view.targetCount
    var reason = DropReason.samePort
    for index in 0..<count {
      let port = port(Int(names[index]))
      if port == Engine.none {
        _ = noSuchPort(Int(names[index]), view)
        reason = .noSuchPort
      } else if port != frame.port, !(0..<index).contains(where: { self.port(Int(names[$0])) == port }) {
        view.add(PolicyTarget(port, tagging))
      }
    }
    if view.targetCount == first { return .drop(reason) }
    view.learn(frame.source, at: frame.port)
    return view.targets(since: first)
  }

  private func noSuchPort(_ name: Int, _ view: borrowing NetworkView) -> Verdict {
    view.explain("no port of the network is called \(tables.draft.ports[name])")
    return .drop(.noSuchPort)
  }

  /// A new identifier keeps the tag's priority, and its kind.
  private func tagging(_ tag: UInt16, _ frame: borrowing Frame) -> Tagging {
    if tag == 0 { return .unchanged }
    if tag == EndingRecord.noTag { return .removed }
    guard let ethernet = EthernetView(frame.bytes), let old = EthernetPayload(ethernet)?.outerTag else {
      return .set(VLANTag(type: .vlan, control: tag))
    }
    return .set(VLANTag(type: old.type, control: old.control & 0xF000 | tag))
  }

  // MARK: Rewriting

  /// A frame without the field stays as it is; one that has it, and in which it cannot be changed, must not leave as if nothing
  /// were to be changed.
  /// - Returns: why the frame is to be dropped; nil: it is not.
  private func rewrite(
    _ action: ActionRecord, _ frame: borrowing Frame, _ view: inout NetworkView
  ) -> DropReason? {
    let rewrite = tables.rules.rewrites[Int(action.index)]
    switch rewrite {
    case .sourcePort, .destinationPort:
      // TCP's and UDP's ports are one to `rewrite`.
      guard Self.has(action.field, rewrite, frame) else { return absent(action.field, view) }
    default: break
    }
    if view.rewrite(rewrite) {
      view.explain(rewrite == .decrementTimeToLive ? "ip.ttl is one less" : "\(action.field.rawValue) is changed")
      return nil
    }
    guard Self.has(action.field, rewrite, frame) else { return absent(action.field, view) }
    if rewrite == .decrementTimeToLive, case .narrow(0...1) = FlowKey(frame, isDeep: true).value(of: .ipTTL) {
      return .timeToLiveExceeded
    }
    view.explain("\(action.field.rawValue) cannot be changed: the packet is not what its headers claim")
    return .malformedPacket
  }

  private func absent(_ field: Field, _ view: borrowing NetworkView) -> DropReason? {
    view.explain("\(field.rawValue) is not changed: the frame has none")
    return nil
  }

  private static func has(_ field: Field, _ rewrite: FieldRewrite, _ frame: borrowing Frame) -> Bool {
    switch (rewrite, FlowKey(frame, isDeep: true).value(of: field)) {
    case (_, .absent): false
    case (.sourceAddress(let address), .wide), (.destinationAddress(let address), .wide): address >> 32 != 0xFFFF
    case (.sourceAddress(let address), .narrow), (.destinationAddress(let address), .narrow): address >> 32 == 0xFFFF
    default: true
    }
  }
}
