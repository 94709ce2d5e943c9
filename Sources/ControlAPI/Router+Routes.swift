import ControlModel
import HTTPService
import NIOHTTP1

extension Router {
  /// The whole API. docs/openapi.yaml describes exactly these routes; a test compares the two.
  static let v1 = Router(
    routes: networkRoutes + portRoutes + overlayRoutes + policyRoutes + observingRoutes + clusterRoutes
      + forwardingRoutes
      + sandboxRoutes
      + endpointRoutes
      + publicationRoutes + serviceRoutes + uplinkRoutes + sessionRoutes + daemonRoutes)

  private static let networkRoutes: [Route] = [
    Route(.POST, "/v1/networks") { request, service throws(ControlError) in
      try .json(service.createNetwork(request.decoded()), status: .created)
    },
    Route(.GET, "/v1/networks") { _, service throws(ControlError) in try .json(service.networks()) },
    Route(.POST, "/v1/networks/prune") { _, service throws(ControlError) in
      try .json(Pruned(removed: service.pruneNetworks()))
    },
    Route(.GET, "/v1/networks/{name}", query: ["endpoints"]) { request, service throws(ControlError) in
      switch request.query["endpoints"] {
      case nil, "true": return try .json(service.network(request.captures[0]))
      case "false": return try .json(service.bareNetwork(request.captures[0]))
      case let other?: throw ControlError(.invalid, "endpoints=\(other): true or false is needed")
      }
    },
    Route(.PATCH, "/v1/networks/{name}") { request, service throws(ControlError) in
      try .json(service.changeNetwork(request.captures[0], request.decoded()))
    },
    Route(.DELETE, "/v1/networks/{name}") { request, service throws(ControlError) in
      try service.removeNetwork(request.captures[0])
      return .done
    },
    Route(.POST, "/v1/networks/{name}/connect") { request, service throws(ControlError) in
      try .json(service.connect(network: request.captures[0], request.decoded()), status: .created)
    },
    Route(.POST, "/v1/networks/{name}/disconnect") { request, service throws(ControlError) in
      let sandbox = try request.decoded(as: DisconnectRequest.self).sandbox
      try service.disconnect(network: request.captures[0], sandbox: sandbox)
      return .done
    },
  ]

  private static let portRoutes: [Route] = [
    Route(.POST, "/v1/networks/{name}/ports") { request, service throws(ControlError) in
      try .json(service.attachPort(network: request.captures[0], request.decoded()), status: .created)
    },
    Route(.DELETE, "/v1/networks/{name}/ports/{interface}") { request, service throws(ControlError) in
      try service.detachPort(network: request.captures[0], interface: request.captures[1])
      return .done
    },
    Route(.GET, "/v1/ports", query: ["network"]) { request, service throws(ControlError) in
      try .json(service.ports(network: request.query["network"]))
    },
  ]

  private static let overlayRoutes: [Route] = [
    Route(.PUT, "/v1/networks/{name}/overlay") { request, service throws(ControlError) in
      try .json(service.setOverlay(network: request.captures[0], request.decoded()))
    },
    Route(.GET, "/v1/networks/{name}/overlay") { request, service throws(ControlError) in
      try .json(service.overlay(network: request.captures[0]))
    },
    Route(.DELETE, "/v1/networks/{name}/overlay") { request, service throws(ControlError) in
      try service.unsetOverlay(network: request.captures[0])
      return .done
    },
    Route(.POST, "/v1/networks/{name}/overlay/peers") { request, service throws(ControlError) in
      try service.addOverlayPeer(network: request.captures[0], request.decoded())
      return .done
    },
    Route(.GET, "/v1/networks/{name}/overlay/peers") { request, service throws(ControlError) in
      try .json(service.overlayPeers(network: request.captures[0]))
    },
    Route(.DELETE, "/v1/networks/{name}/overlay/peers/{address}") { request, service throws(ControlError) in
      try service.removeOverlayPeer(network: request.captures[0], address: request.captures[1])
      return .done
    },
    Route(.GET, "/v1/overlays") { _, service throws(ControlError) in try .json(service.overlays()) },
  ]

