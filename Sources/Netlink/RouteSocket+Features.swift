import CLibmnl
import CLinux
import SystemCalls

/// What a device does to frames that it sends, and that nobody need do before (ethtool -k).
public struct LinkFeatures: OptionSet, Hashable, Sendable {
  public let rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Cuts TCP over IPv4 into segments (tx-tcp-segmentation).
  public static let tcp4Segmentation = LinkFeatures(rawValue: Int32(MARTLET_FEATURE_TSO4))
  /// The same over IPv6 (tx-tcp6-segmentation).
  public static let tcp6Segmentation = LinkFeatures(rawValue: Int32(MARTLET_FEATURE_TSO6))
  /// Knows that CWR belongs into the first segment only (tx-tcp-ecn-segmentation).
  public static let tcpECNSegmentation = LinkFeatures(rawValue: Int32(MARTLET_FEATURE_TSO_ECN))
  /// Cuts UDP into datagrams (tx-udp-segmentation).
  public static let udpSegmentation = LinkFeatures(rawValue: Int32(MARTLET_FEATURE_USO))
}

extension RouteSocket {
  /// The features that are on now; ENODEV where there is no interface `name`.
  ///
  /// Asked by ioctl(2), which takes any socket of the namespace.
  public func features(ofLink name: String) throws(Errno) -> LinkFeatures {
    LinkFeatures(
      rawValue: try check(martlet_link_features(descriptor, name), "look up the features of link \(name)"))
  }
}
