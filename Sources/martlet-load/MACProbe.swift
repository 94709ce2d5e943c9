import ArgumentParser

/// The test port of RFC 2889 section 5.7.
struct MACProbe: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mac-probe", abstract: "Send one frame to each of the addresses that mac-learn sends from.",
    discussion: """
      A switch floods those whose address it has not learned, or has no longer: mac-count at a third port tells how many.
      """)

  @OptionGroup var sender: StationSender

  func run() throws { try sender.send(.probe) }
}
