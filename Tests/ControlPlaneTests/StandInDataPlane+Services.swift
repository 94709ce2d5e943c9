import ControlModel
import ControlPlane
import Wire

/// Remembers what it was told, and is strict about the order.
extension StandInDataPlane.Routing {
  /// By which services are known: made again, they have others.
  mutating func forgetNumbers() {
    let all = Set(services.values)
    services = [:]
    for (index, options) in all.sorted(by: { "\($0)" < "\($1)" }).enumerated() {
      services[DataPlaneService(index: index)] = options
    }
    publications = Set(
      publications.map { publication in
        var publication = publication
        publication.service = nil
        return publication
      })
  }
}

extension StandInDataPlane {
  func forgetServices() {
    edit { state in
      (state.routing.services, state.routing.ownAddresses) = ([:], [:])
      state.routing.publications = state.routing.publications.filter { $0.service == nil }
    }
  }

  func addService(_ options: DataPlaneServiceOptions) throws(ControlError) -> DataPlaneService {
    try step("addService") { state throws(ControlError) in
      precondition(state.networks[options.network] != nil, "no such network")
      state.next += 1
      state.routing.services[DataPlaneService(index: state.next)] = options
      return DataPlaneService(index: state.next)
    }
  }

  func changeService(_ service: DataPlaneService, _ options: DataPlaneServiceOptions) throws(ControlError) {
    try step("changeService") { state throws(ControlError) in
      precondition(state.routing.services[service] != nil, "there is none")
      state.routing.services[service] = options
    }
  }

  func removeService(_ service: DataPlaneService) throws(ControlError) {
    try step("removeService") { state throws(ControlError) in
      precondition(state.routing.services.removeValue(forKey: service) != nil, "there is none")
      state.routing.publications = state.routing.publications.filter { $0.service != service }
    }
  }

  func removeHost(_ address: IPAddress) throws(ControlError) {
    try step("removeHost") { state throws(ControlError) in
      precondition(state.routing.hosts.contains { $0.address == address && $0.isElsewhere }, "there is none")
      state.routing.hosts.removeAll { $0.address == address }
    }
  }

  func setOwnAddress(_ address: IPAddress, mac: MACAddress?, in network: DataPlaneNetwork) throws(ControlError) {
    try step("setOwnAddress") { state throws(ControlError) in
      precondition(state.networks[network] != nil, "no such network")
      state.routing.ownAddresses[address] = mac
    }
  }
}
