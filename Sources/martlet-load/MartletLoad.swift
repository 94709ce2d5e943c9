import ArgumentParser

/// Generates and receives the traffic by which every switch is measured in the same way.
///
/// Figures are one JSON object on standard output; all else goes to standard error. Programs that wait for traffic
/// say `ready` there, end by themselves after `--seconds`, or on SIGTERM or SIGINT, and then still report.
@main
struct MartletLoad: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "martlet-load",
    abstract: "Generate traffic, and measure what arrives.",
    discussion: """
      Sizes are the bytes of payload in each datagram. Over IPv4 a frame is 42 bytes longer (Ethernet 14, IP 20, \
      UDP 8) and over IPv6 62 bytes, so --payload 18 makes the shortest Ethernet frame of 60 bytes.
      """,
    subcommands: [
      Flood.self, Sink.self, Echo.self, Latency.self, Connect.self, Sessions.self, Stream.self, StreamSink.self,
      VerifySend.self, VerifyReceive.self,
      MACLearn.self, MACProbe.self,
      MACCount.self,
    ])
}
