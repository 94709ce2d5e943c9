import ControlModel
import Foundation
import Glibc
import SystemCalls
import Testing
import Wire

@testable import ControlPlane

/// Against the kernel, in namespaces of our own; iproute2 says what came of it.
@Suite(.enabled(if: geteuid() == 0, "needs root: it makes network namespaces"))
struct KernelHostNetworkTests {
  @Test func connects() throws {
    let bench = try KernelBench()
    let network = try bench.network("web") { ($0.ipv6, $0.mtu) = (true, 9000) }
    try bench.sandbox("a")
    let endpoint = try bench.connect("web", "a") {
      $0.mtu = 8000
      $0.routes = [RouteRequest(destination: "10.99.0.0/16"), RouteRequest(destination: "2001:db8:99::/48")]
    }

    let interface = try bench.interface("eth0", in: bench.name("a"))
    #expect(interface.address == endpoint.mac && interface.mtu == 8000 && interface.qdisc == "noqueue")
    #expect(interface.flags.contains("UP") && interface.flags.contains("LOWER_UP"))
    #expect(interface.ifalias == "martlet endpoint \(endpoint.id)" && interface.addresses == endpoint.addresses)
    #expect(interface.addrInfo.allSatisfy { $0.scope != "global" || $0.tentative != true }, "usable at once")
    #expect(try bench.interface("lo", in: bench.name("a")).flags.contains("UP"))
    let routes: [KernelBench.RouteEntry] =
      try bench.show(bench.name("a"), "route") + bench.show(bench.name("a"), "-6", "route")
    #expect(routes.filter { $0.dst == "default" }.map(\.gateway) == network.subnets.map(\.gateway))
    let further = routes.filter { ["10.99.0.0/16", "2001:db8:99::/48"].contains($0.dst) }
    #expect(further.map(\.gateway) == network.subnets.map(\.gateway))
    try bench.network("other")
    let refused = refusal {
      try bench.connect("other", "a") { $0.routes = [RouteRequest(destination: "10.99.0.0/16")] }
    }
    #expect(refused?.code == .conflict)
    try bench.controlPlane.removeNetwork("other")

    let gateway = try bench.interface(try #require(network.gatewayInterface), in: bench.hostName)
    #expect(gateway.mtu == 9000 && gateway.qdisc == "noqueue" && gateway.flags.contains("UP"))
    #expect(gateway.addresses.map { $0.split(separator: "/")[0] } == network.subnets.map { $0.gateway![...] })
    #expect(try bench.interfaces(bench.hostName).count == 2, "lo and the gateway's")

    let sandbox = try bench.controlPlane.sandbox(bench.name("a"))
    #expect(sandbox.routes.filter { $0.destination == "default" }.count == 2)
    let link = try FileManager.default.attributesOfItem(atPath: sandbox.netns)[.systemFileNumber] as? UInt64
    #expect(sandbox.inode == link)

    try bench.controlPlane.disconnect(network: "web", sandbox: bench.name("a"))
    #expect(try bench.interfaces(bench.name("a")).map(\.ifname) == ["lo"])
    try bench.controlPlane.removeSandbox(bench.name("a"))
    #expect(!FileManager.default.fileExists(atPath: "/etc/netns/" + bench.name("a")))
    #expect(!FileManager.default.fileExists(atPath: "/run/netns/" + bench.name("a")))
    try bench.controlPlane.removeNetwork("web")
    #expect(try bench.interfaces(bench.hostName).map(\.ifname) == ["lo"] && bench.rules().isEmpty)
  }

  @Test func withoutIPv6ThereIsNone() throws {
    let bench = try KernelBench()
    let network = try bench.network("web")
    try bench.sandbox("a")
    try bench.connect("web", "a")
    for (name, namespace) in [("eth0", bench.name("a")), (network.gatewayInterface!, bench.hostName)] {
      #expect(try bench.interface(name, in: namespace).addrInfo.allSatisfy { $0.family == "inet" })
    }
  }

  /// The host forwards, and still no network reaches another; --internal reaches nothing, and nothing it but the host.
  @Test func networksAreApart() throws {
    let bench = try KernelBench()
    let host = bench.hostName
    try KernelBench.run(
      "ip", "netns", "exec", host, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    try KernelBench.run("ip", "-n", host, "link", "add", "up0", "type", "veth", "peer", "name", "up1")
    for words in [
      ["addr", "add", "192.0.2.1/24", "dev", "up0"], ["link", "set", "up0", "up"], ["link", "set", "up1", "up"],
    ] {
      try KernelBench.run(["ip", "-n", host] + words)
    }
    try KernelBench.run("ip", "-n", host, "route", "add", "default", "via", "192.0.2.2")
    let one = try bench.network("one") { ($0.subnets, $0.ipv6) = (["10.1.0.0/24", "fd01::/64"], true) }
      .gatewayInterface!
    let two = try bench.network("two") { ($0.subnets, $0.ipv6) = (["10.2.0.0/24", "fd02::/64"], true) }
      .gatewayInterface!
    let inner = try bench.network("inner") { ($0.subnets, $0.internal) = (["10.3.0.0/24"], true) }.gatewayInterface!

    #expect(try bench.leads(from: "10.1.0.2", by: one, to: "192.0.2.9") == "up0")
    #expect(try bench.leads(from: "10.1.0.2", by: one, to: "198.51.100.1") == "up0")
    #expect(try bench.leads(from: "10.1.0.2", by: one, to: "10.2.0.2") == nil)
    #expect(try bench.leads(from: "10.2.0.2", by: two, to: "10.1.0.2") == nil)
    #expect(try bench.leads(from: "fd01::2", by: one, to: "fd02::2") == nil)
    // The host's own addresses, of the other network's gateway too.
    #expect(try bench.leads(from: "10.1.0.2", by: one, to: "10.2.0.1") == "lo")
    // From the host, and from outside where it is no --internal.
    for address in ["10.1.0.2", "10.2.0.2", "10.3.0.2", "fd02::2"] {
      #expect(try bench.leads(from: "", by: nil, to: address)?.hasPrefix("mt-") == true)
    }
    #expect(try bench.leads(from: "192.0.2.9", by: "up0", to: "10.1.0.2") == one)
    #expect(try bench.leads(from: "192.0.2.9", by: "up0", to: "10.3.0.2") == nil)
    for destination in ["192.0.2.9", "198.51.100.1", "10.1.0.2"] {
      #expect(try bench.leads(from: "10.3.0.2", by: inner, to: destination) == nil)
    }
    #expect(try bench.leads(from: "10.3.0.2", by: inner, to: "10.3.0.1") == "lo")

    for name in ["one", "two", "inner"] { try bench.controlPlane.removeNetwork(name) }
    #expect(try bench.rules().isEmpty)
  }

  @Test func aSubnetOnAHostRouteIsRefused() throws {
    let bench = try KernelBench()
    try KernelBench.run("ip", "-n", bench.hostName, "link", "add", "up0", "type", "veth", "peer", "name", "up1")
    try KernelBench.run("ip", "-n", bench.hostName, "addr", "add", "172.17.3.1/24", "dev", "up0")
    try KernelBench.run("ip", "-n", bench.hostName, "link", "set", "up0", "up")
    #expect(refusal { try bench.network("web") { $0.subnets = ["172.17.0.0/16"] } }?.code == .conflict)
    #expect(try bench.network("web").subnets[0].subnet == "172.18.0.0/16")
  }

  /// The process ends, interfaces stay, and the next process attaches to the very same ones.
  @Test func restores() throws {
    let bench = try KernelBench()
    let network = try bench.network("web") { $0.internal = true }
    try bench.sandbox("a")
    try bench.connect("web", "a")
    let gateway = try #require(network.gatewayInterface)
    let before = [try bench.interface("eth0", in: bench.name("a")), try bench.interface(gateway, in: bench.hostName)]
    try KernelBench.run("ip", "-n", bench.name("a"), "link", "set", "eth0", "name", "wan")
    let rules = try bench.rules().count
    try bench.stop()
    #expect(try !bench.interface("wan", in: bench.name("a")).flags.contains("LOWER_UP"), "nobody holds it")
    try bench.start()
    let after = [try bench.interface("wan", in: bench.name("a")), try bench.interface(gateway, in: bench.hostName)]
    #expect(after.map(\.ifindex) == before.map(\.ifindex) && after.map(\.addresses) == before.map(\.addresses))
    #expect(after.allSatisfy { $0.flags.contains("LOWER_UP") })
    #expect(try bench.rules().count == rules)
    #expect(try bench.controlPlane.endpoints().map(\.interface) == ["wan"])
  }

  @Test func collectsWhatWasRemovedMeanwhile() throws {
    let bench = try KernelBench()
    try bench.network("web")
    for name in ["a", "b", "c"] {
      try bench.sandbox(name)
      try bench.connect("web", name)
    }
    try bench.stop()
    try KernelBench.run("ip", "netns", "del", bench.name("a"))
    try KernelBench.run("ip", "-n", bench.name("b"), "link", "del", "eth0")
    try bench.start()
    #expect(try bench.controlPlane.endpoints().map(\.sandbox) == [bench.name("c")])
  }

  /// After a restart the TAP's descriptor keeps the namespace alive: that its name went must tell.
  @Test func collectsANamespaceThatLostItsName() async throws {
    let bench = try KernelBench()
    try bench.network("web")
    try bench.sandbox("a")
    try bench.connect("web", "a")
    try bench.stop()
    try bench.start()
    try KernelBench.run("ip", "netns", "del", bench.name("a"))
    while try !bench.controlPlane.endpoints().isEmpty { try await Task.sleep(for: .milliseconds(50)) }
    #expect(bench.dataPlane.state.ports.count == 1)
  }

  @Test func purgesWhatALostStoreLeft() throws {
    let bench = try KernelBench()
    try bench.network("web") { $0.internal = true }
    try bench.stop()
    try FileManager.default.removeItem(atPath: bench.directory)
    try bench.start()
    #expect(try bench.interfaces(bench.hostName).map(\.ifname) == ["lo"] && bench.rules().isEmpty)
    let routes: [KernelBench.RouteEntry] = try bench.show(
      bench.hostName, "route", "show", "table", "\(KernelHostNetwork.subnetTable)")
    #expect(routes.isEmpty)
  }

  @Test func aResolverFileOfSomeoneElseStays() throws {
    let bench = try KernelBench()
    let directory = "/etc/netns/" + bench.name("a")
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let text = "nameserver 192.0.2.53\nsearch example.org\n"
    try text.write(toFile: directory + "/resolv.conf", atomically: true, encoding: .utf8)
    try bench.network("web")
    try bench.sandbox("a")
    try bench.connect("web", "a")
    let dns = try bench.controlPlane.sandbox(bench.name("a")).dns
    #expect(dns == NameServers(servers: ["192.0.2.53"], search: ["example.org"]))
    try bench.controlPlane.shutdown(ShutdownRequest(purge: true))
    #expect(try String(contentsOfFile: directory + "/resolv.conf", encoding: .utf8) == text)
  }

  @Test func forgetsNeighbours() throws {
    let bench = try KernelBench()
    let gateway = try #require(try bench.network("web").gatewayInterface)
    try bench.sandbox("a")
    try bench.connect("web", "a")
    try KernelBench.run(
      "ip", "-n", bench.hostName, "neigh", "add", "172.17.0.2", "lladdr", "02:00:00:00:00:09", "dev", gateway, "nud",
      "reachable")
    try bench.controlPlane.disconnect(network: "web", sandbox: bench.name("a"))
    #expect(try KernelBench.run("ip", "-n", bench.hostName, "neigh", "show", "172.17.0.2").isEmpty)
  }

  @Test func aNamespaceHasOneDaemon() throws {
    let bench = try KernelBench()
    let other = try KernelHostNetwork(ownNamespace: "/run/netns/" + bench.hostName)
    #expect(refusal { try other.claim() }?.code == .conflict)
    try bench.stop()
    // On a busy machine the claim goes a moment after its control plane.
    while (try? other.claim()) == nil { usleep(1000) }
  }

  @Test(arguments: ["/nonexistent", "/etc/hosts", "/proc/self/ns/uts", "/run/netns", "/dev/null"])
  func refusesWhatIsNoNamespace(path: String) throws {
    let host = try KernelHostNetwork()
    let error = refusal { _ = try host.namespace(at: path) }
    #expect(error?.message.contains(path) == true && (error?.code == .invalid || error?.code == .notFound))
  }

  /// The names of an interface and a namespace that exist already: the kernel's refusal, in our words.
  @Test func anInterfaceNameThatIsTaken() throws {
    let bench = try KernelBench()
    try bench.network("web")
    try bench.sandbox("a")
    try KernelBench.run("ip", "-n", bench.name("a"), "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
    let error = refusal { try bench.connect("web", "a") { $0.interface = "eth0" } }
    #expect(error?.code == .conflict && error?.message.contains("eth0") == true)
    #expect(try bench.connect("web", "a").interface == "eth2")
  }

  @Test func errorsSayTheMend() {
    #expect(ControlError(Errno(EMFILE, "open /dev/net/tun")).code == .exhausted)
    #expect(ControlError(Errno(EPERM, "make TAP")).message.contains("CAP_NET_ADMIN"))
  }
}

@Suite struct ResolverConfigurationTests {
  @Test func leavesLoopbackServersOut() {
    let configuration = ResolverConfiguration(
      """
      # comment
      nameserver 127.0.0.53
      nameserver ::1
      nameserver 192.0.2.1
      nameserver fe80::1%eth0
      search a.example
      search b.example c.example
      options ndots:2 edns0
      ; comment
      """
    ).withoutLoopback
    #expect(configuration.nameServers.servers == ["192.0.2.1", "fe80::1%eth0"])
    #expect(configuration.nameServers.search == ["b.example", "c.example"])
    #expect(configuration.nameServers.options == ["ndots:2", "edns0"])
    #expect(ResolverConfiguration(configuration.text).nameServers == configuration.nameServers)
    #expect(configuration.text.hasPrefix(ResolverConfiguration.mark))
  }
}
