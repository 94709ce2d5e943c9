import ControlModel
import Foundation
import Glibc
import Support
import Testing

extension SystemTests {
  @Suite("Hosts share networks through etcd", .enabled(if: EtcdServer.isThere, "needs etcd, which tools/test unpacks"))
  struct Cluster {
    private static let megabyte = 1 << 20

    /// What a container finds for a name, asked at the gateway of `net`.
    private func lookUp(_ name: String, in container: Namespace) throws -> [String] {
      try container.run("dig", "+short", "+time=3", "+tries=1", "@10.42.0.1", name).split(separator: "\n").map(
        String.init)
    }

    @Test("three hosts: containers reach and find each other, and move; a host dies")
    func threeHosts() throws {
      try withTestbed { testbed in
        let bed = try ClusterBed(testbed)
        let (h1, h2, h3) = (bed.hosts[0], bed.hosts[1], bed.hosts[2])
        try bed.makeNetwork(on: h1)
        let network = try h1.network("net")
        for host in [h2, h3] {
          let same = try host.network("net")
          #expect(same.id == network.id && same.scope == "global" && same.overlay?.vni == network.overlay?.vni)
          #expect(same.subnets == network.subnets && same.mtu == network.mtu && same.mtu == 1450)
        }

        let a = try h1.sandbox("a", on: "net", "--alias", "first")
        let b = try h2.sandbox("b", on: "net")
        let c = try h3.sandbox("c", on: "net")
        let places = [(h1, a), (h2, b), (h3, c)]
        let addresses = try places.map { try $0.endpoint(of: $1, on: "net").addresses[0].prefix { $0 != "/" } }
        #expect(Set(addresses).count == 3)
        let all = addresses.map(String.init)
        for (_, container) in places { #expect(try container.answering(all) == all) }
        for (_, container) in places {
          try eventually("names are known") { try lookUp("first", in: container) == [all[0]] }
          #expect(try lookUp(b.name, in: container) == [all[1]] && lookUp(c.name, in: container) == [all[2]])
        }
        let end = try Transfer(bytes: 20 * Self.megabyte, from: a, to: b, at: all[1]).end()
        #expect(end.sent == end.received)
        // Who is where is known, and not learned.
        let mac = try b.link().address
        let entry = try h1.forwardingEntries("net").first { $0.mac == mac }
        #expect(entry?.static == true && entry?.port.address == "192.0.2.2")

        // One has an address, and an occupied one is refused by name.
        let taken = try h3.attempt(["network", "connect", "net", try h3.sandbox("d").name, "--ip", all[1]])
        #expect(taken.status == 1 && taken.complaint.contains("host h2"))

        try h2.disconnect(b, from: "net")
        let moved = try h3.sandbox("b2", on: "net", "--ip", all[1], "--mac", mac, "--alias", "moved")
        try eventually("it is reached where it went") { try a.reaches(all[1], count: 1) }
        try eventually("it is found") { try lookUp("moved", in: a) == [all[1]] && lookUp(b.name, in: a) == [] }
        #expect(try h1.forwardingEntries("net").first { $0.mac == mac }?.port.address == "192.0.2.3")
        #expect(try moved.reaches(all[0]))

        try h3.end(by: SIGKILL)
        try eventually("the dead host is gone") { try h1.cluster.hosts.map(\.name) == ["h1", "h2"] }
        try eventually("and what it had") {
          try lookUp(c.name, in: a) == [] && h1.forwardingEntries("net").allSatisfy { $0.mac != mac }
        }
        #expect(try h1.answer([OverlayPeer].self, ["overlay", "peer", "ls", "net"]).map(\.address) == ["192.0.2.2"])
        // Its addresses stay its containers', until it is said that it will not return.
        let kept = try h2.attempt(["network", "connect", "net", b.name, "--ip", all[1]])
        #expect(kept.status == 1 && kept.complaint.contains("host h3"))
        try h2.martlet("cluster", "forget", "h3")
        try h2.connect(b, to: "net", ["--ip", all[1]])
        #expect(try a.reaches(all[1]))
      }
    }

    /// Whom the service answers as, asked so often.
    private func answers(_ count: Int, of address: String, from client: Namespace) throws -> [String: Int] {
      var answers: [String: Int] = [:]
      for _ in 0..<count {
        let name = try client.run("curl", "-s", "--max-time", "5", "http://\(address)/")
        answers[name, default: 0] += 1
      }
      return answers
    }

    @Test("a service is reached at every host, and by its address inside, wherever its members run")
    func mesh() throws {
      try withTestbed { testbed in
        let bed = try ClusterBed(testbed)
        let client = try bed.outside()
        for host in bed.hosts { try host.martlet("uplink", "set", "u0") }
        try bed.makeNetwork(on: bed.hosts[0])
        var members: [Namespace] = []
        for (host, label) in zip(bed.hosts, ["a", "b"]) {
          let member = try host.sandbox(label, on: "net")
          let directory = "\(testbed.directory)/\(label)"
          try testbed.run(["mkdir", directory])
          try label.write(toFile: directory + "/index.html", atomically: true, encoding: .utf8)
          _ = try member.start("python3", "-m", "http.server", "80", "--directory", directory)
          try member.waitForSocket("tcp", port: 80)
          members.append(member)
        }
        let inside = try bed.hosts[2].sandbox("c", on: "net")
        try eventually("h1 knows b") {
          try bed.hosts[0].attempt([
            "service", "create", "web", "--network", "net", "--publish", "8080:80", "--endpoint",
            bed.hosts[0].endpoint(of: members[0], on: "net").id, "--endpoint",
            bed.hosts[1].endpoint(of: members[1], on: "net").id,
          ]).status == 0
        }
        let virtual = try bed.hosts[0].ask([Service].self, "service", "inspect", "web")[0].virtualAddresses[0]
        for host in bed.hosts {
          try eventually("each host has it, and both members") {
            let services = try host.ask([Service].self, "service", "ls")
            return services.first?.state == "up" && services.first?.members.allSatisfy { $0.state == "up" } == true
          }
        }
        // Also at the host that has no member.
        for address in ["192.0.2.1:8080", "192.0.2.2:8080", "192.0.2.3:8080"] {
          try eventually("\(address) answers") { try client.attempt("curl", "-s", "http://\(address)/").status == 0 }
          let answers = try answers(40, of: address, from: client)
          #expect(Set(answers.keys) == ["a", "b"] && answers.values.reduce(0, +) == 40, "\(address): \(answers)")
        }
        #expect(try Set(answers(40, of: virtual, from: inside).keys) == ["a", "b"])
        #expect(try lookUp("web", in: inside) == [virtual])
        // One that dies takes no new flow, at no host.
        try bed.hosts[1].disconnect(members[1], from: "net")
        for host in bed.hosts {
          try eventually("it is gone") {
            try host.ask([Service].self, "service", "ls")[0].members.count { $0.state == "up" } == 1
          }
        }
        for address in ["192.0.2.1:8080", "192.0.2.3:8080"] {
          #expect(try answers(20, of: address, from: client) == ["a": 20])
        }
        #expect(try answers(20, of: virtual, from: inside) == ["a": 20])
        try bed.hosts[2].martlet("service", "rm", "web")
        for host in bed.hosts {
          try eventually("it is gone everywhere") { try host.ask([Service].self, "service", "ls").isEmpty }
        }
        #expect(try client.attempt("curl", "-s", "--max-time", "5", "http://192.0.2.1:8080/").status == 7)
      }
    }

    @Test("etcd goes and comes back: what is known goes on, and what was missed is caught up with")
    func etcdRestarts() throws {
      try withTestbed { testbed in
        let bed = try ClusterBed(testbed)
        let (h1, h2) = (bed.hosts[0], bed.hosts[1])
        try bed.makeNetwork(on: h1)
        let a = try h1.sandbox("a", on: "net", "--ip", "10.42.0.10")
        let b = try h2.sandbox("b", on: "net", "--ip", "10.42.0.11")
        try eventually("they reach each other") { try a.reaches("10.42.0.11", count: 1) }

        bed.etcd.kill()
        try eventually("it is noticed") { try h1.cluster.state == "cut off" }
        #expect(try a.answering(["10.42.0.11"]) == ["10.42.0.11"] && lookUp(b.name, in: a) == ["10.42.0.11"])
        let refused = try h1.attempt(["network", "connect", "net", try h1.sandbox("c").name])
        #expect(refused.status == 1 && refused.complaint.contains("cluster's store cannot be reached"))
        #expect(try h1.network("net").endpoints.count == 1, "nothing is left of what was refused")
        // A daemon that starts meanwhile knows what it knew.
        try h1.end(by: SIGTERM)
        try h1.start()
        try eventually("it goes on") {
          try a.reaches("10.42.0.11", count: 1) && lookUp(b.name, in: a) == ["10.42.0.11"]
        }
        // What goes meanwhile needs no etcd.
        try h2.disconnect(b, from: "net")
        try bed.etcd.start()
        for host in bed.hosts { try bed.waitForHosts(3, at: host) }
        try eventually("what went is forgotten") { try lookUp(b.name, in: a) == [] }
        try h2.connect(b, to: "net", ["--ip", "10.42.0.11"])
        try eventually("what came is known") { try a.reaches("10.42.0.11", count: 1) }

        // One that is cut off for longer than its lease is gone for the others, and is back when it is healed.
        try bed.cut(2)
        try eventually("h2 is gone") { try h1.cluster.hosts.count == 2 && lookUp(b.name, in: a) == [] }
        #expect(try h2.cluster.state == "cut off" && lookUp(a.name, in: b) == ["10.42.0.10"])
        try h1.disconnect(a, from: "net")
        try h1.connect(a, to: "net", ["--ip", "10.42.0.12"])
        try bed.heal(2)
        for host in bed.hosts { try bed.waitForHosts(3, at: host) }
        try eventually("each knows of the other") {
          try lookUp(a.name, in: b) == ["10.42.0.12"] && lookUp(b.name, in: a) == ["10.42.0.11"]
        }
        #expect(try a.answering(["10.42.0.11"]) == ["10.42.0.11"])

        // A daemon that starts again is missed by nobody.
        try h2.end(by: SIGKILL)
        try h2.start()
        try bed.waitForHosts(3, at: h2)
        #expect(try a.answering(["10.42.0.11"]) == ["10.42.0.11"])
        let other = try h2.sandbox("e", on: "net", "--no-announce")
        #expect(try h2.endpoint(of: other, on: "net").addresses != ["10.42.0.11/24"])

        let inUse = try h1.attempt(["network", "rm", "net"])
        #expect(inUse.status == 1)
        try h1.disconnect(a, from: "net")
        let elsewhere = try h1.attempt(["network", "rm", "net"])
        #expect(elsewhere.status == 1 && elsewhere.complaint.contains("on host h2"))
        for container in [b, other] { try h2.disconnect(container, from: "net") }
        try eventually("it can be removed") { try h1.attempt(["network", "rm", "net"]).status == 0 }
        try eventually("it is gone everywhere") { try !bed.hosts.contains { try $0.hasNetwork("net") } }
        for host in bed.hosts {
          #expect(try host.namespace.linkNames().allSatisfy { !$0.hasPrefix("mt") })
        }
        #expect(try bed.etcd.control("get", "--prefix", "/martlet/claims/", "--keys-only").isEmpty)
      }
    }
  }
}
