import ArgumentParser

/// What both ends of a verification must agree on.
struct VerificationOptions: ParsableArguments {
  private static let longestRange = VerificationDatagram.headerBytes...65_507
  /// The receiver keeps one byte for each.
  private static let countLimit: UInt64 = 1 << 26

  @Option(help: "Datagrams in all.") var count: UInt64 = 100_000
  @Option(help: "Names the run; contents follow from it.") var seed: UInt64 = 1
  @Option(help: "Longest payload in bytes; sizes are random below it.") var longest = 1400

  var datagram: VerificationDatagram { VerificationDatagram(seed: seed, longestBytes: longest) }

  func validate() throws {
    guard (1...Self.countLimit).contains(count) else {
      throw ValidationError("--count must be 1 to \(Self.countLimit)")
    }
    guard Self.longestRange.contains(longest) else {
      throw ValidationError("--longest must be \(Self.longestRange.lowerBound) to \(Self.longestRange.upperBound)")
    }
  }
}
