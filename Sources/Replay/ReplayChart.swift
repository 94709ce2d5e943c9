/// A report as a picture (SVG 1.1) that needs nothing beside itself: what became of the frames over time under each policy, and how many
/// frames each port got.
public enum ReplayChart {
  private static let width = 960
  private static let left = 80
  private static let plotWidth = 840
  private static let panelHeight = 150
  /// From one panel's top to the next one's.
  private static let panelPitch = 220
  private static let headHeight = 90
  /// Ports that have bars of their own; the others share one.
  private static let portsMax = 32
  private static let verdicts = [("forwarded", "#2f7f93"), ("flooded", "#e3a72f"), ("dropped", "#b8403a")]
  private static let policyColours = ["#3d4a66", "#9db4dd"]

  public static func svg(_ report: ReplayReport) -> String {
    let panels = report.policies.count + 1
    var drawing = Drawing(width: width, height: headHeight + panels * panelPitch)
    let seconds = Seconds.text(report.source.duration)
    drawing.text("\(report.source.name): \(report.frames) frames in \(seconds) s", x: 20, y: 28, size: 18)
    legend(verdicts, &drawing, y: 50)
    let binMax = report.policies.flatMap(\.timeline).map { $0.reduce(0, +) }.max() ?? 0
    for (index, policy) in report.policies.enumerated() {
      let top = headHeight + index * panelPitch
      let letter = report.policies.count > 1 ? ["A: ", "B: "][index] : ""
      let sums = "\(policy.forwarded) forwarded, \(policy.flooded) flooded, \(policy.dropped) dropped"
      drawing.text("\(letter)\(policy.name): \(sums)", x: left, y: top - 8, size: 14)
      frame(&drawing, top, highest: binMax, unit: "frames")
      drawing.text("0 s", x: left, y: top + panelHeight + 16)
      drawing.text("\(seconds) s", x: left + plotWidth, y: top + panelHeight + 16, anchor: "end")
      for (bin, counts) in policy.timeline.enumerated() {
        column(counts, bin, top, binMax, &drawing)
      }
    }
    ports(report, &drawing, top: headHeight + report.policies.count * panelPitch)
    return drawing.finished
  }

  private static func legend(_ entries: [(String, String)], _ drawing: inout Drawing, y: Int) {
    for (index, entry) in entries.enumerated() {
      drawing.rectangle(x: (left + index * 160) * 10, y: (y - 10) * 10, width: 120, height: 120, entry.1)
      drawing.text(entry.0, x: left + index * 160 + 18, y: y)
    }
  }

  private static func frame(_ drawing: inout Drawing, _ top: Int, highest: UInt64, unit: String) {
    for (share, value) in [(0, highest), (1, highest / 2), (2, 0)] as [(Int, UInt64)] {
      let y = top + panelHeight * share / 2
      drawing.line(x: left, y: y, to: left + plotWidth)
      if share != 1 || highest > 1 { drawing.text("\(value)", x: left - 6, y: y + 4, anchor: "end") }
    }
    drawing.text(unit, x: left - 6, y: top + 18, anchor: "end")
  }

  /// Heights in tenths of a pixel.
  private static func height(_ value: UInt64, _ highest: UInt64) -> Int {
    highest == 0 ? 0 : Int(value.multipliedFullWidth(by: UInt64(panelHeight * 10)).low / highest)
  }

  private static func column(_ counts: [UInt64], _ bin: Int, _ top: Int, _ highest: UInt64, _ drawing: inout Drawing) {
    let binWidth = plotWidth * 10 / Replay.binCount
    var below: UInt64 = 0
    for (count, verdict) in zip(counts, verdicts) where count > 0 {
      let (low, high) = (height(below, highest), height(below + count, highest))
      drawing.rectangle(
        x: left * 10 + bin * binWidth, y: (top + panelHeight) * 10 - high, width: binWidth, height: high - low,
        verdict.1,
        title: "\(count) \(verdict.0)")
      below += count
    }
  }

