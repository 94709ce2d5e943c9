import Foundation
import Netlink
import SystemCalls
import Testing
import Wire

@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct LinkTests {
  /// A link as `ip -j -d link` shows it.
  struct Shown: Decodable {
    struct Info: Decodable {
      let kind: String?
      enum CodingKeys: String, CodingKey { case kind = "info_kind" }
    }
    let ifindex: Int32
    let ifname: String
    let address: String?
    let mtu: Int
    let flags: [String]
    let linkinfo: Info?
    let ifalias: String?
    let linkType: String
    let master: String?
    let segmentedFrameBytesMax: Int?
    enum CodingKeys: String, CodingKey {
      case ifindex, ifname, address, mtu, flags, linkinfo, ifalias, master
      case linkType = "link_type"
      case segmentedFrameBytesMax = "gso_max_size"
    }
  }

  private func expectSame(_ links: [Link], as shown: [Shown]) {
    #expect(links.map(\.index) == shown.map(\.ifindex))
    for (link, shown) in zip(links, shown) {
      #expect(link.name == shown.ifname)
      #expect(link.mac?.description == shown.address)
      #expect(link.mtu == shown.mtu)
      #expect(link.isUp == shown.flags.contains("UP"))
      #expect(!link.isUp || link.hasCarrier == !shown.flags.contains("NO-CARRIER"))
      #expect(link.kind == shown.linkinfo?.kind)
      #expect(link.alias == shown.ifalias)
      #expect(link.isEthernet == (shown.linkType == "ether"))
      #expect(link.master.flatMap { master in links.first { $0.index == master }?.name } == shown.master)
      #expect(link.segmentedFrameBytesMax == shown.segmentedFrameBytesMax)
    }
  }

  @Test func readsWhatIPShows() throws {
    try withTAPs { other, socket, tap0, _ in
      try other.ip("link", "set", "lo", "up")
      try other.ip("link", "set", "tap0", "mtu", "9000", "alias", "port of web 1")
      try other.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
      try other.ip("link", "set", "veth0", "up")
      try other.ip("link", "set", "veth1", "up")
      try other.ip("link", "add", "bridge0", "type", "bridge")
      try other.ip("link", "set", "veth1", "master", "bridge0", "gso_max_size", "30000")
      try other.ip("tuntap", "add", "tun0", "mode", "tun")
      let links = try socket.links()
      #expect(links.map(\.name).sorted() == ["bridge0", "lo", "tap0", "tap1", "tun0", "veth0", "veth1"])
      expectSame(links, as: try other.show(Shown.self, "link"))
      for link in links {
        #expect(try socket.link(named: link.name) == link)
        #expect(try socket.link(index: link.index) == link)
      }
      #expect(try socket.link(named: "none") == nil)
      #expect(try socket.link(index: 4711) == nil)
    }
  }

  /// Each feature is switched off by ethtool, the other side of the comparison.
  @Test func featuresAreThoseOfEthtool() throws {
    try withNamespace { other in
      try other.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
      let socket = try RouteSocket(in: NetworkNamespace(path: other.path))
      func features() throws -> LinkFeatures { try socket.features(ofLink: "veth0") }
      func off(_ feature: String) throws {
        try Command.run("ip", "netns", "exec", other.name, "ethtool", "-K", "veth0", feature, "off")
      }
      #expect(try features() == [.tcp4Segmentation, .tcp6Segmentation, .tcpECNSegmentation, .udpSegmentation])
      try off("tx-tcp6-segmentation")
      #expect(try features() == [.tcp4Segmentation, .tcpECNSegmentation, .udpSegmentation])
      try off("tx-udp-segmentation")
      #expect(try features() == [.tcp4Segmentation, .tcpECNSegmentation])
      try off("tx-tcp-ecn-segmentation")
      #expect(try features() == [.tcp4Segmentation])
      // What takes the ground away under another.
      try off("tx-checksum-ip-generic")
      #expect(try features() == [])
      var thrown: Errno?
      do throws(Errno) { _ = try socket.features(ofLink: "none") } catch { thrown = error }
      #expect(thrown == Errno(ENODEV, "look up the features of link none"))
    }
  }

  @Test func setsAllInOneMessage() throws {
    try withTAPs { other, socket, index, _ in
      try other.ip("link", "set", "tap0", "down")
      let mac = try #require(MACAddress("02:42:ac:11:00:02"))
      try socket.setLink(index, up: true, mtu: 1400, mac: mac, name: "eth0", alias: "web")
      let shown = try #require(try other.show(Shown.self, "link", "show", "eth0").first)
      #expect(shown.ifindex == index && shown.mtu == 1400 && shown.address == mac.description)
      #expect(shown.flags.contains("UP") && shown.ifalias == "web")

      try socket.setLink(index, up: false, alias: "")
      let read = try #require(try socket.link(index: index))
      #expect(!read.isUp && read.alias == nil && read.mtu == 1400 && read.mac == mac && read.name == "eth0")
      expectSame(try socket.links(), as: try other.show(Shown.self, "link"))
    }
  }

  @Test func deletes() throws {
    try withTAPs { other, socket, index, _ in
      try socket.deleteLink(index)
      #expect(try other.show(Shown.self, "link").map(\.ifname) == ["lo", "tap1"])
      var thrown: Errno?
      do throws(Errno) { try socket.deleteLink(index) } catch { thrown = error }
      #expect(thrown == Errno(ENODEV, "delete link \(index)"))
    }
  }

  @Test(arguments: [false, true])
  func movesAndRenames(indexIsTaken: Bool) throws {
    try withTAPs { other, socket, index, _ in
      try withNamespace { target in
        if indexIsTaken { try target.ip("link", "add", "br0", "index", "\(index)", "type", "bridge") }
        let link = try #require(try socket.link(index: index))
        let moved = try socket.moveLink(index, to: NetworkNamespace(path: target.path), name: "eth0")
        #expect(try other.show(Shown.self, "link").map(\.ifname) == ["lo", "tap1"])
        let shown = try target.show(Shown.self, "link")
        #expect(shown.map(\.ifname) == (indexIsTaken ? ["lo", "br0", "eth0"] : ["lo", "eth0"]))
        #expect(shown.last?.address == link.mac?.description)
        #expect(shown.last?.ifindex == moved && (moved != index) == indexIsTaken)
      }
    }
  }

  /// The kernel alone would move the interface under its old name and fail then.
  @Test func refusesToMoveOntoATakenName() throws {
    try withTAPs { other, socket, index, _ in
      try withNamespace { target in
        try target.ip("tuntap", "add", "eth0", "mode", "tap")
        let there = try NetworkNamespace(path: target.path)
        let link = try socket.link(index: index)
        var thrown: Errno?
        do throws(Errno) { try socket.moveLink(index, to: there, name: "eth0") } catch { thrown = error }
        #expect(
          thrown?.description == "move link \(index) to eth0 in network namespace \(there.inode): File exists")
        #expect(try socket.link(index: index) == link)
        #expect(try target.show(Shown.self, "link").map(\.ifname) == ["lo", "eth0"])
      }
    }
  }

  @Test func refusalsCarryTheKernelsWords() throws {
    try withTAPs { other, socket, index, _ in
      let words = try #require(try other.attempt(["ip", "link", "set", "tap0", "mtu", "70000"]).kernelWords)
      var thrown: Errno?
      do throws(Errno) { try socket.setLink(index, mtu: 70000) } catch { thrown = error }
      #expect(thrown == Errno(EINVAL, "set link \(index) (\(words))"))
      do throws(Errno) { try socket.setLink(index, name: "tap1") } catch { thrown = error }
      #expect(thrown == Errno(EEXIST, "set link \(index)"))
    }
  }

  @Test func valuesOutOfRangeAreRefused() throws {
    try withTAPs { _, socket, index, _ in
      let before = try socket.link(index: index)
      var thrown: Errno?
      do throws(Errno) { try socket.setLink(index, mtu: -1) } catch { thrown = error }
      #expect(thrown == Errno(EINVAL, "set the MTU of link \(index) to -1"))
      do throws(Errno) { try socket.setLink(index, alias: String(repeating: "a", count: 256)) } catch { thrown = error }
      #expect(thrown?.code == ERANGE)
      do throws(Errno) { try socket.setLink(index, alias: String(repeating: "a", count: 5000)) } catch {
        thrown = error
      }
      #expect(thrown == Errno(EMSGSIZE, "set link \(index)"))
      #expect(try socket.link(index: index) == before)
    }
  }

  /// About 250 KB, where one datagram of a dump holds 32 at most.
  @Test func listsMoreThanOneBufferHolds() throws {
    try withNamespace { other in
      try other.ip(batch: (0..<150).map { "link add a\($0) type veth peer name b\($0)" })
      var socket = try RouteSocket(in: NetworkNamespace(path: other.path))
      let links = try socket.links()
      #expect(links.count == 301)
      expectSame(links, as: try other.show(Shown.self, "link"))
    }
  }

  @Test func namesAreTheKernels() {
    for name in ["eth0", "a", "veth-1.100", String(repeating: "x", count: 15)] { #expect(Link.isValidName(name)) }
    for name in ["", ".", "..", "a/b", "a:b", "a b", "eth%d", "a\tb", String(repeating: "x", count: 16)] {
      #expect(!Link.isValidName(name))
    }
  }
}
