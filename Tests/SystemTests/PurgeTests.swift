import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("Nothing is left behind")
  struct Purge {
    @Test("after shutdown --purge the namespace is as it was before")
    func purge() throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        let adopted = try testbed.makeNamespace("adopted")
        let pristine = try (daemon.namespace.configuration(), adopted.configuration())
        try daemon.start()
        try daemon.martlet("network", "create", "lab", "--ipv6")
        try daemon.martlet("network", "create", "closed", "--internal", "--ipv6")
        try daemon.martlet("network", "create", "plain", "--no-gateway")
        let made = try daemon.sandbox("made", on: "lab")
        try daemon.connect(made, to: "closed")
        try daemon.martlet("sandbox", "create", "\(made.name)-peer", "--share", made.name)
        try daemon.martlet("network", "connect", "lab", adopted.path)
        try daemon.martlet("network", "connect", "plain", adopted.path)
        try daemon.martlet("fdb", "add", "lab", "02:00:00:00:00:77", "gateway")
        #expect(FileManager.default.fileExists(atPath: "/etc/netns/\(made.name)/resolv.conf"))
        #expect(FileManager.default.fileExists(atPath: made.path))

        try daemon.purge()
        #expect(try daemon.namespace.configuration() == pristine.0)
        #expect(try adopted.configuration() == pristine.1)
        let manager = FileManager.default
        #expect(!manager.fileExists(atPath: made.path))
        #expect(!manager.fileExists(atPath: daemon.socket))
        for name in (try? manager.contentsOfDirectory(atPath: "/etc/netns")) ?? [] {
          #expect(!name.hasPrefix(testbed.prefix))
        }

        // And nothing of it comes back.
        try daemon.start()
        #expect(try daemon.martlet("network", "ls", "--quiet").isEmpty)
        #expect(try daemon.martlet("sandbox", "ls", "--quiet").isEmpty)
        #expect(try daemon.namespace.configuration() == pristine.0)
      }
    }

    @Test("without --purge everything stays in place, but for the socket")
    func shutdown() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let a = try daemon.sandbox("a", on: "lab")
        let addresses = try a.run("ip", "-br", "addr", "show", "eth0").split(separator: " ").dropFirst(2)
        try daemon.end(by: SIGTERM)
        #expect(try a.run("ip", "-br", "addr", "show", "eth0").split(separator: " ").dropFirst(2) == addresses)
        #expect(!FileManager.default.fileExists(atPath: daemon.socket))
      }
    }
  }
}
