import Datapath
import Wire

// What `martlet trace` shows of the search for rules.
extension TextPolicy {
  /// Answers of sets that are said.
  private static let setUsesMax = 32

  /// - Parameter key: masked.
  func explainSearch(_ key: FlowKey, _ view: borrowing NetworkView) {
    if let worker {
      view.explain("flow cache: this flow is \(worker.cache.find(key).isKnown ? "known" : "new")")
    } else {
      view.explain("flow cache: none yet")
    }
    for use in tables.draft.setUses.prefix(Self.setUsesMax) {
      guard let text = key.text(of: use.field) else { continue }
      let set = tables.draft.sets[use.set]
      let isIn = tables.setConditions[use]?.contains(key.value(of: use.field)) == true
      view.explain("\(use.field.rawValue) \(text) is \(isIn ? "in" : "not in") set \(set.name)")
    }
  }
}

extension FlowKey {
  /// nil where the field is not there.
  fileprivate func text(of field: Field) -> String? {
    switch (value(of: field), field.kind) {
    case (.absent, _): nil
    case (.wide(let bits), _): IPv6Address(bits: bits).description
    case (.narrow(let bits), .ip), (.narrow(let bits), .ipv4):
      IPv4Address(bits: UInt32(truncatingIfNeeded: bits)).description
    case (.narrow(let bits), .mac): MACAddress(bits: bits).description
    case (.narrow(let bits), _): String(bits)
    }
  }
}
