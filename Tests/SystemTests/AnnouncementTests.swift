import Testing

extension SystemTests {
  @Suite("An address comes back with another MAC")
  struct Announcement {
    private static let addresses = ["10.9.0.7", "fd09::7"]

    /// Lets `neighbour` know an address, then gives the address to another sandbox.
    private func exchange(
      _ options: [String] = [], _ body: (_ neighbour: Namespace, _ mac: String) throws -> Void
    ) throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24", "--subnet", "fd09::/64")
        let neighbour = try daemon.sandbox("neighbour", on: "lab")
        let own = ["--ip", Self.addresses[0], "--ip6", Self.addresses[1]]
        let first = try daemon.sandbox("first")
        let second = try daemon.sandbox("second")
        try daemon.connect(first, to: "lab", own)
        for address in Self.addresses { #expect(try neighbour.reaches(address)) }
        try daemon.disconnect(first, from: "lab")
        try daemon.connect(second, to: "lab", own + options)
        try body(neighbour, daemon.endpoint(of: second, on: "lab").mac)
      }
    }

    @Test("and is reachable within a second for who knew the old one")
    func announced() throws {
      try exchange { neighbour, mac in
        for address in Self.addresses {
          let ping = try neighbour.attempt("ping", "-n", "-c", "10", "-i", "0.1", "-W", "1", address)
          #expect(ping.status == 0)
          #expect(try neighbour.run("ip", "neigh", "show", address).contains("lladdr \(mac)"))
        }
      }
    }

    /// The test above would show nothing if neighbours asked again by themselves.
    @Test("and is not, without an announcement")
    func notAnnounced() throws {
      try exchange(["--no-announce"]) { neighbour, mac in
        for address in Self.addresses {
          let ping = try neighbour.attempt("ping", "-n", "-c", "1", "-W", "1", address)
          #expect(ping.status == 1)
          #expect(try !neighbour.run("ip", "neigh", "show", address).contains("lladdr \(mac)"))
        }
      }
    }
  }
}
