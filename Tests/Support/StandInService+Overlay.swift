import ControlModel

extension StandInService {
  package func setOverlay(network: String, _ request: OverlayRequest) throws(ControlError) -> Overlay {
    try note(.setOverlay(network, request))
    return Sample.overlay
  }
  package func overlay(network: String) throws(ControlError) -> Overlay {
    try note(.overlay(network))
    return Sample.overlay
  }
  package func overlays() throws(ControlError) -> [Overlay] {
    try note(.overlays)
    return [Sample.overlay, Sample.waitingOverlay]
  }
  package func unsetOverlay(network: String) throws(ControlError) { try note(.unsetOverlay(network)) }
  package func addOverlayPeer(network: String, _ request: OverlayPeerRequest) throws(ControlError) {
    try note(.addOverlayPeer(network, request))
  }
  package func removeOverlayPeer(network: String, address: String) throws(ControlError) {
    try note(.removeOverlayPeer(network, address))
  }
  package func overlayPeers(network: String) throws(ControlError) -> [OverlayPeer] {
    try note(.overlayPeers(network))
    return Sample.overlayPeers
  }
}

extension StandInService {
  package func clusterView() throws(ControlError) -> ClusterView {
    try note(.clusterView)
    return Sample.cluster
  }
  package func forgetHost(_ name: String) throws(ControlError) { try note(.forgetHost(name)) }
}
