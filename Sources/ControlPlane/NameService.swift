import DNS
import SystemCalls

/// The name server, as the control plane tells it what there is. `NameServer` is the one that runs.
public protocol NameService: AnyObject, Sendable {
  func setNetwork(id: String, name: String)
  func removeNetwork(id: String)
  func setEndpoint(_ endpoint: NamedEndpoint)
  func removeEndpoint(id: String)
  func setUpstreams(_ upstreams: Upstreams)
  func serve(
    _ clientele: Clientele, datagrams: consuming FileDescriptor, streams: consuming FileDescriptor
  ) throws(Errno) -> Listener
  func close(_ listener: Listener)
}

extension NameServer: NameService {}
