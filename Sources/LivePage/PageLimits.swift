/// What an answer holds at most, so that a host with thousands of endpoints does not make one of megabytes each second. Where
/// more is there, the answer says how much.
enum PageLimits {
  static let networksMax = 64
  static let portsPerNetworkMax = 256
  /// Of all networks together.
  static let portsMax = 1024
  static let addressesPerPortMax = 4
  static let macEntriesMax = 256
  static let sessionsMax = 256
  /// Networks whose tables are kept for those who look at them.
  static let tablesMax = 16

  /// How long a state or table is shown again, instead of asking once more: just under the second after which a page asks.
  static let lifetime = Duration.milliseconds(900)
  /// What changes rarely and costs more: names, addresses and states.
  static let topologyLifetime = Duration.seconds(5)
  /// What took long is kept for so many times as long: whoever looks costs the control plane one twentieth of its time.
  static let costFactor = 20

  static let connectionsMax = 32
}
