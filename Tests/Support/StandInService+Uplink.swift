import ControlModel

extension StandInService {
  package func publish(endpoint: String, _ request: PublishRequest) throws(ControlError) -> [Publication] {
    try note(.publish(endpoint, request))
    return Sample.publications
  }
  package func unpublish(endpoint: String, _ request: PublishRequest) throws(ControlError) {
    try note(.unpublish(endpoint, request))
  }
  package func publications() throws(ControlError) -> [Publication] {
    try note(.publications)
    return Sample.publications
  }

  package func setUplink(_ request: UplinkRequest) throws(ControlError) -> Uplink {
    try note(.setUplink(request))
    return Sample.uplink
  }
  package func uplink() throws(ControlError) -> Uplink {
    try note(.uplink)
    return Sample.uplink
  }
  package func unsetUplink() throws(ControlError) { try note(.unsetUplink) }

  package func sessions(_ filter: SessionFilter) throws(ControlError) -> [Session] {
    try note(.sessions(filter))
    return Sample.sessions
  }
  package func flushSessions() throws(ControlError) { try note(.flushSessions) }
  package func sessionTimeouts() throws(ControlError) -> SessionTimeouts {
    try note(.sessionTimeouts)
    return Sample.timeouts
  }
  package func changeSessionTimeouts(_ change: SessionTimeoutsChange) throws(ControlError) -> SessionTimeouts {
    try note(.changeSessionTimeouts(change))
    return Sample.timeouts
  }
  package func translation() throws(ControlError) -> Translation {
    try note(.translation)
    return Sample.translation
  }
  package func changeTranslation(_ change: TranslationChange) throws(ControlError) -> Translation {
    try note(.changeTranslation(change))
    return Sample.translation
  }
}
