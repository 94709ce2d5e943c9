import ControlModel
import Glibc
import Support
import Testing

extension SystemTests {
  @Suite(
    "A swarm of dockerds",
    .enabled(if: DockerEngine.isInstalled, "tools/test unpacks Debian's docker.io below .build, where it is missing"))
  struct Swarm {
    /// Each task knows the addresses of all by the service's name, and each answers each, wherever it runs.
    private func expectTogether(_ bed: SwarmBed, _ service: String) throws {
      let tasks = try bed.nodes.flatMap { try $0.tasks() }
      let addresses = try tasks.flatMap { try $0.addresses() }.sorted()
      #expect(Set(addresses).count == tasks.count)
      for task in tasks {
        for name in [service, "tasks." + service] {
          try eventually("\(name) is \(addresses), and not \((try? task.lookUp(name)) ?? [])") {
            try task.lookUp(name) == addresses
          }
        }
        #expect(try task.namespace.answering(addresses) == addresses)
      }
    }

    @Test("tasks of a service reach each other by name across hosts, and the world by the host they run on")
    func names() throws {
      try withSwarm { bed in
        try bed.network("lab", "--subnet", "10.91.0.0/24")
        try bed.service("web", on: "lab", replicas: 4)
        for node in bed.nodes {
          #expect(try node.tasks().count == 2)
          let overlay = try #require(try node.networks().first?.overlay)
          #expect(overlay.vni == 4096 && overlay.local == node.address && overlay.state == "up")
          #expect(overlay.peers == SwarmBed.addresses.filter { $0 != node.address })
          try node.daemon.martlet("uplink", "set", SwarmBed.wire)
          // No second way by a bridge of Docker's.
          for task in try node.tasks() { #expect(try Set(task.namespace.linkNames()) == ["lo", "eth0"]) }
        }
        try expectTogether(bed, "web")
        let (here, there) = (try bed.manager.tasks()[0], try bed.worker.tasks()[0])
        let address = try there.addresses()[0]
        let end = try Transfer(bytes: 20 << 20, from: here.namespace, to: there.namespace, at: address).end()
        #expect(end.sent == end.received && end.received.hasPrefix("done"))
        // Both hosts have the gateway's address: each routes its own tasks, as what is outside sees by the source.
        for (task, other) in [(here, bed.worker), (there, bed.manager)] {
          #expect(try task.namespace.reaches("10.91.0.1"))
          let source = try source(of: task, at: other)
          #expect(source == SwarmBed.addresses.first { $0 != other.address })
        }
        try bed.docker(
          "service", "update", "--detach", "--publish-add", "mode=host,target=80,published=8080", "--replicas", "2",
          "web")
        for node in bed.nodes {
          try eventually("the port is published at \(node.address)") {
            // Of both families.
            try node.daemon.ask([Publication].self, "publish", "ls").map(\.published.hostPort) == [8080, 8080]
          }
        }
        try bed.waitForTasks(2, of: "web")
        try expectTogether(bed, "web")
        try bed.clear()
        // What was given back is handed out again.
        try bed.network("again", "--subnet", "10.92.0.0/24")
        #expect(bed.manager.daemon.log.split(separator: "VNI 4096 handed out").count == 3)
      }
    }

    @Test(
      "where the hosts are a cluster, that has the VNI, and tells who is where",
      .enabled(if: EtcdServer.isThere, "needs etcd, which tools/test unpacks"))
    func inCluster() throws {
      try withSwarm(isCluster: true) { bed in
        let etcd = try #require(bed.etcd)
        try bed.network("lab", "--subnet", "10.91.0.0/24")
        try bed.service("web", on: "lab", replicas: 4)
        let networks = try bed.nodes.flatMap { try $0.networks() }
        let vni = try #require(networks.first?.overlay?.vni)
        #expect(networks.map(\.overlay?.vni) == [vni, vni] && Set(networks.map(\.id)).count == 1)
        #expect(try etcd.control("get", "/martlet/claims/vnis/\(vni)").contains(networks[0].id))
        for node in bed.nodes {
          try eventually("each host is told where the other's tasks are") {
            try node.daemon.forwardingEntries(networks[0].name).count { $0.static && $0.port.kind == "vtep" } == 2
          }
        }
        try expectTogether(bed, "web")
        try bed.clear()
        #expect(try etcd.control("get", "--prefix", "/martlet/claims/").isEmpty)
        #expect(try etcd.control("get", "--prefix", "/martlet/state/endpoints/").isEmpty)
      }
    }

    /// By which address a server on the other host knows the task.
    private func source(of task: Container, at node: SwarmBed.Node) throws -> String {
      let server = try node.daemon.namespace.start(
        ["socat", "-T", "5", "TCP-LISTEN:7000,reuseaddr", "SYSTEM:echo $SOCAT_PEERADDR"])
      try node.daemon.namespace.waitForSocket("tcp", port: 7000)
      let answer = try task.namespace.run("socat", "-u", "TCP:\(node.address):7000,connect-timeout=5", "-")
      server.stop()
      return answer.split(separator: "\n").first.map(String.init) ?? ""
    }

    @Test("a node dies amid a service's update, comes back, leaves, and comes again")
    func nodesComeAndGo() throws {
      try withSwarm { bed in
        try bed.network("lab", "--subnet", "10.91.0.0/24")
        try bed.service("web", on: "lab", replicas: 4)
        try bed.docker("service", "update", "--detach", "--force", "web")
        try eventually("the update has come to the worker") {
          try bed.docker("service", "inspect", "--format", "{{.UpdateStatus.State}}", "web") == "updating"
        }
        try bed.worker.engine.end(by: SIGKILL)
        try eventually("all of it runs at the manager") {
          try bed.manager.tasks().count == 4 && bed.running("web") == 4
        }
        try eventually("the manager's host knows the worker gone") {
          try bed.manager.networks()[0].overlay?.peers.isEmpty == true
        }
        try bed.worker.engine.start()
        try bed.waitForNodes(2)
        try bed.docker("service", "update", "--detach", "--force", "--replicas", "5", "web")
        try bed.waitForTasks(5, of: "web")
        #expect(try !bed.worker.tasks().isEmpty)
        try expectTogether(bed, "web")

        try bed.worker.engine.command(["swarm", "leave"])
        try eventually("nothing is left at who left: \((try? bed.worker.traces()) ?? [])") {
          try bed.worker.traces().isEmpty
        }
        try eventually("all of it runs at the manager") {
          try bed.manager.tasks().count == 5 && bed.running("web") == 5
        }
        try bed.join()
        try bed.docker("service", "update", "--detach", "--force", "web")
        try bed.waitForTasks(5, of: "web")
        #expect(try !bed.worker.tasks().isEmpty)
        try expectTogether(bed, "web")
      }
    }

    /// Calls of a task's start, and those of its end.
    private static let starts = ["CreateNetwork", "CreateEndpoint", "Join", "ProgramExternalConnectivity"]
    private static let ends = ["RevokeExternalConnectivity", "Leave", "DeleteEndpoint", "DeleteNetwork"]

    @Test("dockerd, then martletd of a node is killed at each call: the task runs all the same, and leaves nothing")
    func killedAtCalls() throws {
      try withSwarm(isProxied: true) { bed in
        let (proxy, engine, daemon) = (try #require(bed.worker.proxy), bed.worker.engine, bed.worker.daemon)
        func plan(_ moment: String, _ call: String, _ victim: pid_t?) throws {
          try proxy.plan("\(moment) NetworkDriver.\(call) \(try #require(victim))")
        }
        func expectCarriedOut(_ call: String) throws {
          try eventually("\(call) comes: \(proxy.calls)") { !proxy.isPlanned }
        }
        let worker = try bed.docker("node", "ls", "--filter", "role=worker", "--quiet")
        try bed.network("lab", "--subnet", "10.91.0.0/24")
        for (start, end) in zip(Self.starts, Self.ends) {
          try plan("before", start, engine.pid)
          try bed.start("web", on: "lab", replicas: 1, "--constraint", "node.id==" + worker)
          try expectCarriedOut(start)
          try engine.end(by: 0)
          // What CreateEndpoint has written, and nobody heard of, waits two minutes for its container.
          try plan(start == "CreateEndpoint" ? "before" : "amid", start, daemon.pid)
          try engine.start()
          try expectCarriedOut(start)
          try daemon.end(by: 0)
          try daemon.start()
          try bed.waitForTasks(1, of: "web")
          let task = try #require(try bed.worker.tasks().first)
          #expect(try task.namespace.reaches("10.91.0.1", count: 1))

          try plan("amid", end, daemon.pid)
          try bed.docker("service", "rm", "web")
          try expectCarriedOut(end)
          try daemon.end(by: 0)
          try daemon.start()
          try eventually("nothing is left: \((try? bed.worker.traces()) ?? []) after \(proxy.calls)") {
            try bed.worker.traces().isEmpty
          }
        }
      }
    }
  }
}