  private static func ports(_ report: ReplayReport, _ drawing: inout Drawing, top: Int) {
    let names = report.policies[0].ports.map(\.name)
    var bars = names.indices.prefix(portsMax).map { port in
      (name: names[port], values: report.policies.map { $0.ports[port].txFrames })
    }
    if names.count > portsMax {
      bars.append(
        ("others", report.policies.map { $0.ports.dropFirst(portsMax).reduce(0) { $0 + $1.txFrames } }))
    }
    let highest = bars.flatMap(\.values).max() ?? 0
    drawing.text("what each port got", x: left, y: top - 8, size: 14)
    if report.policies.count > 1 {
      let titles = zip(["A: ", "B: "], report.policies).map { $0 + $1.name }
      legend(Array(zip(titles, policyColours)), &drawing, y: top + panelHeight + 48)
    }
    frame(&drawing, top, highest: highest, unit: "frames")
    let pitch = plotWidth * 10 / bars.count
    let barWidth = min(400, pitch * 8 / 10 / report.policies.count)
    for (index, bar) in bars.enumerated() {
      let centre = left * 10 + index * pitch + pitch / 2
      for (policy, value) in bar.values.enumerated() {
        let tall = height(value, highest)
        drawing.rectangle(
          x: centre - barWidth * bar.values.count / 2 + policy * barWidth, y: (top + panelHeight) * 10 - tall,
          width: barWidth, height: tall, policyColours[policy], title: "\(bar.name): \(value)")
      }
      let room = max(2, pitch / 70)
      let name = bar.name.count > room ? bar.name.prefix(room - 1) + "…" : bar.name[...]
      drawing.text(String(name), x: centre / 10, y: top + panelHeight + 16, anchor: "middle")
    }
  }
}

/// Seconds with six places.
public enum Seconds {
  public static func text(_ nanoseconds: UInt64) -> String {
    let micro = String(nanoseconds / 1000 % 1_000_000)
    return "\(nanoseconds / 1_000_000_000)." + String(repeating: "0", count: 6 - micro.count) + micro
  }
}

/// Elements of an SVG, one after the other.
private struct Drawing {
  private var elements: String

  init(width: Int, height: Int) {
    elements = """
      <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" viewBox="0 0 \(width) \(height)" \
      shape-rendering="crispEdges" font-family="sans-serif" font-size="12" fill="#222">
      <rect width="\(width)" height="\(height)" fill="#fff"/>

      """
  }

  var finished: String { elements + "</svg>\n" }

  /// All in tenths of a pixel.
  mutating func rectangle(x: Int, y: Int, width: Int, height: Int, _ fill: String, title: String = "") {
    let place = "x=\"\(tenths(x))\" y=\"\(tenths(y))\" width=\"\(tenths(width))\" height=\"\(tenths(height))\""
    elements += "<rect \(place) fill=\"\(fill)\""
    elements += title.isEmpty ? "/>\n" : "><title>\(escaped(title))</title></rect>\n"
  }

  mutating func text(_ text: String, x: Int, y: Int, size: Int = 12, anchor: String = "start") {
    elements += "<text x=\"\(x)\" y=\"\(y)\" font-size=\"\(size)\" text-anchor=\"\(anchor)\">\(escaped(text))</text>\n"
  }

  mutating func line(x: Int, y: Int, to end: Int) {
    elements += "<line x1=\"\(x)\" y1=\"\(y)\" x2=\"\(end)\" y2=\"\(y)\" stroke=\"#ccc\"/>\n"
  }

  private func tenths(_ value: Int) -> String { value % 10 == 0 ? "\(value / 10)" : "\(value / 10).\(value % 10)" }

  /// XML 1.0, 2.2 and 2.4: control characters have no place in it at all.
  private func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\0"..<" ", "\u{7F}"..<"\u{A0}", "\u{FFFE}", "\u{FFFF}": escaped += "\u{FFFD}"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
