import FoundationEssentials
import Glibc

/// Prints figures on standard output.
func report(_ figures: some Encodable) throws { print(try json(figures)) }

/// One line, names in snake_case and in alphabetical order.
func json(_ figures: some Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  encoder.outputFormatting = .sortedKeys
  return String(decoding: try encoder.encode(figures), as: UTF8.self)
}

/// Tells whoever started us that what is sent from now on is received. On standard error: standard output has figures only.
func reportReady() {
  let line = "ready\n"
  // Who does not listen is not kept from measuring.
  _ = write(STDERR_FILENO, line, line.utf8.count)
}
