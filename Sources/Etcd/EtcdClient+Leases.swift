extension EtcdClient {
  /// - Parameter seconds: from 1; etcd raises what is less than its election takes (2 s with its defaults).
  public func grantLease(seconds: Int) throws(EtcdError) -> LeaseID {
    guard seconds > 0 else { throw EtcdError(.invalid, "a lease must have at least a second") }
    // One that is granted twice because an answer was lost ends by itself.
    let request = WireLeaseRequest(id: nil, seconds: WireNumber(Int64(seconds)))
    let answer: WireLease = try call("/v3/lease/grant", request, isRepeatable: true)
    if let error = answer.error, !error.isEmpty { throw EtcdError(.refused, "etcd grants no lease: \(error)") }
    return LeaseID(answer.id.value)
  }

  /// Once: the lease then has all of its time again. `notFound` where it has ended.
  ///
  /// - Returns: how many seconds it has.
  @discardableResult
  public func keepAlive(_ lease: LeaseID, patience: Duration? = nil) throws(EtcdError) -> Int {
    let request = WireLeaseRequest(id: WireNumber(lease.number), seconds: nil)
    let answer: WireStreamed<WireLease> = try call(
      "/v3/lease/keepalive", request, isRepeatable: true, patience: patience)
    if let error = answer.error {
      throw EtcdError(status: error.grpcCode ?? 0, error.message ?? "no reason", from: "its gateway")
    }
    guard let result = answer.result else { throw EtcdError(.malformed, "etcd: result is missing") }
    guard let seconds = result.seconds?.value, seconds > 0 else {
      throw EtcdError(.notFound, "the lease \(lease.number) has ended")
    }
    return Int(seconds)
  }

  /// Ends it, with the keys that have it. One that has ended is no error.
  public func revokeLease(_ lease: LeaseID) throws(EtcdError) {
    let request = WireLeaseRequest(id: WireNumber(lease.number), seconds: nil)
    do throws(EtcdError) {
      let _: WireChangeAnswer = try call("/v3/lease/revoke", request, isRepeatable: true)
    } catch {
      if error.code != .notFound { throw error }
    }
  }
}
