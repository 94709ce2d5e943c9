/// The one error of the control plane: what went wrong, in a line a user can act on.
public struct ControlError: Error, Codable, Sendable, Equatable, CustomStringConvertible {
  public enum Code: String, Codable, Sendable {
    /// The request makes no sense as it stands (HTTP 400).
    case invalid
    /// Nothing of that name (404).
    case notFound = "not_found"
    /// The name, address or interface is taken, or the thing is in use (409).
    case conflict
    /// A limit or a pool is used up (507).
    case exhausted
    /// Not built, or not with this driver (501).
    case unsupported
    /// The kernel refused (500).
    case system
    /// The request's body is larger than the daemon takes (413).
    case tooLarge = "too_large"
    /// The daemon cannot be reached. Only the client makes this one.
    case unreachable
  }

  public var code: Code
  public var message: String

  public init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }

  public var description: String { message }
}

/// The body of every answer that is an error.
public struct ErrorBody: Codable, Sendable, Equatable {
  public var error: ControlError
  public init(error: ControlError) { self.error = error }
}

/// The answer to a request that made something.
public struct Created: Codable, Sendable, Equatable {
  public var id: String
  public init(id: String) { self.id = id }
}

/// `GET /v1/version`.
public struct Version: Codable, Sendable, Equatable {
  public var version: String
  public var apiVersion: String
  public init(version: String, apiVersion: String) { (self.version, self.apiVersion) = (version, apiVersion) }

  enum CodingKeys: String, CodingKey {
    case version
    case apiVersion = "api_version"
  }

  public static let current = Version(version: "0.1.0", apiVersion: "v1")
}

/// `POST /v1/shutdown`.
public struct ShutdownRequest: Codable, Sendable, Equatable {
  /// Takes every network, sandbox and endpoint away as well.
  public var purge: Bool
  public init(purge: Bool) { self.purge = purge }
}
