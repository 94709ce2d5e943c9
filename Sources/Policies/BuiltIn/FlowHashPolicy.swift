import Datapath
import Tables
import Wire

/// Equal-cost paths: frames for one place that several ports lead to are spread over them by flow (RFC 2992). A flow stays with its
/// member; a member that goes moves its own flows only, and one that comes takes its share only: each flow goes to the member
/// for which its hash is the highest (rendezvous hashing; Thaler and Ravishankar, 1998).
public struct FlowHashPolicy: LoadablePolicy {
  public static let name = "ecmp"
  public static let summary = "spread flows to=MAC, or to unknown addresses, over members=NAME,NAME"
  /// Each frame that is spread asks all members.
  static let memberCountMax = 64

  public let counterNames: [String]

  private struct Member {
    let port: UInt16
    /// Place in `names`.
    let number: Int
    let hash: KeyedHash
  }

  private let names: [String]
  /// Of each name: what makes its hash another than the others'.
  private let hashes: [KeyedHash]
  /// Empty: what is to unknown addresses is spread.
  private var addresses: [MACAddress] = []
  private let usesPorts: Bool
  private var members: [Member] = []
  /// The router's: known even where the MAC table does not have it.
  private var gateway: MACAddress?

  public init?(_ parameters: inout PolicyParameters) {
    names = parameters.list("members")
    counterNames = names.map { "to_\($0)" }
    let seed = parameters.number("seed", in: 0...UInt64.max, default: 0)
    hashes = names.map { name in KeyedHash(seed: name.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }) }
    usesPorts = parameters.choice("by", of: ["flow", "addresses"]) == "flow"
    for word in parameters.list("to", default: ["unknown"]) where word != "unknown" {
      guard let mac = MACAddress(word), mac.isValidSource else {
        parameters.refuse("to=\(word): give the MAC address of one station, or unknown")
        return nil
      }
      addresses.append(mac)
    }
    if !(1...Self.memberCountMax).contains(names.count) || Set(names).count < names.count {
      parameters.refuse("give the names of 1 to \(Self.memberCountMax) different ports, as members=NAME,NAME")
    }
  }

  public mutating func portsChanged(_ ports: [PolicyPort]) {
    gateway = ports.gatewayMAC
    members = names.indices.compactMap { number in
      ports.first { $0.isCalled(names[number]) }.map {
        Member(port: $0.index, number: number, hash: hashes[number])
      }
    }
  }

  @inline(__always)
  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    // Members may all send with the address that is behind all of them: it is nowhere in particular.
    if !addresses.contains(frame.source) { view.learn(frame.source, at: frame.port) }
    if frame.destination.isGroup { return .flood }
    if addresses.contains(frame.destination) { return spread(frame, &view) }
    let port = view.lookup(frame.destination)
    if port == MACTable.noPort {
      return addresses.isEmpty && frame.destination != gateway ? spread(frame, &view) : .flood
    }
    return port == frame.port ? .drop(.samePort) : .forward(port)
  }

  private func spread(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    let headers = FrameHeaders(frame)
    var word = UInt64(headers.ipProtocol) | UInt64(headers.etherType) << 8
    // Later fragments have no ports: all of a packet go by addresses.
    if usesPorts && !headers.layers.contains(.fragment) {
      word |= UInt64(headers.sourcePort) << 48 | UInt64(headers.destinationPort) << 32
    }
    let isIP = headers.layers.contains(.ipv4) || headers.layers.contains(.ipv6)
    let source = isIP ? headers.source : UInt128(frame.source.bits)
    let destination = isIP ? headers.destination : UInt128(frame.destination.bits)
    var best: Member?
    var highest: UInt64 = 0
    for member in members {
      let value = member.hash(source, destination, word)
      if best == nil || value > highest { (best, highest) = (member, value) }
    }
    guard let best else {
      view.explain("none of the members is there")
      return .drop(.noMember)
    }
    view.explain("the flow goes to {\(best.port)}, by its hash among \(members.count) members")
    if best.port == frame.port { return .drop(.samePort) }
    view.count(best.number)
    return .forward(best.port)
  }
}
