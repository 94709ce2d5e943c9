import ControlPlane
import DNS
import Synchronization
import SystemCalls

/// A name server that only remembers what it was told.
final class StandInNameService: NameService {
  struct State: Equatable {
    var networks: [String: String] = [:]
    var endpoints: [String: NamedEndpoint] = [:]
    var served: [Listener: Clientele] = [:]
    var next = 0
  }

  private let contents = Mutex(State())
  private let open = Mutex<[Listener: [Int32]]>([:])

  var state: State { contents.withLock { $0 } }

  func setNetwork(id: String, name: String) { contents.withLock { $0.networks[id] = name } }

  func removeNetwork(id: String) {
    contents.withLock { state in
      state.networks[id] = nil
      state.endpoints = state.endpoints.filter { $0.value.network != id }
    }
  }

  func setEndpoint(_ endpoint: NamedEndpoint) { contents.withLock { $0.endpoints[endpoint.id] = endpoint } }
  func removeEndpoint(id: String) { contents.withLock { $0.endpoints[id] = nil } }
  func setUpstreams(_ upstreams: Upstreams) {}

  func serve(
    _ clientele: Clientele, datagrams: consuming FileDescriptor, streams: consuming FileDescriptor
  ) throws(Errno) -> Listener {
    let descriptors = [datagrams.release(), streams.release()]
    let listener = contents.withLock { state in
      state.next += 1
      let listener = Listener(number: state.next)
      state.served[listener] = clientele
      return listener
    }
    open.withLock { $0[listener] = descriptors }
    return listener
  }

  func close(_ listener: Listener) {
    contents.withLock { _ = $0.served.removeValue(forKey: listener) }
    for number in open.withLock({ $0.removeValue(forKey: listener) }) ?? [] { _ = FileDescriptor(owning: number) }
  }

  /// The process that had it is gone.
  func forget() {
    for listener in state.served.keys { close(listener) }
    contents.withLock { $0 = State() }
  }
}
