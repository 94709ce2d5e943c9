import ControlModel

extension ControlPlane {
  public func createService(_ request: ServiceRequest) throws(ControlError) -> Created {
    let created = try locked { controller throws(ControlError) in try controller.createService(request) }
    lookForMembers()
    return created
  }

  public func services() throws(ControlError) -> [Service] {
    try locked { controller throws(ControlError) in try controller.services() }
  }

  public func service(_ name: String) throws(ControlError) -> Service {
    try locked { controller throws(ControlError) in
      try controller.view(try controller.store.asked(try controller.store.service(name)))
    }
  }

  public func changeService(_ name: String, _ change: ServiceChange) throws(ControlError) -> Service {
    let changed = try locked { controller throws(ControlError) in try controller.changeService(name, change) }
    lookForMembers()
    return changed
  }

  public func removeService(_ name: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.removeService(name) }
  }
}
