import ControlModel

/// IpamDriver.GetCapabilities.
///
/// Nothing is to be replayed when an engine starts: pools and addresses are in the store, and a pool that is asked for a second time
/// could be another network's. An engine that was killed tells of the endpoints it has lost in any case, as it loads its networks' IPAM
/// driver before it looks for them.
struct AddressCapabilities: Encodable {
  let requiresMACAddress = false
  let requiresRequestReplay = false

  enum CodingKeys: String, CodingKey {
    case requiresMACAddress = "RequiresMACAddress"
    case requiresRequestReplay = "RequiresRequestReplay"
  }
}

/// IpamDriver.GetDefaultAddressSpaces. The engine says them back and makes no use of them; here there is one space.
struct AddressSpaces: Encodable {
  let local = "martlet-local"
  let global = "martlet-global"

  enum CodingKeys: String, CodingKey {
    case local = "LocalDefaultAddressSpace"
    case global = "GlobalDefaultAddressSpace"
  }
}

/// IpamDriver.RequestPool.
struct PoolRequest: Decodable {
  let pool: String?
  let range: String?
  /// `network create --ipam-opt`.
  let options: [String: String]?
  let isIPv6: Bool?

  enum CodingKeys: String, CodingKey {
    case pool = "Pool"
    case range = "SubPool"
    case options = "Options"
    case isIPv6 = "V6"
  }
}

struct PoolGranted: Encodable {
  let id: String
  let pool: String
  let data: [String: String] = [:]

  enum CodingKeys: String, CodingKey {
    case id = "PoolID"
    case pool = "Pool"
    case data = "Data"
  }
}

struct PoolReference: Decodable {
  let id: String

  enum CodingKeys: String, CodingKey { case id = "PoolID" }
}

/// IpamDriver.RequestAddress.
struct AddressRequest: Decodable {
  struct Options: Decodable {
    let type: String?

    enum CodingKeys: String, CodingKey { case type = "RequestAddressType" }
  }

  static let gatewayType = "com.docker.network.gateway"

  let pool: String
  let address: String?
  let options: Options?

  enum CodingKeys: String, CodingKey {
    case pool = "PoolID"
    case address = "Address"
    case options = "Options"
  }
}

struct AddressGranted: Encodable {
  /// With prefix length.
  let address: String
  let data: [String: String] = [:]

  enum CodingKeys: String, CodingKey {
    case address = "Address"
    case data = "Data"
  }
}

/// IpamDriver.ReleaseAddress.
struct AddressRelease: Decodable {
  let pool: String
  let address: String

  enum CodingKeys: String, CodingKey {
    case pool = "PoolID"
    case address = "Address"
  }
}

extension Plugin {
  static let addressMethods = [
    "RequestPool": Method { (plugin, request: PoolRequest) throws(ControlError) in
      if let option = request.options?.keys.min() {
        throw ControlError(.unsupported, "ipam-opt \"\(option)\" is not known: there are none")
      }
      let (pool, range) = (request.pool.present, request.range.present)
      guard pool != nil || range == nil else { throw ControlError(.invalid, "an ip-range needs the --subnet it is in") }
      let granted = try plugin.driver.requestPool(
        DriverPoolRequest(pool: pool, range: range, isIPv6: request.isIPv6 ?? false))
      return PoolGranted(id: granted.id, pool: granted.pool)
    },
    "ReleasePool": Method { (plugin, pool: PoolReference) throws(ControlError) in
      try plugin.driver.releasePool(id: pool.id)
      return Nothing()
    },
    "RequestAddress": Method { (plugin, request: AddressRequest) throws(ControlError) in
      let isGateway = request.options?.type == AddressRequest.gatewayType
      return AddressGranted(
        address: try plugin.driver.requestAddress(
          pool: request.pool, address: request.address.present, isGateway: isGateway))
    },
    "ReleaseAddress": Method { (plugin, release: AddressRelease) throws(ControlError) in
      try plugin.driver.releaseAddress(pool: release.pool, address: release.address)
      return Nothing()
    },
  ]
}