  private static let policyRoutes: [Route] = [
    Route(.PUT, "/v1/networks/{name}/policy") { request, service throws(ControlError) in
      try .json(service.loadPolicy(network: request.captures[0], request.decoded()))
    },
    Route(.GET, "/v1/networks/{name}/policy") { request, service throws(ControlError) in
      try .json(service.policy(network: request.captures[0]))
    },
    Route(.DELETE, "/v1/networks/{name}/policy") { request, service throws(ControlError) in
      try service.unloadPolicy(network: request.captures[0])
      return .done
    },
    Route(.POST, "/v1/networks/{name}/trace") { request, service throws(ControlError) in
      try .json(service.trace(network: request.captures[0], request.decoded()))
    },
    Route(.GET, "/v1/networks/{name}/drops") { request, service throws(ControlError) in
      try .json(service.drops(network: request.captures[0]))
    },
    Route(.GET, "/v1/policies") { _, service throws(ControlError) in try .json(service.policies()) },
  ]

  private static let observingRoutes: [Route] = [
    Route(.POST, "/v1/networks/{name}/captures") { request, service throws(ControlError) in
      try .json(service.startCapture(network: request.captures[0], request.decoded()), status: .created)
    },
    Route(.GET, "/v1/captures/{id}/frames", query: ["wait"], mayWait: true) { request, service throws(ControlError) in
      switch request.query["wait"] {
      case nil, "true": return try .json(service.capturedFrames(request.captures[0], waits: true))
      case "false": return try .json(service.capturedFrames(request.captures[0], waits: false))
      case let other?: throw ControlError(.invalid, "wait=\(other): true or false is needed")
      }
    },
    Route(.DELETE, "/v1/captures/{id}") { request, service throws(ControlError) in
      try service.endCapture(request.captures[0])
      return .done
    },
    Route(.POST, "/v1/networks/{name}/mirrors") { request, service throws(ControlError) in
      try .json(service.addMirror(network: request.captures[0], request.decoded()), status: .created)
    },
    Route(.DELETE, "/v1/networks/{name}/mirrors", query: ["from", "to"]) { request, service throws(ControlError) in
      guard let from = request.query["from"], let to = request.query["to"] else {
        throw ControlError(.invalid, "which mirror? from and to are needed")
      }
      try service.removeMirror(network: request.captures[0], from: from, to: to)
      return .done
    },
    Route(.GET, "/v1/mirrors", query: ["network"]) { request, service throws(ControlError) in
      try .json(service.mirrors(network: request.query["network"]))
    },
  ]

  private static let clusterRoutes: [Route] = [
    Route(.GET, "/v1/cluster") { _, service throws(ControlError) in try .json(service.clusterView()) },
    Route(.DELETE, "/v1/cluster/hosts/{name}") { request, service throws(ControlError) in
      try service.forgetHost(request.captures[0])
      return .done
    },
  ]

  private static let forwardingRoutes: [Route] = [
    Route(.GET, "/v1/networks/{name}/fdb") { request, service throws(ControlError) in
      try .json(service.forwardingEntries(network: request.captures[0]))
    },
    Route(.POST, "/v1/networks/{name}/fdb") { request, service throws(ControlError) in
      try service.addForwardingEntry(network: request.captures[0], request.decoded())
      return .done
    },
    Route(.POST, "/v1/networks/{name}/fdb/flush") { request, service throws(ControlError) in
      let port = try request.decoded(or: ForwardingFlush()).port
      try service.flushForwardingEntries(network: request.captures[0], port: port)
      return .done
    },
    Route(.DELETE, "/v1/networks/{name}/fdb/{mac}") { request, service throws(ControlError) in
      try service.removeForwardingEntry(network: request.captures[0], mac: request.captures[1])
      return .done
    },
  ]

  private static let sandboxRoutes: [Route] = [
    Route(.POST, "/v1/sandboxes") { request, service throws(ControlError) in
      try .json(service.createSandbox(request.decoded()), status: .created)
    },
    Route(.GET, "/v1/sandboxes") { _, service throws(ControlError) in try .json(service.sandboxes()) },
    Route(.GET, "/v1/sandboxes/{name}") { request, service throws(ControlError) in
      try .json(service.sandbox(request.captures[0]))
    },
    Route(.DELETE, "/v1/sandboxes/{name}") { request, service throws(ControlError) in
      try service.removeSandbox(request.captures[0])
      return .done
    },
  ]

