import ControlModel

extension ControlPlane {
  public func setOverlay(network: String, _ request: OverlayRequest) throws(ControlError) -> Overlay {
    try locked { controller throws(ControlError) in try controller.setOverlay(network: network, request) }
  }

  public func overlay(network: String) throws(ControlError) -> Overlay {
    try locked { controller throws(ControlError) in try controller.overlay(network: network) }
  }

  public func overlays() throws(ControlError) -> [Overlay] {
    try locked { controller throws(ControlError) in try controller.overlays() }
  }

  public func unsetOverlay(network: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.unsetOverlay(network: network) }
  }

  public func addOverlayPeer(network: String, _ request: OverlayPeerRequest) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.addOverlayPeer(network: network, request) }
  }

  public func removeOverlayPeer(network: String, address: String) throws(ControlError) {
    try locked { controller throws(ControlError) in
      try controller.removeOverlayPeer(network: network, address: address)
    }
  }

  public func overlayPeers(network: String) throws(ControlError) -> [OverlayPeer] {
    try locked { controller throws(ControlError) in try controller.overlayPeers(network: network) }
  }
}
