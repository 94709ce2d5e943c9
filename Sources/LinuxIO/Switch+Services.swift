import Datapath
import Glibc
import SystemCalls
import Tables
import Wire

/// A service of one family: any of its members answers for it.
public struct ServiceOptions: Sendable, Equatable {
  public var network: NetworkHandle
  /// Of the network; nil: none.
  public var virtualAddress: IPAddress?
  /// A secret, the same on all hosts that are to choose alike.
  public var seed: UInt64
  /// At most `MaglevTable.memberCountMax`. Those that no host of the network has are passed over.
  public var members: [IPAddress]

  public init(network: NetworkHandle, virtualAddress: IPAddress?, seed: UInt64, members: [IPAddress]) {
    (self.network, self.virtualAddress, self.seed, self.members) = (network, virtualAddress, seed, members)
  }
}

// Services: published ports and virtual addresses behind which there are several members.
extension Switch {
  public static let serviceCount = Router.serviceCapacity

  /// A service, or other members of it: flows stay where they are.
  /// - Parameter number: 1...`serviceCount`, chosen by who asks.
  public func setService(_ number: Int, _ options: ServiceOptions) throws(Errno) {
    // Made here and freed here, on the caller's thread.
    let table = Once<MaglevTable?>(MaglevTable(options.members.map(\.mapped)))
    let (isSet, old) = askRouter { router in
      var table = table.take()
      let isSet = router.setService(
        number, network: options.network.network, virtualAddress: options.virtualAddress?.mapped ?? 0,
        seed: options.seed, &table)
      return (isSet, Once<MaglevTable?>(table))
    }
    _ = old.take()
    guard isSet else { throw Errno(ENOSPC, "set service \(number)") }
  }

  /// Its published ports and its flows go with it. That there is none is no error.
  public func removeService(_ number: Int) {
    let old = askRouter { Once<MaglevTable?>($0.removeService(number)) }
    _ = old.take()
  }

  /// The address of a member elsewhere is nobody's any more; its flows end.
  public func removeHost(_ address: IPAddress) { askRouter { $0.removeHost(address.mapped) } }
}
