import FoundationEssentials

extension EtcdClient {
  /// One answer, from the store as its majority has it.
  ///
  /// - Parameters:
  ///   - limit: keys at most; 0: all.
  ///   - revision: as it was then; 0: now. `compacted` where that is forgotten.
  ///   - keysOnly: without their values.
  public func range(
    _ range: KeyRange, limit: Int = 0, revision: Int64 = 0, keysOnly: Bool = false
  ) throws(EtcdError) -> RangeAnswer {
    RangeAnswer(try wireRange(range, limit: limit, revision: revision, keysOnly: keysOnly), revision)
  }

  private func wireRange(
    _ range: KeyRange, limit: Int, revision: Int64, keysOnly: Bool
  ) throws(EtcdError) -> WireRangeAnswer {
    guard limit >= 0, revision >= 0 else { throw EtcdError(.invalid, "limit and revision must not be negative") }
    let request = WireRangeRequest(
      key: range.start, rangeEnd: range.end, limit: WireNumber(Int64(limit)), revision: WireNumber(revision),
      keysOnly: keysOnly)
    let answer: WireRangeAnswer = try call("/v3/kv/range", request, isRepeatable: true)
    guard answer.header?.revision != nil else { throw EtcdError(.malformed, "etcd: header.revision is missing") }
    return answer
  }

  /// The whole range as it is at one revision, read in pages. Pages that are too large are made smaller; `tooLarge`
  /// where that does not help, or all of it is more than `EtcdLimits.totalBytesMax`.
  public func readAll(_ range: KeyRange, keysOnly: Bool = false) throws(EtcdError) -> RangeAnswer {
    var all = RangeAnswer(revision: 0, values: [], count: 0, isPartial: false)
    var rest = range
    var limit = limits.pageKeys
    var bytes = 0
    while true {
      let page: WireRangeAnswer
      do throws(EtcdError) {
        page = try wireRange(rest, limit: limit, revision: all.revision, keysOnly: keysOnly)
      } catch {
        guard error.code == .tooLarge, limit > 1 else { throw error }
        limit = max(1, limit / 4)
        continue
      }
      let part = RangeAnswer(page, all.revision)
      if all.revision == 0 { (all.revision, all.count) = (part.revision, part.count) }
      bytes += part.values.reduce(0) { $0 + $1.key.utf8.count + $1.value.count }
      guard bytes <= limits.totalBytesMax else {
        throw EtcdError(.tooLarge, "etcd: more than \(limits.totalBytesMax) bytes are kept in the range")
      }
      all.values += part.values
      guard part.isPartial else { return all }
      // By the bytes as they came: a key that is no UTF-8 must not stop the reading.
      guard let last = page.kvs?.last?.key, last.lexicographicallyPrecedes(rest.start) == false else {
        throw EtcdError(.malformed, "etcd: a page of keys that leads nowhere")
      }
      rest = rest.after(last)
    }
  }

  /// Returns the store's revision after it.
  @discardableResult
  public func put(_ key: String, _ value: Data, lease: LeaseID? = nil) throws(EtcdError) -> Int64 {
    let request = WirePutRequest(key: Data(key.utf8), value: value, lease: lease.map { WireNumber($0.number) })
    let answer: WireChangeAnswer = try call("/v3/kv/put", request, isRepeatable: false)
    return answer.header.revision?.value ?? 0
  }

  /// Returns how many keys went.
  @discardableResult
  public func delete(_ range: KeyRange) throws(EtcdError) -> Int64 {
    let request = WireDeleteRequest(key: range.start, rangeEnd: range.end)
    let answer: WireDeleteAnswer = try call("/v3/kv/deleterange", request, isRepeatable: false)
    return answer.deleted?.value ?? 0
  }

  /// All of `success` where all comparisons hold, else all of `failure`, in one step. One that only reads is sent again
  /// where its answer is lost; one that may have changed something throws `uncertain`.
  public func transaction(
    _ compares: [Compare], success: [Operation], failure: [Operation] = []
  ) throws(EtcdError) -> TransactionAnswer {
    let request = WireTransaction(
      compare: compares.map(WireCompare.init), success: success.map(WireOperation.init),
      failure: failure.map(WireOperation.init))
    let onlyReads = (success + failure).allSatisfy { if case .range = $0 { true } else { false } }
    let answer: WireTransactionAnswer = try call("/v3/kv/txn", request, isRepeatable: onlyReads)
    let taken = answer.succeeded == true ? success : failure
    let responses = answer.responses ?? []
    guard responses.count == taken.count else {
      throw EtcdError(
        .malformed, "etcd: a transaction of \(taken.count) operations has \(responses.count) answers")
    }
    return TransactionAnswer(
      revision: answer.header.revision?.value ?? 0, succeeded: answer.succeeded == true,
      results: responses.map { ($0.responseRange?.kvs ?? []).map(KeyValue.init) })
  }
}

extension RangeAnswer {
  /// - Parameter asked: the revision that was asked for: a page's own is the store's, which goes on.
  init(_ wire: WireRangeAnswer, _ asked: Int64) {
    revision = asked > 0 ? asked : wire.header?.revision?.value ?? 0
    values = (wire.kvs ?? []).map(KeyValue.init)
    count = wire.count?.value ?? 0
    isPartial = wire.more == true
  }
}

extension WireOperation {
  init(_ operation: Operation) {
    switch operation {
    case .put(let key, let value, let lease):
      requestPut = WirePutRequest(key: Data(key.utf8), value: value, lease: lease.map { WireNumber($0.number) })
    case .delete(let range): requestDeleteRange = WireDeleteRequest(key: range.start, rangeEnd: range.end)
    case .range(let range, let limit):
      requestRange = WireRangeRequest(key: range.start, rangeEnd: range.end, limit: WireNumber(Int64(limit)))
    }
  }
}

extension WireCompare {
  init(_ compare: Compare) {
    (key, rangeEnd, result) = (compare.range.start, compare.range.end, compare.relation.rawValue)
    switch compare.target {
    case .createRevision(let number): (target, createRevision) = ("CREATE", WireNumber(number))
    case .modRevision(let number): (target, modRevision) = ("MOD", WireNumber(number))
    case .version(let number): (target, version) = ("VERSION", WireNumber(number))
    case .value(let data): (target, value) = ("VALUE", data)
    case .lease(let id): (target, lease) = ("LEASE", WireNumber(id.number))
    }
  }
}
