import Testing

@testable import ControlPlane

@Suite struct NameTests {
  @Test(arguments: ["web", "a", "Web_1.example-2", "0", String(repeating: "a", count: 128)])
  func takesNames(name: String) throws { try Name.check(name, of: "network") }

  @Test(arguments: [
    "", "-web", ".", "..", "_a", "a b", "a/b", "a\nb", "ä", "a\0", String(repeating: "a", count: 129),
    // The form of an id.
    String(repeating: "0123456789abcdef", count: 4),
  ])
  func refusesNames(name: String) {
    #expect(refusal { try Name.check(name, of: "network") }?.code == .invalid)
  }

  @Test(arguments: ["eth0", "a", "fifteen-bytes-x"]) func takesInterfaces(name: String) throws {
    try Name.checkInterface(name)
  }

  @Test(arguments: [
    "", ".", "..", "lo", "all", "default", "a/b", "a b", "a:1", "eth%d", "sixteen-bytes-xx", "a\n", "é",
  ])
  func refusesInterfaces(name: String) {
    #expect(refusal { try Name.checkInterface(name) }?.code == .invalid)
  }

  @Test func quotesOnOneLine() {
    #expect("a\nb".quoted == "\"a\\u{a}b\"")
    #expect(String(repeating: "x", count: 1000).quoted.utf8.count < 100)
  }

  @Test func idsAreSixtyFourDigits() {
    let (one, other) = (Identifier.random(), Identifier.random())
    #expect(Identifier.isWellFormed(one) && Identifier.isWellFormed(other) && one != other)
    #expect(!Identifier.isWellFormed(String(one.dropLast())) && !Identifier.isWellFormed(one.uppercased() + "G"))
  }
}
