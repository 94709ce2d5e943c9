import Datapath

/// What a policy's text may ask for.
public enum PolicyLimits {
  public static let sourceBytesMax = 16 << 20
  /// Rules and named counters together: each rule has a counter for its hits.
  public static let countersMax = PolicyProgram.counterCountMax
  public static let setCountMax = 4096
  /// Of one set.
  public static let setElementCountMax = 65_536
  public static let meterCountMax = 1024
  /// Values that a rule gives for one field.
  public static let valueCountMax = 1024
  /// Of a rule, beside what ends it.
  public static let actionCountMax = 32
  /// Ports that one action names.
  public static let portCountMax = 256
  /// Masks of MAC addresses that are no prefixes: each costs a look-up of its own.
  public static let maskCountMax = 16
  /// Of a policy, set, meter or counter; bytes.
  public static let nameLengthMax = 64
  /// Of a port; bytes.
  public static let portNameLengthMax = 255
  /// The rest is not looked for.
  public static let diagnosticCountMax = 100
  /// Of the compiled rules' tables.
  public static let tableBytesMax = 512 << 20
  /// Flows that each worker remembers, of IPv4 and of what has no addresses; of those with MAC or IPv6 addresses there are half as many.
  public static let flowCountMax = 8192
}