  private static let endpointRoutes: [Route] = [
    Route(.GET, "/v1/endpoints", query: Set(EndpointFilter.keys)) { request, service throws(ControlError) in
      try .json(service.endpoints(EndpointFilter(request.query)))
    },
    Route(.GET, "/v1/endpoints/{id}") { request, service throws(ControlError) in
      try .json(service.endpoint(request.captures[0]))
    },
    Route(.PATCH, "/v1/endpoints/{id}") { request, service throws(ControlError) in
      try .json(service.changeEndpoint(request.captures[0], request.decoded()))
    },
    Route(.DELETE, "/v1/endpoints/{id}") { request, service throws(ControlError) in
      try service.removeEndpoint(request.captures[0])
      return .done
    },
  ]

  private static let publicationRoutes: [Route] = [
    Route(.POST, "/v1/endpoints/{id}/publish") { request, service throws(ControlError) in
      try .json(service.publish(endpoint: request.captures[0], request.decoded()), status: .created)
    },
    Route(.POST, "/v1/endpoints/{id}/unpublish") { request, service throws(ControlError) in
      try service.unpublish(endpoint: request.captures[0], request.decoded())
      return .done
    },
    Route(.GET, "/v1/publications") { _, service throws(ControlError) in try .json(service.publications()) },
  ]

  private static let serviceRoutes: [Route] = [
    Route(.POST, "/v1/services") { request, service throws(ControlError) in
      try .json(service.createService(request.decoded()), status: .created)
    },
    Route(.GET, "/v1/services") { _, service throws(ControlError) in try .json(service.services()) },
    Route(.GET, "/v1/services/{name}") { request, service throws(ControlError) in
      try .json(service.service(request.captures[0]))
    },
    Route(.PATCH, "/v1/services/{name}") { request, service throws(ControlError) in
      try .json(service.changeService(request.captures[0], request.decoded()))
    },
    Route(.DELETE, "/v1/services/{name}") { request, service throws(ControlError) in
      try service.removeService(request.captures[0])
      return .done
    },
  ]

  private static let uplinkRoutes: [Route] = [
    Route(.PUT, "/v1/uplink") { request, service throws(ControlError) in
      try .json(service.setUplink(request.decoded()))
    },
    Route(.GET, "/v1/uplink") { _, service throws(ControlError) in try .json(service.uplink()) },
    Route(.DELETE, "/v1/uplink") { _, service throws(ControlError) in
      try service.unsetUplink()
      return .done
    },
  ]

  private static let sessionRoutes: [Route] = [
    Route(.GET, "/v1/sessions", query: Set(SessionFilter.keys)) { request, service throws(ControlError) in
      try .json(service.sessions(SessionFilter(request.query)))
    },
    Route(.POST, "/v1/sessions/flush") { _, service throws(ControlError) in
      try service.flushSessions()
      return .done
    },
    Route(.GET, "/v1/sessions/timeouts") { _, service throws(ControlError) in try .json(service.sessionTimeouts()) },
    Route(.PATCH, "/v1/sessions/timeouts") { request, service throws(ControlError) in
      try .json(service.changeSessionTimeouts(request.decoded()))
    },
    Route(.GET, "/v1/sessions/translation") { _, service throws(ControlError) in try .json(service.translation()) },
    Route(.PATCH, "/v1/sessions/translation") { request, service throws(ControlError) in
      try .json(service.changeTranslation(request.decoded()))
    },
  ]

  private static let daemonRoutes: [Route] = [
    Route(.GET, "/v1/statistics", query: ["network"]) { request, service throws(ControlError) in
      try .json(service.statistics(network: request.query["network"]))
    },
    Route(.POST, "/v1/shutdown") { request, service throws(ControlError) in
      try service.shutdown(request.decoded(or: ShutdownRequest(purge: false)))
      return .done
    },
    Route(.GET, "/v1/version") { _, service throws(ControlError) in try .json(service.version()) },
  ]
}
