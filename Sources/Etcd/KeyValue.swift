import FoundationEssentials

/// A lease of etcd's: keys that were put with it go when it ends.
public struct LeaseID: Hashable, Sendable {
  public let number: Int64
  public init(_ number: Int64) { self.number = number }
}

/// A key with its value, as it is at one revision.
public struct KeyValue: Sendable, Equatable {
  /// One that is not UTF-8 is shown with replacement characters.
  public var key: String
  public var value: Data
  /// Revisions of the store at which the key came, and was changed last.
  public var createRevision: Int64
  public var modRevision: Int64
  /// Changes since it came, from 1.
  public var version: Int64
  public var lease: LeaseID?

  public init(
    key: String, value: Data, createRevision: Int64, modRevision: Int64, version: Int64, lease: LeaseID? = nil
  ) {
    (self.key, self.value, self.lease) = (key, value, lease)
    (self.createRevision, self.modRevision, self.version) = (createRevision, modRevision, version)
  }
}

/// Which keys are meant: one, or all from one to before another.
public struct KeyRange: Sendable, Equatable {
  var start: Data
  /// nil: the one key.
  var end: Data?

  public static func key(_ key: String) -> KeyRange { KeyRange(start: Data(key.utf8), end: nil) }

  /// All keys that begin so; not empty.
  public static func prefix(_ prefix: String) -> KeyRange {
    // The next bytes of this length. UTF-8 has no 0xFF, so adding 1 to the last one never carries.
    var end = Data(prefix.utf8)
    end.append(end.popLast().map { $0 + 1 } ?? 0)
    return KeyRange(start: Data(prefix.utf8), end: end)
  }

  /// What is left of this range behind `key`.
  func after(_ key: Data) -> KeyRange { KeyRange(start: key + [0], end: end) }
}

/// What a transaction asks of a key before it changes anything (rpc.proto, Compare).
public struct Compare: Sendable {
  public enum Target: Sendable {
    /// 0: there is no such key. Of a range: there is none at all.
    case createRevision(Int64)
    case modRevision(Int64)
    case version(Int64)
    case value(Data)
    case lease(LeaseID)
  }

  public enum Relation: String, Sendable {
    case equal = "EQUAL"
    case notEqual = "NOT_EQUAL"
    case greater = "GREATER"
    case less = "LESS"
  }

  public var range: KeyRange
  public var relation: Relation
  public var target: Target

  public init(_ range: KeyRange, _ relation: Relation, _ target: Target) {
    (self.range, self.relation, self.target) = (range, relation, target)
  }

  /// There is no key in the range.
  public static func isAbsent(_ range: KeyRange) -> Compare { Compare(range, .equal, .createRevision(0)) }
  public static func isAbsent(_ key: String) -> Compare { isAbsent(.key(key)) }
  public static func exists(_ key: String) -> Compare { Compare(.key(key), .greater, .createRevision(0)) }
  /// Nobody has changed it since; 0: it is not there.
  public static func isUnchanged(_ key: String, since revision: Int64) -> Compare {
    Compare(.key(key), .equal, .modRevision(revision))
  }
}

/// A step of a transaction. etcd takes 128, and no key twice among the changes.
public enum Operation: Sendable {
  case put(String, Data, lease: LeaseID? = nil)
  case delete(KeyRange)
  case range(KeyRange, limit: Int = 0)
}

public struct RangeAnswer: Sendable, Equatable {
  /// Of the store when it was read.
  public var revision: Int64
  /// By key, ascending.
  public var values: [KeyValue]
  /// Of the whole range, whatever the limit.
  public var count: Int64
  /// There are keys behind these.
  public var isPartial: Bool
}

public struct TransactionAnswer: Sendable {
  public var revision: Int64
  /// All comparisons held.
  public var succeeded: Bool
  /// Of the operations of the branch that was taken, in order; empty for put and delete.
  public var results: [[KeyValue]]
}

extension KeyValue {
  init(_ wire: WireKeyValue) {
    key = String(decoding: wire.key ?? Data(), as: UTF8.self)
    value = wire.value ?? Data()
    createRevision = wire.createRevision?.value ?? 0
    modRevision = wire.modRevision?.value ?? 0
    version = wire.version?.value ?? 0
    lease = wire.lease.flatMap { $0.value == 0 ? nil : LeaseID($0.value) }
  }
}
