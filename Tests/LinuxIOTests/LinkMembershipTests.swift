import Glibc
import SystemCalls
import Testing
import Wire

@testable import LinuxIO

/// By what iproute2 says of the interface.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct LinkMembershipTests {
  @Test func theDeviceTakesWhatWasAddedAsLongAsTheValueLives() throws {
    let cable = try Cable()
    let mac = try #require(MACAddress("02:00:00:00:00:51"))
    func says(_ command: String, _ word: String) throws {
      try Cable.run("sh", "-c", "\(command) | grep -q '\(word)'")
    }
    let (link, addresses) = ("ip -n \(cable.name) -d link show left", "bridge -n \(cable.name) fdb show dev left")
    try says(link, "allmulti 0")
    do {
      let membership = try cable.inside {
        try LinkMembership(interface: Int32(if_nametoindex("left")))
      }
      try says(link, "allmulti 1")
      try cable.inside { try membership.add(mac) }
      try says(addresses, mac.description)
      try cable.inside { try membership.remove(mac) }
      try says("\(addresses) | grep -c '\(mac)'", "^0$")
      try cable.inside { try membership.add(mac) }
      try cable.ip("link", "delete", "left")
      try cable.inside { try membership.remove(mac) }
    }
    try cable.ip("link", "add", "name", "left", "type", "veth", "peer", "name", "right")
    try says(link, "allmulti 0")
  }

  @Test func noSuchInterface() {
    let error = #expect(throws: Errno.self) { _ = try LinkMembership(interface: 0x7FFF_FFFF) }
    #expect(error?.code == ENODEV)
  }
}
