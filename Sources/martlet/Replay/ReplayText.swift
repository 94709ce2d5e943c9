import Replay

extension ReplayReport {
  /// MAC entries shown; the report as JSON has all.
  private static let entriesMax = 20

  /// Told apart where both are of one name, with different parameters say.
  private var titles: [String] {
    policies.count > 1 ? zip(["A", "B"], policies).map { "\($0) \($1.name)" } : policies.map(\.name)
  }

  /// For people.
  var text: String {
    var sections = [head, Table(rows: totalRows).text, Table(rows: portRows).text]
    for (title, policy) in zip(titles, policies) { sections.append(table(of: policy, title)) }
    if let differences { sections.append(text(of: differences)) }
    return sections.joined(separator: "\n")
  }

  private var head: String {
    var text = "\(source.isModel ? "model" : "capture") \(source.name): \(frames) frames, \(bytes) bytes in "
    text += "\(Seconds.text(source.duration)) s\n"
    if source.cut > 0 { text += "frames of which only the begin is there: \(source.cut)\n" }
    if source.disordered > 0 { text += "frames behind later ones, replayed at their time: \(source.disordered)\n" }
    if source.outbound > 0 { text += "frames that went out at their interface, passed over: \(source.outbound)\n" }
    return text
  }

  private var totalRows: [[String]] {
    func row(_ title: String, _ value: (PolicyReport) -> UInt64?) -> [String] {
      [title] + policies.map { value($0).map { "\($0)" } ?? "-" }
    }
    var rows = [
      ["FRAMES"] + titles.map { $0.uppercased() }, row("forwarded") { $0.forwarded },
      row("flooded") { $0.flooded },
      row("dropped") { $0.dropped },
    ]
    for reason in Set(policies.flatMap(\.reasons.keys)).sorted() {
      rows.append(row("  " + reason) { $0.reasons[reason] ?? 0 })
    }
    rows.append(row("copies that left") { $0.copies })
    rows.append(row("addresses learned") { UInt64($0.macTable.count) })
    var names: [String] = []
    for name in policies.flatMap(\.counters).map(\.name) where !names.contains(name) { names.append(name) }
    for name in names { rows.append(row(name) { $0.counters.first { $0.name == name }?.value }) }
    return rows
  }

  private var portRows: [[String]] {
    var rows = [["PORT", "IN", "BYTES"] + titles.flatMap { ["OUT " + $0.uppercased(), "BYTES"] }]
    for (index, port) in policies[0].ports.enumerated() {
      let out = policies.map { $0.ports[index] }.flatMap { ["\($0.txFrames)", "\($0.txBytes)"] }
      rows.append([port.name, "\(port.rxFrames)", "\(port.rxBytes)"] + out)
    }
    return rows
  }

  private func table(of policy: PolicyReport, _ title: String) -> String {
    if policy.macTable.isEmpty { return "\(title) has learned no addresses\n" }
    var rows = [["MAC", "PORT", "AGE"]]
    for entry in policy.macTable.prefix(Self.entriesMax) {
      rows.append([entry.mac, entry.port, entry.isStatic ? "static" : "\(entry.age) s"])
    }
    let more = policy.macTable.count - Self.entriesMax
    return "\(title) has learned\n" + Table(rows: rows).text + (more > 0 ? "and \(more) more\n" : "")
  }

  private func text(of differences: DifferenceReport) -> String {
    if differences.count == 0 { return "no frame was treated differently\n" }
    var text = "\(differences.count) of \(frames) frames were treated differently"
    text += differences.first.isEmpty ? "\n" : "; the first \(differences.first.count):\n"
    for difference in differences.first {
      let sign = difference.time < 0 ? "-" : ""
      text += "#\(difference.number) \(sign)\(Seconds.text(difference.time.magnitude)) s, in at \(difference.port): "
      text += difference.frame + "\n"
      for (title, treatment) in zip(titles, difference.treatments) { text += "    \(title): \(treatment)\n" }
    }
    return text
  }
}
