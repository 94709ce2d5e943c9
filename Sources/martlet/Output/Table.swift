/// One column of a table.
struct Column<Row> {
  let title: String
  /// An id, which is shortened unless the user wants it whole.
  let isID: Bool
  let text: (Row) -> String

  init(_ title: String, isID: Bool = false, _ text: @escaping (Row) -> String) {
    (self.title, self.isID, self.text) = (title, isID, text)
  }
}

/// Aligned columns, laid out as `docker network ls` does.
struct Table {
  private static let cellWidthMin = 10
  private static let padding = 3

  var rows: [[String]]

  init(rows: [[String]]) { self.rows = rows }

  init<Row>(_ elements: [Row], _ columns: [Column<Row>], wholeIDs: Bool = false) {
    rows = [columns.map(\.title)]
    for element in elements {
      rows.append(columns.map { $0.isID && !wholeIDs ? shortened($0.text(element)) : $0.text(element) })
    }
  }

  /// Ends with a line break, unless there are no rows at all.
  var text: String {
    var widths: [Int] = []
    for row in rows {
      for (index, cell) in row.enumerated() {
        if index == widths.count { widths.append(Self.cellWidthMin) }
        widths[index] = max(widths[index], cell.count + Self.padding)
      }
    }
    return rows.map { row in
      let padded = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined()
      // Nothing stands behind the last cell, or behind the last that is not empty.
      return padded.prefix(padded.count - padded.reversed().prefix { $0 == " " }.count) + "\n"
    }.joined()
  }
}

/// As docker shortens ids.
func shortened(_ identifier: String) -> String { String(identifier.prefix(12)) }
