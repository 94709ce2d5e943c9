import ControlModel
import FoundationEssentials

/// A request's body, read as JSON.
public enum JSONBody {
  /// The body as `type`. A field of the wrong type or a missing one is refused by its name, bad syntax by its place; a field
  /// that is not known is passed over, so that newer clients can talk to older daemons.
  public static func decode<Body: Decodable>(_ type: Body.Type, from body: [UInt8]) throws(ControlError) -> Body {
    do {
      return try JSONDecoder().decode(type, from: Data(body))
    } catch let error as DecodingError {
      throw ControlError(.invalid, message(for: error, body: body))
    } catch let error as ControlError {
      throw error
    } catch {
      throw ControlError(.invalid, "the request's body: \(error)")
    }
  }

  private static func message(for error: DecodingError, body: [UInt8]) -> String {
    func field(_ path: [any CodingKey]) -> String {
      path.isEmpty
        ? "the request's body" : path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    }
    switch error {
    case .keyNotFound(let key, let context): return "\(field(context.codingPath + [key])) is missing"
    case .valueNotFound(let type, let context):
      return "\(field(context.codingPath)) cannot be null, \(name(type)) is needed"
    case .typeMismatch(let type, let context): return "\(field(context.codingPath)) must be \(name(type))"
    case .dataCorrupted:
      return "malformed JSON: \(JSONSyntax.fault(in: body) ?? "not valid UTF-8, or a number out of range")"
    @unknown default: return "the request's body: \(error)"
    }
  }

  private static func name(_ type: Any.Type) -> String {
    switch type {
    case is String.Type: "a string"
    case is Bool.Type: "true or false"
    case is Int.Type, is UInt64.Type: "a whole number"
    case is [Any].Type: "an array"
    default: "an object"
    }
  }
}
