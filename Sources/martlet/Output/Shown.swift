import ArgumentParser
import ControlModel

/// What `ls` and `inspect` show.
protocol Shown: Encodable {
  var id: String { get }
  /// Fields that JSON leaves out where there is no value; templates take them all the same.
  static var optionalFields: [String] { get }
  /// An id is digits, of which a few will do, and no name.
  static var hasShortIDs: Bool { get }
  static var columns: [Column<Self>] { get }
  /// What `--filter KEY=VALUE` keeps.
  static var filters: [String: (Self, String) -> Bool] { get }
}

extension Shown {
  static var optionalFields: [String] { [] }
  static var hasShortIDs: Bool { true }

  fileprivate func templateValue(shortID: Bool) throws(ControlError) -> JSONValue {
    guard case .object(var fields) = try JSONValue(encoding: self) else { return .null }
    for field in Self.optionalFields where fields[field] == nil { fields[field] = .null }
    if shortID { fields["id"] = .string(shortened(id)) }
    return .object(fields)
  }
}

struct ShowOptions: ParsableArguments {
  @Option(
    help:
      "Print by a template: {{.Name}}, {{json .}}, {{range .Subnets}}{{.Subnet}}{{end}}; 'table ...' aligns at tabs.",
    transform: { try Template($0) })
  var format: Template?

  @Option(name: .shortAndLong, help: "Show only what matches KEY=VALUE.", transform: KeyValue.complete)
  var filter: [KeyValue] = []

  /// A filter that is not there would show what the user wants to be left out.
  func checkFilters<Element: Shown>(of type: Element.Type) throws {
    for key in filter.map(\.key) where Element.filters[key] == nil {
      throw ValidationError(
        "there is no filter '\(key)'; there are \(Element.filters.keys.sorted().joined(separator: ", "))")
    }
  }

  /// As docker has it: values of one key are alternatives, keys add up; labels add up among themselves too.
  func filtered<Element: Shown>(_ elements: [Element]) -> [Element] {
    let values = Dictionary(grouping: filter, by: \.key)
    return elements.filter { element in
      values.allSatisfy { key, pairs in
        let matches = pairs.map { Element.filters[key]?(element, $0.value) ?? false }
        return key == "label" ? !matches.contains(false) : matches.contains(true)
      }
    }
  }
}

struct ListOptions: ParsableArguments {
  @Flag(name: .shortAndLong, help: "Print ids only.")
  var quiet = false

  @Flag(help: "Do not shorten ids.")
  var noTrunc = false
}

extension Output {
  func list<Element: Shown>(_ all: [Element], _ show: ShowOptions, _ list: ListOptions) throws(ControlError) {
    let elements = show.filtered(all)
    let isShort = Element.hasShortIDs && !list.noTrunc
    let name = isShort ? shortened : { $0 }
    if json {
      if list.quiet { try value(elements.map(\.id)) } else { try value(elements) }
    } else if list.quiet {
      for element in elements { line(name(element.id)) }
    } else if let format = show.format {
      try render(elements, format, shortID: isShort)
    } else {
      write(Table(elements, Element.columns, wholeIDs: list.noTrunc).text)
    }
  }

  /// An array of those that were found, as docker's `inspect` prints it; an error for each of the others.
  func inspect<Element: Shown>(
    _ names: [String], _ show: ShowOptions, _ find: (String) throws(ControlError) -> Element
  ) throws {
    var found: [Element] = []
    let (_, failed) = attempt(names) { name throws(ControlError) in found.append(try find(name)) }
    let elements = show.filtered(found)
    if json {
      try value(elements)
    } else if let format = show.format {
      try render(elements, format, shortID: false)
    } else {
      line(try JSONValue(encoding: elements).pretty())
    }
    if failed { throw ExitCode.failure }
  }

  private func render<Element: Shown>(_ elements: [Element], _ format: Template, shortID: Bool) throws(ControlError) {
    var lines: [String] = []
    for element in elements { lines.append(try format.render(element.templateValue(shortID: shortID))) }
    guard format.isTable else { return lines.forEach(line) }
    let rows = ([format.header] + lines).map {
      $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    }
    write(Table(rows: rows).text)
  }
}
