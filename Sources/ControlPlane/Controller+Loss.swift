import ControlModel

// A TAP that was opened inside a namespace keeps that namespace alive (sk_alloc of tun_chr_open in drivers/net/tun.c counts the
// opener's). There the path tells: when it leads nowhere, or elsewhere, the sandbox is gone. One that an engine has moved into
// its sandbox was opened in the daemon's: it goes with the sandbox's namespace, and the data plane sees a descriptor die.

extension Controller {
  /// A port whose descriptor has died, for its namespace or its interface is gone; of an attached interface also one that
  /// went down.
  func portLost(_ port: DataPlanePort) {
    if let id = endpointPorts.first(where: { $0.value == port })?.key {
      attempt("collect endpoint \(id)") { () throws(ControlError) in
        guard let endpoint = try store.endpoint(id: id) else { return }
        try collect(endpoint, because: "its interface or namespace is gone")
      }
    } else if let id = gatewayPorts.first(where: { $0.value == port })?.key {
      attempt("gateway of network \(id)") { () throws(ControlError) in
        guard let network = try store.network(id: id) else { return }
        logger.warning("gateway interface of network \(network.name) was removed by someone else: making it anew")
        try lowerGateway(network)
        try change { rollback throws(ControlError) in try raiseGateway(network, &rollback) }
      }
    } else if interfacePorts.values.contains(where: { $0.port == port }) {
      watchPorts()
    } else if parents.values.contains(where: { $0.port == port }) {
      watchParents()
    } else if let vtep = carriers.first(where: { $0.value.port == port })?.key {
      carrierLost(vtep)
    } else if uplink?.port == port {
      watchUplink()
    }
  }

  /// Looks for endpoints whose sandboxes have lost their namespaces, for attached interfaces that came or went, and
  /// for what became of the uplink and of ports that could not be had.
  func sweep() {
    watchPorts()
    watchParents()
    usedPortsAge += 1
    watchUplink()
    watchOverlays()
    watchCluster()
    retryPublications()
    refreshServices()
    receiveArriving()
    watchNames()
    endForgottenCaptures()
    attempt("look for lost namespaces") { () throws(ControlError) in
      // An engine's that has not been seen yet has inode 0.
      for sandbox in try store.sandboxesWithEndpoints() where sandbox.inode != 0 {
        guard try namespaceNow(of: sandbox) == nil else { continue }
        for endpoint in try store.endpoints(ofSandbox: sandbox.id) where endpoint.state == .settled {
          try collect(endpoint, because: "its namespace \(sandbox.path) is gone")
        }
      }
    }
  }

  /// Takes an endpoint away that nobody disconnected.
  func collect(_ endpoint: EndpointRecord, because reason: String) throws(ControlError) {
    let sandbox = try store.sandbox(id: endpoint.sandboxId)
    let network = try store.network(id: endpoint.networkId)
    logger.warning(
      "endpoint of sandbox \(sandbox?.name ?? "?") on network \(network?.name ?? "?") collected: \(reason)",
      metadata: ["endpoint": "\(endpoint.id)"])
    try removeEndpoint(endpoint)
    if let sandbox {
      refreshDefaultRoutes(in: sandbox)
      try removeIfImplicit(sandbox)
    }
  }
}
