import ControlModel
import Wire

/// Publications that are there: withdrawn, restored, shown.
extension Controller {
  // MARK: Withdrawing

  func unpublish(endpoint name: String, _ request: PublishRequest) throws(ControlError) {
    let endpoint = try store.endpoint(name)
    guard !request.ports.isEmpty else {
      throw ControlError(.invalid, "nothing to withdraw: give at least one port")
    }
    let all = try store.publications(ofEndpoint: endpoint.id)
    var matching: [PublicationRecord] = []
    for text in request.ports {
      let asked = try PublishedSpecification(text)
      let found = all.filter { $0.matches(asked) }
      guard !found.isEmpty else { throw Self.notPublished(asked, of: endpoint, among: all) }
      matching += found.filter { found in !matching.contains { $0.id == found.id } }
    }
    try store.setPublications(matching, state: .removing)
    for record in matching { try withdraw(record) }
    try store.deletePublications(matching)
    if let network = try store.network(id: endpoint.networkId) { try tellName(of: endpoint, on: network) }
  }

  private static func notPublished(
    _ asked: PublishedSpecification, of endpoint: EndpointRecord, among all: [PublicationRecord]
  ) -> ControlError {
    let ports = asked.ports.ports
    let range = all.first { record in
      record.transport == asked.transport && record.count > 1
        && (record.port..<record.port + record.count).overlaps(Int(ports.lowerBound)..<Int(ports.upperBound) + 1)
    }
    let short = Identifier.short(endpoint.id)
    if let range {
      let whole = "\(range.port)-\(range.port + range.count - 1)/\(range.transport.rawValue)"
      return ControlError(
        .notFound, "port \(asked.text.quoted) is not published by itself: martlet unpublish \(short) \(whole)")
    }
    return ControlError(
      .notFound, "endpoint \(short) has not published port \(asked.text.quoted): martlet publish ls shows what it has")
  }

  // MARK: Restore

  /// What was cut short, of endpoints that stay.
  func rollBackPublications() throws(ControlError) {
    let cut = try store.publications().filter { $0.state != .settled }
    if cut.isEmpty { return }
    logger.warning("\(cut.count) published ports were cut short: withdrawn")
    try store.deletePublications(cut)
  }

  /// A port that a program of the host has taken meanwhile leaves its endpoint up, and is tried for again.
  func restorePublications() throws(ControlError) {
    for record in try store.publications() where record.state == .settled { restorePublication(record) }
  }

  private func restorePublication(_ record: PublicationRecord) {
    guard let id = record.id, raisedPublications[id] == nil, endpointPorts[record.endpointId] != nil else { return }
    do throws(ControlError) {
      try raiseAgain(record)
      publicationTroubles[id] = nil
    } catch {
      // Said once, not every two seconds.
      if publicationTroubles[id] != error.message { logger.error("published port \(record.port): \(error)") }
      publicationTroubles[id] = error.message
    }
  }

  func retryPublications() {
    if publicationTroubles.isEmpty { return }
    attempt("try for published ports again") { () throws(ControlError) in
      for record in try store.publications() where publicationTroubles[record.id!] != nil { restorePublication(record) }
    }
  }

  // MARK: Views

  func publications() throws(ControlError) -> [Publication] {
    var all: [Publication] = []
    for (endpointID, records) in Dictionary(grouping: try store.publications(), by: \.endpointId) {
      guard let endpoint = try store.endpoint(id: endpointID),
        let network = try store.network(id: endpoint.networkId)
      else { continue }
      for record in records { all += try views(of: record, endpoint, network) }
    }
    return all.sorted { ($0.published.hostPort, $0.published.port) < ($1.published.hostPort, $1.published.port) }
  }

  func views(
    of record: PublicationRecord, _ endpoint: EndpointRecord, _ network: NetworkRecord
  ) throws(ControlError) -> [Publication] {
    try published(record, of: endpoint, on: network).map {
      Publication(endpoint: endpoint.id, network: network.name, published: $0)
    }
  }

  func published(of endpoint: EndpointRecord, on network: NetworkRecord) throws(ControlError) -> [PublishedPort] {
    var ports: [PublishedPort] = []
    for record in try store.publications(ofEndpoint: endpoint.id) {
      ports += try published(record, of: endpoint, on: network)
    }
    return ports
  }

  private func published(
    _ record: PublicationRecord, of endpoint: EndpointRecord, on network: NetworkRecord
  ) throws(ControlError) -> [PublishedPort] {
    let addresses = try store.addresses(ofEndpoint: endpoint.id).map(\.address)
    let plan = PublicationPlan(
      record, addresses: addresses, modes: try network.gatewayModes, external: nil, hasIPv6: host.hasIPv6)
    let detail =
      record.state == .settled
      ? publicationTroubles[record.id!] : "could not be withdrawn completely: unpublish it again"
    return plan.shown(detail)
  }
}
