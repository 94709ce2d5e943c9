import ArgumentParser

/// The learning port of RFC 2889 section 5.7.
struct MACLearn: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mac-learn",
    abstract: "Send one frame from each of many MAC addresses, for a switch to learn.",
    discussion: """
      All go to the address that mac-probe sends from, as RFC 2889 section 5.7 has it. Let `mac-probe --addresses 1` run \
      before: then the switch knows where that is, and does not flood.
      """)

  @OptionGroup var sender: StationSender

  func run() throws { try sender.send(.learning) }
}
