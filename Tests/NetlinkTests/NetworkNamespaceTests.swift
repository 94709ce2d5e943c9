import Foundation
import Netlink
import SystemCalls
import Testing

@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct NetworkNamespaceTests {
  @Test func createdNamespaceIsOneOfIPsAndGoes() throws {
    let name = uniqueName()
    defer { _ = try? Command.attempt(["ip", "netns", "del", name]) }
    let namespace = try NetworkNamespace.create(name: name)
    #expect(try namesOfIP().contains(name))
    // The inode as a process inside sees it, and not that of the test.
    let inside = try Command.run("ip", "netns", "exec", name, "readlink", "/proc/self/ns/net")
    #expect(inside == "net:[\(namespace.inode)]\n")
    let own = try NetworkNamespace.current()
    #expect(namespace.inode != own.inode)
    struct Loopback: Decodable { let flags: [String] }
    let loopback = try TestNamespace(name: name).show(Loopback.self, "link", "show", "lo")
    #expect(loopback.first?.flags.contains("UP") == true)

    try NetworkNamespace.remove(name: name)
    #expect(try !namesOfIP().contains(name))
    #expect(!FileManager.default.fileExists(atPath: "/run/netns/\(name)"))
    #expect(try !String(contentsOfFile: "/proc/self/mounts", encoding: .utf8).contains(name))
  }

  @Test func takenNameIsRefusedAndKept() throws {
    try withNamespace { taken in
      let inode = try NetworkNamespace(path: taken.path).inode
      let error = #expect(throws: Errno.self) { _ = try NetworkNamespace.create(name: taken.name) }
      #expect(error?.code == EEXIST)
      let kept = try NetworkNamespace(path: taken.path)
      #expect(kept.inode == inode)
    }
  }

  /// Descriptors run out at each step in turn, until there are enough; in a process of its own, as the limit is a
  /// process's.
  @Test func creationThatFailsLeavesNothing() async {
    await #expect(processExitsWith: .success) {
      let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
      var usual = rlimit()
      try #require(getrlimit(resource, &usual) == 0)
      var failedSteps: Set<String> = []
      var scarce = rlimit(rlim_cur: min(256, usual.rlim_max), rlim_max: usual.rlim_max)
      for free in 0... {
        let name = uniqueName()
        setrlimit(resource, &scarce)
        // All are taken but `free`, whatever the process was given at its start.
        var taken: [Int32] = []
        while case let descriptor = dup(STDERR_FILENO), descriptor >= 0 { taken.append(descriptor) }
        for descriptor in taken.suffix(free) { close(descriptor) }
        let result = Result { () throws(Errno) in _ = try NetworkNamespace.create(name: name) }
        for descriptor in taken.dropLast(free) { close(descriptor) }
        setrlimit(resource, &usual)  // The test's own tools need descriptors too.
        guard case .failure(let error) = result else {
          try NetworkNamespace.remove(name: name)
          break
        }
        try #require(error.code == EMFILE)
        failedSteps.insert(error.operation)
        try #require(access("/run/netns/\(name)", F_OK) != 0)
      }
      // The directory's lock, the new namespace, the socket in it; the file too where the test's own threads take one.
      try #require(failedSteps.count >= 3)
    }
  }

  @Test func removeOfNothingIsNoEntry() {
    let error = #expect(throws: Errno.self) { try NetworkNamespace.remove(name: uniqueName()) }
    #expect(error?.code == ENOENT)
  }

  /// What a killed `ip netns add` leaves: the file with no mount over it.
  @Test func fileLeftWithoutAMountIsRemoved() throws {
    let name = uniqueName()
    defer { unlink("/run/netns/\(name)") }
    try withNamespace { _ in  // Makes sure that the directory is there.
      #expect(FileManager.default.createFile(atPath: "/run/netns/\(name)", contents: nil))
      try NetworkNamespace.remove(name: name)
      #expect(!FileManager.default.fileExists(atPath: "/run/netns/\(name)"))
    }
  }

  @Test(arguments: ["", ".", "..", "a/b", "../etc", "zero\0byte", String(repeating: "x", count: 256)])
  func nameThatIsNoFileNameIsRefused(_ name: String) {
    #expect(!NetworkNamespace.isValidName(name))
    let creation = #expect(throws: Errno.self) { _ = try NetworkNamespace.create(name: name) }
    #expect(creation?.code == EINVAL)
    let removal = #expect(throws: Errno.self) { try NetworkNamespace.remove(name: name) }
    #expect(removal?.code == EINVAL)
  }

  @Test(arguments: ["a", "web-1", "...", "ü", String(repeating: "x", count: 255)])
  func fileNameIsTaken(_ name: String) { #expect(NetworkNamespace.isValidName(name)) }

  @Test func adoptsByPath() throws {
    try withNamespace { other in
      let adopted = try NetworkNamespace(path: other.path)
      #expect(try Command.run("stat", "-L", "-c", "%i", other.path) == "\(adopted.inode)\n")
      let again = try NetworkNamespace(path: other.path)
      #expect(again.identity == adopted.identity)
    }
  }

  @Test func refusesWhatIsNoNetworkNamespace() throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(uniqueName())
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: directory) }
    let file = directory.appendingPathComponent("file").path
    let fifo = directory.appendingPathComponent("fifo").path
    #expect(FileManager.default.createFile(atPath: file, contents: nil))
    #expect(mkfifo(fifo, 0o600) == 0)
    for path in [file, fifo, directory.path, "/proc/self/ns/mnt"] {
      let error = #expect(throws: Errno.self) { _ = try NetworkNamespace(path: path) }
      #expect(error?.description == "open \(path), which is not a network namespace: Invalid argument")
    }
    let missing = directory.appendingPathComponent("missing").path
    let error = #expect(throws: Errno.self) { _ = try NetworkNamespace(path: missing) }
    #expect(error?.description == "open \(missing): No such file or directory")
  }

  @Test func runsInsideAndComesBack() throws {
    func here() throws(Errno) -> NetworkNamespace.Identity { try NetworkNamespace.current().identity }
    try withNamespace { other in
      let home = try here()
      let namespace = try NetworkNamespace(path: other.path)
      let inside = try namespace.run(here)
      #expect(inside == namespace.identity)
      #expect(try here() == home)

      var thrown: Errno?
      do throws(Errno) { try namespace.run { () throws(Errno) in throw Errno(EPERM, "stop") } } catch { thrown = error }
      #expect(thrown == Errno(EPERM, "stop"))
      #expect(try here() == home)
    }
  }

  @Test func sysctlsAreTheNamespacesOwn() throws {
    try withNamespaces(2) { pair in
      let namespace = try NetworkNamespace(path: pair[0].path)
      let before = try namespace.sysctl("ipv4/ip_forward")
      let after = before == "0" ? "1" : "0"
      try namespace.setSysctl("ipv4/ip_forward", to: after)
      func seen(in namespace: TestNamespace) throws -> String {
        try Command.run("ip", "netns", "exec", namespace.name, "cat", "/proc/sys/net/ipv4/ip_forward")
      }
      #expect(try seen(in: pair[0]) == after + "\n")
      #expect(try seen(in: pair[1]) == before + "\n")
      let read = try namespace.sysctl("ipv4/ip_forward")
      #expect(read == after)

      let path = "ipv4/conf/none/forwarding"
      var thrown: Errno?
      do throws(Errno) { try namespace.setSysctl(path, to: "1") } catch { thrown = error }
      #expect(thrown == Errno(ENOENT, "open /proc/sys/net/\(path)"))
      do throws(Errno) { try namespace.setSysctl("ipv4/ip_forward", to: "many") } catch { thrown = error }
      #expect(thrown == Errno(EINVAL, "write 'many' to /proc/sys/net/ipv4/ip_forward"))
    }
  }

  private func namesOfIP() throws -> [String] {
    struct Entry: Decodable { let name: String }
    let text = try Command.run("ip", "-j", "netns", "list")
    return try JSONDecoder().decode([Entry].self, from: Data(text.utf8)).map(\.name)
  }
}
