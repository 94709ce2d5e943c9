import ControlModel

/// What a plugin answers when it fails (CNI 1.1.0, "Errors").
public struct CNIError: Error, Equatable, Sendable {
  /// Up to 99 the specification's, from 100 on Martlet's. A delegated plugin's own may be any other.
  public struct Code: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    public static let incompatibleVersion = Code(rawValue: 1)
    /// The message names the field and its value.
    public static let unsupportedField = Code(rawValue: 2)
    /// Nothing is left that a DEL would have to take away.
    public static let unknownContainer = Code(rawValue: 3)
    /// The message names the variables.
    public static let invalidEnvironment = Code(rawValue: 4)
    public static let ioFailure = Code(rawValue: 5)
    public static let decodingFailure = Code(rawValue: 6)
    public static let invalidConfiguration = Code(rawValue: 7)
    /// libcni's own: the namespace is the plugin's.
    public static let invalidNamespace = Code(rawValue: 8)
    public static let tryAgainLater = Code(rawValue: 11)
    /// Of STATUS: no ADD can be served.
    public static let notAvailable = Code(rawValue: 50)
    /// Of STATUS: nor may containers that are there reach anything.
    public static let limitedConnectivity = Code(rawValue: 51)

    /// A name, address, port or interface is taken.
    public static let conflict = Code(rawValue: 100)
    /// A limit or a pool is used up.
    public static let exhausted = Code(rawValue: 101)
    /// The kernel refused, or a delegated plugin did without saying why.
    public static let system = Code(rawValue: 102)
    /// Of CHECK: something is not as ADD left it.
    public static let broken = Code(rawValue: 103)
  }

  public var code: Code
  public var message: String
  public var details: String?

  public init(_ code: Code, _ message: String, details: String? = nil) {
    (self.code, self.message, self.details) = (code, message, details)
  }

  public init(_ error: ControlError) {
    let code: Code =
      switch error.code {
      case .invalid, .tooLarge: .invalidConfiguration
      case .notFound: .unknownContainer
      case .conflict: .conflict
      case .exhausted: .exhausted
      case .unsupported: .unsupportedField
      case .system: .system
      case .unreachable: .tryAgainLater
      }
    self.init(code, error.message)
  }

  /// - Parameter version: of the caller.
  public func json(_ version: SpecVersion) -> JSONValue {
    var fields: [String: JSONValue] = [
      "cniVersion": .string(version.rawValue), "code": .integer(Int64(code.rawValue)), "msg": .string(message),
    ]
    fields["details"] = details.map { .string($0) }
    return .object(fields)
  }

  /// What a delegated plugin wrote when it failed; nil where it is no error of this shape.
  init?(output: [UInt8]) {
    guard case .object(let fields) = JSONValue(output), case .integer(let code) = fields["code"],
      case .string(let message) = fields["msg"]
    else { return nil }
    self.init(Code(rawValue: Int(code)), message)
    if case .string(let text) = fields["details"], !text.isEmpty { details = text }
  }
}

/// Gives what the control plane refuses its code.
func translated<Value>(_ body: () throws(ControlError) -> Value) throws(CNIError) -> Value {
  do throws(ControlError) { return try body() } catch { throw CNIError(error) }
}
