import ControlModel
import Foundation
import Glibc
import Testing
import Wire

@testable import ControlPlane

/// Against the kernel, in namespaces of our own: what is read of it and what is put into it.
@Suite(.enabled(if: geteuid() == 0, "needs root: it makes network namespaces"))
struct KernelUplinkTests {
  /// `up0` in the host's namespace, and `up1` with 192.0.2.2 and fd01::2 in one of its own, called `out`.
  private func bench() throws -> KernelBench {
    let bench = try KernelBench()
    let (host, out) = (bench.hostName, bench.name("out"))
    try KernelBench.run("ip", "netns", "add", out)
    try KernelBench.run("ip", "-n", host, "link", "add", "up0", "type", "veth", "peer", "name", "up1", "netns", out)
    for words in [
      "-n \(host) addr add 192.0.2.1/24 dev up0", "-n \(host) addr add fd01::1/64 dev up0 nodad",
      "-n \(host) link set up0 up", "-n \(host) link set lo up", "-n \(out) addr add 192.0.2.2/24 dev up1",
      "-n \(out) addr add fd01::2/64 dev up1 nodad", "-n \(out) link set up1 up",
      "-n \(host) route add default via 192.0.2.2",
    ] {
      try KernelBench.run(["ip"] + words.split(separator: " ").map(String.init))
    }
    return bench
  }

  private func wait(_ condition: () throws -> Bool) async throws {
    while try !condition() { try await Task.sleep(for: .milliseconds(10)) }
  }

  private func set(_ bench: KernelBench) throws -> Uplink {
    try bench.controlPlane.setUplink(UplinkRequest(interface: "up0"))
  }

  @Test func readsAddressesAndRoutes() throws {
    let bench = try bench()
    let uplink = try set(bench)
    #expect(uplink.state == "up" && Set(uplink.addresses) == ["192.0.2.1", "fd01::1"])
    #expect(uplink.mac == (try bench.interface("up0", in: bench.hostName)).address && uplink.mtu == 1500)
    #expect(uplink.ports == ["61000-65535"])
    let routes = bench.dataPlane.routing.routes
    func target(_ prefix: String) -> DataPlaneRoute.Target? { routes.first { "\($0.destination)" == prefix }?.target }
    #expect(target("0.0.0.0/0") == .uplink(gateway: IPAddress("192.0.2.2")!))
    #expect(target("192.0.2.0/24") == .uplink(gateway: nil) && target("fd01::/64") == .uplink(gateway: nil))
    #expect(target("192.0.2.1/32") == .host && target("192.0.2.255/32") == .host && target("fd01::1/128") == .host)
    #expect(
      target("127.0.0.0/8") == .host
        && !routes.contains { "\($0.destination)".hasPrefix("f") && $0.destination.isLinkLocal })
    // Again and away, with the filter's attachment.
    _ = try bench.controlPlane.setUplink(UplinkRequest(interface: "up0"))
    try bench.controlPlane.unsetUplink()
    _ = try set(bench)
  }

  @Test func hearsOfChanges() async throws {
    let bench = try bench()
    _ = try set(bench)
    try KernelBench.run("ip", "-n", bench.hostName, "addr", "add", "192.0.2.7/24", "dev", "up0")
    try KernelBench.run("ip", "-n", bench.hostName, "route", "add", "198.51.100.0/24", "via", "192.0.2.2")
    try await wait { bench.dataPlane.routing.uplink?.addresses.contains { "\($0.address)" == "192.0.2.7" } == true }
    try await wait { bench.dataPlane.routing.routes.contains { "\($0.destination)" == "198.51.100.0/24" } }
    try KernelBench.run("ip", "-n", bench.hostName, "link", "set", "up0", "name", "up9")
    try await wait { bench.dataPlane.routing.uplink == nil }
    #expect(try bench.controlPlane.uplink().state == "missing")
    try KernelBench.run("ip", "-n", bench.hostName, "link", "set", "up9", "name", "up0")
    try await wait { bench.dataPlane.routing.uplink != nil }
  }

  @Test(arguments: ["192.0.2.2", "fd01::2"]) func findsNeighbours(address: String) async throws {
    let bench = try bench()
    _ = try set(bench)
    let mac = MACAddress(try bench.interface("up1", in: bench.name("out")).address)
    let neighbour = IPAddress(address)!
    // IPv6 asks from a link-local address, which is tentative at first.
    try await wait {
      bench.dataPlane.neededHandler.withLock { $0 }?(neighbour)
      return bench.dataPlane.routing.neighbours[neighbour] == mac
    }
  }

  @Test func publishedPortsAreHeld() async throws {
    let bench = try bench()
    _ = try set(bench)
    try bench.network("web")
    try bench.sandbox("a")
    let program = Process()
    program.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let code = "import socket;s=socket.create_server((\"\",8443));print(1,flush=True);s.accept()"
    program.arguments = ["ip", "netns", "exec", bench.hostName, "python3", "-c", code]
    let output = Pipe()
    program.standardOutput = output
    try program.run()
    defer {
      kill(program.processIdentifier, SIGKILL)
      program.waitUntilExit()
    }
    #expect(!output.fileHandleForReading.availableData.isEmpty)
    let endpoint = try bench.connect("web", "a")
    func publish(_ port: String) throws {
      _ = try bench.controlPlane.publish(endpoint: endpoint.id, PublishRequest(ports: [port]))
    }
    let error = refusal { try publish("8440-8449:80-89") }
    #expect(error?.code == .conflict)
    #expect(error?.message == "port 8443/tcp is already in use by python3 (pid \(program.processIdentifier))")
    try publish("8080:80")
    try publish("127.0.0.1:8081:81")
    let bind = "import socket;socket.create_server((\"\",8080))"
    let words = ["ip", "netns", "exec", bench.hostName, "python3", "-c"]
    #expect(try KernelBench.attempt(words + [bind]).complaint.contains("Address already in use"))
    try bench.controlPlane.unpublish(endpoint: endpoint.id, PublishRequest(ports: ["80"]))
    #expect(try KernelBench.attempt(words + [bind]).status == 0)
  }
}
