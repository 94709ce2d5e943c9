import ControlModel

extension StandInService {
  package func createService(_ request: ServiceRequest) throws(ControlError) -> Created {
    try note(.createService(request))
    return Created(id: Sample.services[0].id)
  }
  package func services() throws(ControlError) -> [Service] {
    try note(.services)
    return Sample.services
  }
  package func service(_ name: String) throws(ControlError) -> Service {
    try note(.service(name))
    return Sample.services[0]
  }
  package func changeService(_ name: String, _ change: ServiceChange) throws(ControlError) -> Service {
    try note(.changeService(name, change))
    return Sample.services[0]
  }
  package func removeService(_ name: String) throws(ControlError) { try note(.removeService(name)) }
}

extension Sample {
  package static let services = [
    Service(
      id: "5ea1ed" + String(repeating: "0", count: 58), name: "web", network: "lab", mode: "ingress",
      published: [
        PublishedPort(hostIP: "", hostPort: 8080, port: 80, protocol: "tcp"),
        PublishedPort(
          hostIP: "2001:db8::1", hostPort: 7000, hostPortEnd: 7009, port: 7000, portEnd: 7009, protocol: "udp"),
      ],
      virtualAddresses: ["10.0.0.9", "fd00::9"],
      members: [
        ServiceMember(
          endpoint: "e1" + String(repeating: "0", count: 62), sandbox: "a", addresses: ["10.0.0.2"], local: true,
          state: "up"),
        ServiceMember(endpoint: nil, sandbox: nil, addresses: ["10.0.0.130"], local: false, state: "down"),
      ],
      state: "up", detail: "no member is up"),
    Service(
      id: "77" + String(repeating: "0", count: 62), name: "db", network: "lab", mode: "host", published: [],
      virtualAddresses: [], members: [], state: "down"),
  ]
}
