import Testing
import Wire

@testable import ControlPlane

@Suite struct AddressPoolTests {
  private func pool(_ subnet: String, range: String? = nil, reserved: [String] = []) -> AddressPool {
    AddressPool(
      subnet: IPPrefix(subnet)!, range: range.map { IPPrefix($0)! },
      reserved: Dictionary(uniqueKeysWithValues: reserved.map { (IPAddress($0)!, "gateway") }))
  }

  /// Addresses in the order in which they are handed out, until none is left.
  private func drain(_ pool: AddressPool, limit: Int = 1000) -> [String] {
    var taken: Set<IPAddress> = []
    var order: [String] = []
    var cursor: IPAddress?
    while order.count < limit, let next = pool.next(after: cursor, taken: taken) {
      taken.insert(next)
      order.append(next.description)
      cursor = next
    }
    return order
  }

  @Test func handsOutAllOfASlash29ButNetworkBroadcastAndGateway() {
    #expect(
      drain(pool("10.0.0.0/29", reserved: ["10.0.0.1"])) == [
        "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6",
      ])
  }

  @Test(arguments: [
    ("10.0.0.0/30", ["10.0.0.1", "10.0.0.2"]),
    // RFC 3021: both addresses of a /31 are hosts'.
    ("10.0.0.0/31", ["10.0.0.0", "10.0.0.1"]),
    ("10.0.0.7/32", ["10.0.0.7"]),
    // RFC 4291, 2.6.1: the first is the routers' anycast address; there is no broadcast.
    ("fd00::/126", ["fd00::1", "fd00::2", "fd00::3"]),
    // RFC 6164: both addresses of a /127 are routers'.
    ("fd00::/127", ["fd00::", "fd00::1"]),
    ("fd00::9/128", ["fd00::9"]),
  ]) func handsOutSmallSubnets(subnet: String, expected: [String]) {
    #expect(drain(pool(subnet)) == expected)
  }

  @Test func staysInItsRange() {
    #expect(
      drain(pool("10.0.0.0/16", range: "10.0.1.0/30", reserved: ["10.0.1.2"])) == ["10.0.1.0", "10.0.1.1", "10.0.1.3"])
  }

  @Test func findsTheOneFreeAddressBehindTheCursorAndAround() {
    let pool = pool("10.0.0.0/24")
    let all = (1...254).map { IPAddress("10.0.0.\($0)")! }
    for free in [1, 100, 254] {
      let taken = Set(all).subtracting([IPAddress("10.0.0.\(free)")!])
      #expect(pool.next(after: IPAddress("10.0.0.100"), taken: taken) == IPAddress("10.0.0.\(free)"))
    }
    #expect(pool.next(after: IPAddress("10.0.0.100"), taken: Set(all)) == nil)
  }

  @Test func searchesAWholeSlash64InAsManyStepsAsAreTaken() {
    let pool = pool("fd00::/64")
    let taken = Set((1...500).map { IPAddress("fd00::\(String($0, radix: 16))")! })
    #expect(pool.next(after: nil, taken: taken) == IPAddress("fd00::1f5"))
    #expect(pool.next(after: pool.range.last, taken: taken) == IPAddress("fd00::1f5"))
  }

  @Test func doesNotHandOutAgainWhatWasJustReleased() {
    let pool = pool("10.0.0.0/29")
    let first = pool.next(after: nil, taken: [])!
    #expect(pool.next(after: first, taken: []) == IPAddress("10.0.0.2"))
    // An address that was asked for lies before the cursor's next step.
    let cursor = pool.cursor(first, afterRelease: IPAddress("10.0.0.2")!, taken: [])
    #expect(pool.next(after: cursor, taken: []) == IPAddress("10.0.0.3"))
  }

  @Test func handsOutAgainWhatIsAllThatIsLeft() {
    let pool = pool("10.0.0.0/30", reserved: ["10.0.0.1"])
    let only = IPAddress("10.0.0.2")!
    #expect(pool.next(after: pool.cursor(only, afterRelease: only, taken: []), taken: []) == only)
  }

  @Test(arguments: [
    ("10.0.1.1", "not in the network's subnet"), ("10.0.0.0", "network address"), ("10.0.0.255", "broadcast address"),
    ("10.0.0.1", "gateway"), ("10.0.0.9", "another endpoint"),
  ]) func refuses(address: String, reason: String) {
    let pool = pool("10.0.0.0/24", reserved: ["10.0.0.1"])
    let error = refusal { try pool.check(IPAddress(address)!, taken: [IPAddress("10.0.0.9")!]) }
    #expect(error?.message.contains(reason) == true && error?.message.contains(address) == true)
  }

  @Test func takesAnAddressOutsideTheRange() throws {
    try pool("10.0.0.0/24", range: "10.0.0.128/25").check(IPAddress("10.0.0.5")!, taken: [])
  }

  @Test(arguments: [
    ("10.0.0.0/24", "10.0.0.1"), ("10.0.0.0/31", "10.0.0.0"), ("10.0.0.3/32", "10.0.0.3"), ("fd00::/64", "fd00::1"),
    ("fd00::/127", "fd00::"),
  ]) func firstUsable(subnet: String, address: String) {
    #expect(AddressPool.firstUsable(in: IPPrefix(subnet)!) == IPAddress(address))
  }
}

@Suite struct SubnetAllocatorTests {
  /// https://docs.docker.com/engine/daemon/: default-address-pools, in the form that `docker info` shows.
  @Test func poolsAreDockers() {
    let pools = SubnetAllocator.ipv4Pools.map(\.description)
    #expect(pools.count == 31)
    #expect(pools.first == "172.17.0.0/16" && pools[14] == "172.31.0.0/16")
    #expect(pools[15] == "192.168.0.0/20" && pools.last == "192.168.240.0/20")
  }

  @Test func skipsWhatIsInUseAndSaysWhenNothingIsLeft() throws {
    let used = [IPPrefix("172.17.4.0/24")!, IPPrefix("172.18.0.0/15")!]
    #expect(try SubnetAllocator.nextIPv4(inUse: used).description == "172.20.0.0/16")
    let error = refusal { _ = try SubnetAllocator.nextIPv4(inUse: SubnetAllocator.ipv4Pools) }
    #expect(error?.code == .exhausted)
  }

  @Test func drawsUniqueLocalSubnets() throws {
    var generator = SystemRandomNumberGenerator()
    let ula = SubnetAllocator.randomULA(using: &generator)
    #expect(ula.length == 48 && ula.isNetwork && IPPrefix("fd00::/8")!.contains(ula))
    let first = try SubnetAllocator.nextIPv6(of: ula, inUse: [])
    let second = try SubnetAllocator.nextIPv6(of: ula, inUse: [first])
    #expect(first.length == 64 && second.length == 64 && !first.overlaps(second) && ula.contains(second))
    #expect(refusal { _ = try SubnetAllocator.nextIPv6(of: ula, inUse: [ula]) }?.code == .exhausted)
  }

  @Test(arguments: [
    "", "10.0.0.0", "10.0.0.0/33", "10.0.0.1/24", "10.0.0.0/4", "127.0.0.0/16", "224.0.0.0/16", "0.0.0.0/0",
    "fe80::/64",
    "::/0", "ff02::/16", "::1/128", "10.0.0/24", "fd00::1/64", "fd00::/129", "fd00::/16", "10.0.0.0/-1",
  ]) func refuses(subnet: String) {
    #expect(refusal { _ = try SubnetAllocator.parse(subnet) }?.code == .invalid)
  }
}
