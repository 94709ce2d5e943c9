import ArgumentParser

/// How TCP behaves on the sockets of a measurement. New namespaces inherit the machine's default, and machines differ.
struct TransmissionControl: ParsableArguments {
  @Option(help: "TCP's congestion control, for example cubic.")
  var congestionControl: String?

  /// - Parameter socket: a listening socket, or one that has just been connected.
  func apply(to socket: borrowing Socket) throws {
    if let congestionControl { try socket.setCongestionControl(congestionControl) }
  }
}
