import ControlModel
import ControlPlane
import SystemCalls
import Wire

extension StandInHostNetwork {
  /// A network's parent, as far as the kernel has it.
  struct Parent: Equatable {
    var interface: String
    var frames: ParentFrames
    var endpoints = ParentEndpoints()
  }

  func openParent(
    ofNetwork id: String, on link: HostLink, queues: Int, taking frames: ParentFrames
  ) throws(ControlError) -> FileDescriptorGroup {
    try step("openParent") { state throws(ControlError) in
      guard state.interfaces[own.inode]?[link.name] != nil else { throw ControlError(.system, "no \(link.name)") }
      state.parents[id] = Parent(interface: link.name, frames: frames)
    }
    return try descriptor()
  }

  func closeParent(ofNetwork id: String) throws(ControlError) {
    try step("closeParent") { state throws(ControlError) in state.parents[id] = nil }
  }

  func setParentEndpoints(_ endpoints: ParentEndpoints, ofNetwork id: String) throws(ControlError) {
    try step("setParentEndpoints") { state throws(ControlError) in state.parents[id]?.endpoints = endpoints }
  }

  func addresses(of name: String, in namespace: NamespaceReference) throws(ControlError) -> [IPAddress] {
    try step("addresses", namespace) { state throws(ControlError) in
      state.interfaces[namespace.inode]?[name]?.addresses.map(\.address) ?? []
    }
  }

  func setLinkLocal(isRandom: Bool, _ name: String, in namespace: NamespaceReference) throws(ControlError) {
    try step("setLinkLocal", namespace) { state throws(ControlError) in
      state.interfaces[namespace.inode]?[name]?.isLinkLocalRandom = isRandom
    }
  }
}
