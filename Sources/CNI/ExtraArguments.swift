/// CNI_ARGS: `KEY=VALUE;KEY=VALUE`.
struct ExtraArguments: Equatable {
  /// With or without prefix length.
  private(set) var addresses: [String] = []
  private(set) var mac: String?
  /// What Kubernetes calls the pod, and Podman the container.
  private(set) var podName: String?

  /// What others need, and we need not.
  private static let known: Set<String> = [
    "IgnoreUnknown", "K8S_POD_NAMESPACE", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID",
  ]

  init(_ text: String) throws(CNIError) {
    var values: [String: String] = [:]
    for part in text.split(separator: ";") {
      guard let equals = part.firstIndex(of: "="), equals != part.startIndex else {
        throw CNIError(.invalidEnvironment, "CNI_ARGS: \(quoted(String(part))) is no KEY=VALUE")
      }
      values[String(part[..<equals])] = String(part[part.index(after: equals)...])
    }
    let ignoresUnknown = ["1", "true", "TRUE", "True", "t", "T"].contains(values["IgnoreUnknown"] ?? "")
    for (key, value) in values.sorted(by: { $0.key < $1.key }) {
      switch key {
      case "IP": addresses = value.split(separator: ",").map(String.init)
      case "MAC": mac = value.isEmpty ? nil : value
      case "K8S_POD_NAME": podName = value.isEmpty ? nil : value
      default:
        guard ignoresUnknown || Self.known.contains(key) else {
          throw CNIError(
            .invalidEnvironment, "CNI_ARGS: \(quoted(key)) is not known: IgnoreUnknown=1 passes such keys over")
        }
      }
    }
  }
}
