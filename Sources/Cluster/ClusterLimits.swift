/// What the cluster refuses to go beyond, and how often it tries.
public enum ClusterLimits {
  /// How long a host that is silent stays in the cluster.
  public static let leaseSeconds = 5
  public static let leaseSecondsRange = 2...300
  /// Keepalives in the time of a lease.
  static let keepalivesPerLease = 3

  /// Bytes of an id or a name that becomes part of a key.
  static let keyPartLength = 253
  /// Of one endpoint.
  static let addressesPerEndpoint = 64
  static let aliases = 256
  static let services = 1024

  /// Of one service, claimed in one transaction.
  public static let portsPerService = 100

  /// Keys that are read, and then changed, in one transaction; etcd takes 128 operations.
  static let keysPerTransaction = 32

  /// How often a claim that others were faster with is tried again with another address or number.
  static let claimAttempts = 64
  /// How often a claim is sent again whose answer was lost.
  static let lostAnswers = 3

  /// RFC 7348, 5: 24 bits.
  public static let vnis: ClosedRange<UInt32> = 0...0xFF_FFFF
  /// Of those that are chosen: the first are left to people, as with Docker.
  public static let chosenVNIs: ClosedRange<UInt32> = 4096...0xFF_FFFF

  /// Between two attempts to reach etcd.
  static let retryDelay = Duration.milliseconds(100)
  static let retryDelayMax = Duration.seconds(1)
}
