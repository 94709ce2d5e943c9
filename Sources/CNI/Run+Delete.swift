import ControlModel

extension Run {
  /// What is gone already is no error.
  func delete() throws(CNIError) {
    try translated { () throws(ControlError) in
      for endpoint in try AttachmentLabels.endpoints(of: configuration, invocation, in: service) {
        try remove(endpoint)
      }
    }
    try delegate(.delete)
  }

  private func remove(_ endpoint: Endpoint) throws(ControlError) {
    do throws(ControlError) {
      try service.removeEndpoint(endpoint.id)
    } catch let error where error.code == .notFound {
      return
    }
  }

  /// What a list of attachments is called, and what it was called before 1.1.0 was out.
  private static let validAttachments = ["cni.dev/valid-attachments", "cni.dev/attachments"]

  private struct Attachment: Hashable {
    var containerID: String
    var interface: String
  }

  /// Removes the network's attachments that the runtime does not name. One that resists does not save the others.
  func collectGarbage() throws(CNIError) {
    let valid = try translated { () throws(ControlError) in try validAttachments() }
    let endpoints = try translated { () throws(ControlError) in
      try service.endpoints(EndpointFilter(label: "\(AttachmentLabels.network)=\(configuration.name)"))
    }
    var errors: [CNIError] = []
    for endpoint in endpoints {
      let attachment = Attachment(
        containerID: endpoint.labels[AttachmentLabels.container] ?? "",
        interface: endpoint.labels[AttachmentLabels.interface] ?? "")
      guard !valid.contains(attachment) else { continue }
      do throws(ControlError) { try remove(endpoint) } catch { errors.append(CNIError(error)) }
    }
    do throws(CNIError) { try delegate(.garbageCollect) } catch { errors.append(error) }
    guard var error = errors.first else { return }
    error.message = errors.map(\.message).joined(separator: "; ")
    throw error
  }

  /// Without a list nothing is valid; to take everything away needs one that is empty, and not one that was forgotten.
  private func validAttachments() throws(ControlError) -> Set<Attachment> {
    for key in Self.validAttachments {
      guard let entries = try configuration.object.objects(key) else { continue }
      var attachments: Set<Attachment> = []
      for entry in entries {
        guard let containerID = try entry.string("containerID"), let interface = try entry.string("ifname") else {
          throw ControlError(.invalid, "\(entry.path("containerID")), ifname: an attachment has both")
        }
        attachments.insert(Attachment(containerID: containerID, interface: interface))
      }
      return attachments
    }
    throw ControlError(.invalid, "\(Self.validAttachments[0]): GC needs the list")
  }
}
