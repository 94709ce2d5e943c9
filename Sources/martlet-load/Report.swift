import FoundationEssentials

/// Prints figures as one line of JSON on standard output, names in snake_case and in alphabetical order.
func report(_ figures: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  encoder.outputFormatting = .sortedKeys
  print(String(decoding: try encoder.encode(figures), as: UTF8.self))
}
