import FoundationEssentials

/// A number of 64 bits as the gateway writes it: in quotes, and none where it is 0 (proto3's JSON). Numbers without
/// quotes are taken too. None that etcd counts is negative.
struct WireNumber: Codable, Sendable {
  var value: Int64

  init(_ value: Int64) { self.value = value }

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let number: Int64?
    if let text = try? container.decode(String.self) {
      number = Int64(text)
    } else {
      number = try container.decode(Int64.self)
    }
    guard let number, number >= 0 else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "no whole number from 0 on")
    }
    value = number
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(String(value))
  }
}

// Field for field as etcd's rpc.proto (api/etcdserverpb) has them. The gateway takes their names in camel case as well
// as in snake case (proto3's JSON), and answers in snake case.

struct WireHeader: Decodable {
  var revision: WireNumber?
}

struct WireKeyValue: Decodable {
  var key: Data?
  var value: Data?
  var createRevision: WireNumber?
  var modRevision: WireNumber?
  var version: WireNumber?
  var lease: WireNumber?
}

struct WireRangeRequest: Encodable {
  var key: Data
  var rangeEnd: Data?
  var limit: WireNumber?
  var revision: WireNumber?
  var keysOnly: Bool?
}

struct WireRangeAnswer: Decodable {
  var header: WireHeader?
  var kvs: [WireKeyValue]?
  var more: Bool?
  var count: WireNumber?
}

struct WirePutRequest: Encodable {
  var key: Data
  var value: Data
  var lease: WireNumber?
}

struct WireDeleteRequest: Encodable {
  var key: Data
  var rangeEnd: Data?
}

struct WireDeleteAnswer: Decodable {
  var header: WireHeader?
  var deleted: WireNumber?
}

struct WireChangeAnswer: Decodable {
  var header: WireHeader
}

struct WireOperation: Encodable {
  var requestRange: WireRangeRequest?
  var requestPut: WirePutRequest?
  var requestDeleteRange: WireDeleteRequest?
}

struct WireCompare: Encodable {
  var key: Data
  var rangeEnd: Data?
  var target: String
  var result: String
  var version: WireNumber?
  var createRevision: WireNumber?
  var modRevision: WireNumber?
  var value: Data?
  var lease: WireNumber?
}

struct WireTransaction: Encodable {
  var compare: [WireCompare]
  var success: [WireOperation]
  var failure: [WireOperation]
}

struct WireOperationAnswer: Decodable {
  struct Put: Decodable {}

  var responseRange: WireRangeAnswer?
  var responsePut: Put?
  var responseDeleteRange: WireDeleteAnswer?
}

struct WireTransactionAnswer: Decodable {
  var header: WireHeader
  var succeeded: Bool?
  var responses: [WireOperationAnswer]?
}

struct WireLeaseRequest: Encodable {
  var id: WireNumber?
  var seconds: WireNumber?

  enum CodingKeys: String, CodingKey {
    case id = "ID"
    case seconds = "TTL"
  }
}

struct WireLease: Decodable {
  var id: WireNumber
  var seconds: WireNumber?
  var error: String?

  enum CodingKeys: String, CodingKey {
    case id = "ID"
    case seconds = "TTL"
    case error
  }
}

struct WireStreamed<Result: Decodable>: Decodable {
  struct Failure: Decodable {
    var grpcCode: Int?
    var message: String?
  }

  var result: Result?
  var error: Failure?
}

struct WireCredentials: Encodable {
  var name: String
  var password: String
}

struct WireToken: Decodable {
  var token: String
}

struct WireWatch: Encodable {
  struct Create: Encodable {
    var key: Data
    var rangeEnd: Data?
    var startRevision: WireNumber
    var progressNotify = true
    var fragment = true
  }

  var createRequest: Create
}

struct WireEvent: Decodable {
  var type: String?
  var kv: WireKeyValue
}

struct WireWatchAnswer: Decodable {
  var header: WireHeader?
  var created: Bool?
  var canceled: Bool?
  var compactRevision: WireNumber?
  var cancelReason: String?
  var fragment: Bool?
  var events: [WireEvent]?
}

struct WireFailure: Decodable {
  var code: Int
  var message: String?
  var error: String?
}
