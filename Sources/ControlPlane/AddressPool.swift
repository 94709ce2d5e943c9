import ControlModel
import Wire

// Theory of operation. A subnet's addresses are handed out one after the other: the cursor, kept with the subnet in the
// store, is the last address that was handed out, and the search for a free one begins behind it and wraps. So an address
// that was given back is the last to be handed out again, and neighbours that still know its old owner have forgotten it by
// then. What is taken is a set as large as the number of endpoints, never as the subnet: a /64 costs what a /24 costs.

/// Which addresses of one subnet may be handed out. A value: what is taken and the cursor belong to the store.
struct AddressPool {
  let subnet: IPPrefix
  /// Where addresses are taken from; within `subnet`.
  let range: IPPrefix
  /// Never handed out, with what they are for.
  let reserved: [IPAddress: String]

  init(subnet: IPPrefix, range: IPPrefix? = nil, reserved: [IPAddress: String] = [:]) {
    self.subnet = subnet
    self.range = range ?? subnet
    self.reserved = reserved
  }

  /// The lowest address that a host may have: the gateway's, unless another is asked for.
  static func firstUsable(in subnet: IPPrefix) -> IPAddress {
    subnet.hasHost(subnet.first) ? subnet.first : subnet.first.sameFamily(bits: subnet.first.bits + 1)
  }

  private func isFree(_ address: IPAddress, _ taken: Set<IPAddress>) -> Bool {
    subnet.hasHost(address) && reserved[address] == nil && !taken.contains(address)
  }

  /// The first free address behind the cursor, around the range; nil where all are taken. Costs at most a step for each
  /// address that is not free.
  func next(after cursor: IPAddress?, taken: Set<IPAddress>) -> IPAddress? {
    // Two more than are known to be taken: the network's and the broadcast address.
    range.firstAddress(after: cursor, steps: taken.count + reserved.count + 2) { isFree($0, taken) }
  }

  /// Refuses an address that was asked for by name.
  func check(_ address: IPAddress, taken: Set<IPAddress>) throws(ControlError) {
    guard subnet.contains(address) else {
      throw ControlError(.invalid, "address \(address) is not in the network's subnet \(subnet)")
    }
    guard subnet.hasHost(address) else {
      let role = address == subnet.last ? "broadcast" : subnet.isIPv6 ? "routers' anycast" : "network"
      throw ControlError(.invalid, "address \(address) is the \(role) address of \(subnet): choose another")
    }
    if let use = reserved[address] {
      throw ControlError(.conflict, "address \(address) is taken by the network's \(use)")
    }
    guard !taken.contains(address) else {
      throw ControlError(.conflict, "address \(address) is taken by another endpoint of the network")
    }
  }

  /// The cursor once `released` has been given back: moved over it where it would be handed out next, which happens to
  /// addresses that were asked for.
  func cursor(_ cursor: IPAddress?, afterRelease released: IPAddress, taken: Set<IPAddress>) -> IPAddress? {
    next(after: cursor, taken: taken) == released ? released : cursor
  }
}
