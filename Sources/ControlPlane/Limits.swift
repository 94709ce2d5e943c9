import Datapath
import LinuxIO
import Tables

/// What the control plane refuses to go beyond. A limit is an answer a user can read, instead of a machine that ran out.
public enum Limits {
  public static let networks = 4096
  public static let sandboxes = 16_384
  public static let endpointsPerNetwork = 4096
  /// Interfaces of the daemon's namespace on networks. Each is looked at every two seconds.
  public static let interfacePorts = 1024

  /// Of all other hosts of the cluster.
  static let remoteEndpointsPerNetwork = 65_536

  /// Bytes of a network's or sandbox's name. Below NAME_MAX, as a sandbox's name becomes a file below /run/netns.
  public static let nameLength = 128
  /// How long an engine may take to move an endpoint's interface to its sandbox. Docker does it when the container's process starts.
  static let arrival = Duration.seconds(120)
  /// IFNAMSIZ of linux/if.h less the zero at the end.
  public static let interfaceNameLength = 15
  /// A prefix with room for four digits.
  public static let interfacePrefixLength = 11
  /// A name of the DNS (RFC 1035, 2.3.4).
  public static let aliasLength = 253
  /// PATH_MAX of linux/limits.h less the zero at the end.
  public static let pathLength = 4095
  public static let aliases = 32

  /// Of all networks together.
  public static let mirrors = Engine.mirrorsMax

  public static let labels = 128
  /// Of a frame that is asked about: what the switch's buffers take.
  public static let tracedFrameBytes = Switch.tracedFrameMax
  public static let policyParameters = 1024
  /// Of one, key and value.
  public static let policyParameterBytes = 4096
  /// Counters of a network's policy that metrics show: each is a series.
  static let measuredPolicyCounters = 64
  /// Beside the default route.
  public static let routesPerEndpoint = 64
  public static let labelKeyLength = 256
  public static let labelValueLength = 4096
  public static let options = 32
  public static let auxiliaryAddresses = 256

  /// The least that IPv4 asks of a link (RFC 791) and the largest jumbo frame the switch takes.
  public static let mtu = 68...9000
  /// The least that IPv6 asks of a link (RFC 8200, 5).
  public static let ipv6MTUMinimum = 1280
  public static let defaultMTU = 1500

  /// Bits a second of an endpoint.
  public static let rate = RateLimit.rateRange

  public static let ageingSeconds = 1...1_000_000
  /// As a kernel bridge's.
  public static let defaultAgeingSeconds = 300
  public static let fdbEntries = 1...1_000_000
  public static let defaultFDBLimit = 8192

  /// Shorter prefixes are no broadcast domain, and name half of the Internet by mistake.
  public static let ipv4PrefixMinimum = 8
  public static let ipv6PrefixMinimum = 32

  /// Of VXLAN (RFC 7348, 5).
  public static let vni = 0...0xFF_FFFF
  /// Of those that nobody asked for. Below are the numbers that people give.
  static let firstChosenVNI = 4096
  /// IANA's for VXLAN (RFC 7348, 5).
  public static let defaultOverlayPort = 4789
  public static let overlayPorts = 1...65_535
  public static let timeToLive = 1...255
  /// As the kernel's net.ipv4.ip_default_ttl.
  public static let defaultTimeToLive = 64
  public static let trafficClass = 0...255
  public static let peersPerNetwork = 1024

  /// Slots of the uplink's filter.
  public static let externalAddresses = 16
  /// Fewer ports than this are too few to translate with, so they must be asked for.
  public static let outboundPortsMinimum = 1024
  public static let outboundPortRanges = 16
  /// Ranges, or single ports, of all endpoints together. Ports of a range do not count.
  public static let publications = 65_536
  /// Ports of a published range that the name server knows as services.
  public static let servicesPerPublication = 64
  /// How many ports are tried where the host's is to be chosen and programs of the host have taken some.
  public static let chosenPortAttempts = 256
  public static let services = 512
  public static let serviceMembers = MaglevTable.memberCountMax
  public static let servicePublications = 64
  /// Routes of the host that the data plane is told of.
  public static let routes = 65_536
  /// Next hops whose changes are followed.
  public static let nextHops = 4096
  /// Sessions in one answer.
  public static let sessionsShown = 100_000
  /// Seconds. The least for UDP is RFC 4787's (4.3).
  public static let sessionTimeout = 1...604_800
  public static let udpTimeoutMinimum = 120

  /// Digits of an id that name it as long as they name no other.
  public static let idPrefixMinimum = 4
}
