/// Versions of the Container Network Interface that are spoken.
public enum SpecVersion: String, CaseIterable, Comparable, Sendable {
  case v030 = "0.3.0"
  case v031 = "0.3.1"
  case v040 = "0.4.0"
  case v100 = "1.0.0"
  case v110 = "1.1.0"

  public static let newest = SpecVersion.v110

  public static func < (one: SpecVersion, other: SpecVersion) -> Bool {
    // Those there are sort as text.
    one.rawValue < other.rawValue
  }

  /// Addresses of a result say their family (until 0.4.0).
  var namesFamily: Bool { self < .v100 }
  /// Interfaces of a result have an MTU.
  var hasInterfaceMTU: Bool { self >= .v110 }
}
