import ControlModel
import Glibc
import Logging
import Testing
import Wire

@testable import martletd

@Suite struct ConfigurationTests {
  private func read(_ text: String) throws -> Configuration {
    var configuration = Configuration()
    try configuration.read(text, name: "martlet.yaml")
    return configuration
  }

  @Test func readsAFile() throws {
    let configuration = try read(
      """
      # where it lives
      state-dir: /srv/martlet
      run-dir: "/srv/run"
      log-level: debug
      workers: 2
      spin-us: 0
      nap-us: 10
      docker-plugin: off
      """)
    #expect(configuration.stateDirectory == "/srv/martlet" && configuration.socketPath == "/srv/run/martlet.sock")
    #expect(configuration.logLevel == .debug && configuration.workers == 2 && configuration.dockerPlugin == .off)
    #expect(configuration.workerOptions.spinMicroseconds == 0 && configuration.workerOptions.napMicroseconds == 10)
  }

  @Test func readsACluster() throws {
    let text = """
      cluster:
        endpoints: [https://a:2379, "https://b"]
        prefix: /lab
        host-name: h1
        vtep: [2001:db8::1, 192.0.2.1]
        ca-file: /ca
        cert-file: /cert
        key-file: /key
        server-name: etcd
        user: martlet
        password-file: /password
        lease-seconds: 9

      """
    let configuration = try read(text + "socket: /tmp/a.sock\n")
    let cluster = try #require(configuration.cluster)
    #expect(cluster.endpoints == ["https://a:2379", "https://b"] && cluster.leaseSeconds == 9)
    #expect(cluster.vteps.map(\.description) == ["192.0.2.1", "2001:db8::1"] && cluster.hostName == "h1")
    #expect(try read(configuration.description) == configuration)
    #expect(try read("cluster:\n  endpoints: http://a\n").cluster?.endpoints == ["http://a"])
  }

  @Test(arguments: [
    ("cluster: yes\n", "a section"), ("cluster:\n  prefix: /x\n", "endpoints"),
    ("cluster:\n  endpoints: [[a]]\n", "martlet.yaml:2: a list of plain"),
    ("cluster:\n  endpoints: a\n  end-points: b\n", "martlet.yaml:3: cluster: end-points: no such key"),
    ("cluster:\n  endpoints: a\n  vtep: here\n", "here is no IP address"),
    ("cluster:\n  endpoints: a\n  vtep: [192.0.2.1, 192.0.2.2]\n", "one address a family"),
    ("cluster:\n  endpoints: a\n  ca-file: ca\n", "absolute path"),
    ("cluster:\n  endpoints: a\n  key-file: /key\n", "cert-file and key-file"),
    ("cluster:\n  endpoints: a\n  user: me\n", "user and password-file"),
    ("cluster:\n  endpoints: a\n  lease-seconds: 1\n", "from 2 to 300"),
    ("cluster:\n  endpoints: a\n  prefix: [a, b]\n", "one value"),
  ]) func refusesACluster(text: String, reason: String) {
    let error = #expect(throws: ControlError.self) { try read(text) }
    #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
  }

  @Test(arguments: [
    ("off", ServedPlace.off), ("/run/m.sock", .socket(path: "/run/m.sock")),
    ("unix:/run/m.sock", .socket(path: "/run/m.sock")), ("0.0.0.0:80", .tcp(IPAddress("0.0.0.0")!, port: 80)),
    ("\"[::1]:9100\"", .tcp(IPAddress("::1")!, port: 9100)),
  ]) func readsWhereMetricsAre(text: String, place: ServedPlace) throws {
    let configuration = try read("socket: /tmp/a.sock\nmetrics: \(text)\n")
    #expect(configuration.metrics == place)
    #expect(try read(configuration.description) == configuration)
  }

  @Test(arguments: [
    ("off", ServedPlace.off), ("unix:/run/p.sock", .socket(path: "/run/p.sock")),
    ("127.9.9.9:9180", .tcp(IPAddress("127.9.9.9")!, port: 9180)),
    ("\"[::1]:9180\"", .tcp(IPAddress("::1")!, port: 9180)),
  ]) func readsWhereThePageIs(text: String, place: ServedPlace) throws {
    let configuration = try read("socket: /tmp/a.sock\npage: \(text)\n")
    #expect(configuration.page == place)
    #expect(try read(configuration.description) == configuration)
  }

  @Test(arguments: [
    ("192.0.2.1", "192.0.2.1", 6343), ("192.0.2.1:99", "192.0.2.1", 99), ("2001:db8::1", "2001:db8::1", 6343),
    ("\"[2001:db8::1]:99\"", "2001:db8::1", 99),
  ]) func readsWhereSFlowGoes(text: String, address: String, port: Int) throws {
    let configuration = try read("socket: /tmp/a.sock\nsflow:\n  collector: \(text)\n")
    let sflow = try #require(configuration.sflow)
    #expect(sflow.collector == IPAddress(address) && sflow.port == port && sflow.agent == nil)
    #expect(sflow.sampling == 1000 && sflow.polling == 30 && sflow.header == 128)
    #expect(try read(configuration.description) == configuration)
  }

  @Test func readsHowMuchSFlowSends() throws {
    let configuration = try read(
      "sflow:\n  collector: ::1\n  agent: 192.0.2.9\n  sampling: 0\n  polling: 1\n  header: 64\nsocket: /tmp/a.sock\n")
    let sflow = try #require(configuration.sflow)
    #expect(sflow.agent == IPAddress("192.0.2.9") && sflow.sampling == 0 && sflow.polling == 1 && sflow.header == 64)
    #expect(try read(configuration.description) == configuration)
    #expect(try read("sflow: off\n") == Configuration() && Configuration().description.contains("\nsflow: off\n"))
  }

  @Test(arguments: [
    ("sflow: on\n", "a section"), ("sflow:\n  polling: 1\n", "collector"), ("sflow:\n  collector: [a]\n", "a plain"),
    ("sflow:\n  collector: localhost\n", "martlet.yaml:2: sflow: collector: an address"),
    ("sflow:\n  collector: ::1:x:6343\n", "an address"), ("sflow:\n  collector: 192.0.2.1:0\n", "from 1 to 65535"),
    ("sflow:\n  collector: ::1\n  agent: here\n", "here is no IP address"),
    ("sflow:\n  collector: ::1\n  sampling: -1\n", "from 0 to 16777216"),
    ("sflow:\n  collector: ::1\n  polling: 3601\n", "from 0 to 3600"),
    ("sflow:\n  collector: ::1\n  header: 13\n", "from 14 to 512"),
    ("sflow:\n  collector: ::1\n  rate: 1\n", "martlet.yaml:3: sflow: rate: no such key"),
    ("sflow:\n  collector: ::1\n  sampling: 0\n  polling: 0\n", "nothing is sent"),
  ]) func refusesSFlow(text: String, reason: String) {
    let error = #expect(throws: ControlError.self) { try read(text) }
    #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
  }

  @Test(arguments: ["", "# nothing\n", "---\n"]) func anEmptyFileChangesNothing(text: String) throws {
    #expect(try read(text) == Configuration())
  }

  @Test func whatItSaysOfItselfReadsBack() throws {
    for docker in ["", "docker-plugin: off\n", "docker-plugin: /tmp/plugin.sock\n", "docker-swarm: /tmp/swarm.sock\n"] {
      let configuration = try read("workers: 3\nsocket: /tmp/a.sock\n" + docker)
      #expect(try read(configuration.description) == configuration)
    }
  }

  @Test(arguments: [
    ("stat-dir: /x\n", "martlet.yaml:1: stat-dir: no key stat-dir"),
    ("\n\nworkers: many\n", "martlet.yaml:3: workers: a number"),
    ("workers: 0", "from 1 to 64"), ("spin-us: -1", "from 0 to"), ("state-dir: relative", "absolute path"),
    ("state-dir: [a, b]", "martlet.yaml:1: a plain"), ("- a\n- b\n", "a mapping"), ("a: b: c", "martlet.yaml"),
    ("state-dir: \"open", "martlet.yaml"), ("workers: 1\nworkers: 2\n", "martlet.yaml"),
    ("socket: /" + String(repeating: "x", count: 200), "107"), ("log-level: loud", "no log level loud"),
    ("docker-swarm: global", "absolute path"),
    ("metrics: on", "an address and a port"), ("metrics: 127.0.0.1", "an address and a port"),
    ("metrics: localhost:9100", "an address and a port"), ("metrics: \"::1:9100\"", "an address and a port"),
    ("metrics: 127.0.0.1:0", "from 1 to 65535"), ("metrics: 127.0.0.1:x", "from 1 to 65535"),
    ("metrics: [::1]:9100", "martlet.yaml"), ("metrics: unix:metrics", "absolute path"),
    ("page: 0.0.0.0:9180", "only 127.0.0.1, [::1] or a socket's path"),
    ("page: 192.0.2.1:9180", "to whoever asks"), ("page: \"[::]:9180\"", "to whoever asks"),
    ("page: \"[::ffff:127.0.0.1]:9180\"", "to whoever asks"), ("page: localhost:9180", "an address and a port"),
    ("metrics: /" + String(repeating: "x", count: 200), "107"), ("docker-plugin: on", "absolute path"),
    ("docker-plugin: /" + String(repeating: "x", count: 200), "107"),
  ]) func refuses(text: String, reason: String) {
    do {
      _ = try read(text)
      Issue.record("was not refused")
    } catch let error as ControlError {
      #expect(error.message.contains(reason) && !error.message.contains("\n"), "\(error.message)")
    } catch {
      Issue.record(error)
    }
  }

  @Test func anAbsentFileIsFineUnlessNamed() throws {
    var configuration = Configuration()
    try configuration.read(file: "/nonexistent/martlet.yaml", mustExist: false)
    #expect(configuration == Configuration())
    #expect(throws: ControlError.self) { try configuration.read(file: "/nonexistent/martlet.yaml", mustExist: true) }
  }
}

/// The file that is installed: it says what there is, and sets nothing.
@Suite struct ExampleConfigurationTests {
  /// The lines of packaging/martlet.yaml.
  private let lines: [Substring]

  init() throws {
    let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
    let text = try #require(Self.contents(root + "/packaging/martlet.yaml"))
    lines = text.split(separator: "\n", omittingEmptySubsequences: false)
  }

  private static func contents(_ path: String) -> String? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: Configuration.fileSizeMax)
    return String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
  }

  /// `#key: value`, with the line's number; what is said in words has a space behind the hash.
  private var settings: [(index: Int, key: String, value: String)] {
    lines.enumerated().compactMap { index, line in
      guard line.hasPrefix("#"), !line.hasPrefix("# ") else { return nil }
      let words = line.dropFirst().split(separator: ": ", maxSplits: 1)
      return words.count == 2 ? (index, String(words[0]), String(words[1])) : nil
    }
  }

  @Test func everyKeyIsThereWithWhatItDoes() {
    #expect(settings.map(\.key) == Configuration.keys.filter { $0 != "cluster" && $0 != "sflow" })
    for setting in settings { #expect(lines[setting.index - 1].hasPrefix("# "), "\(setting.key)") }
  }

  /// Uncommented, each section is one.
  @Test(arguments: [("cluster", ClusterSection.keys), ("sflow", SFlowSection.keys)])
  func aSectionHasEveryKey(name: String, known: [String]) throws {
    let start = try #require(lines.firstIndex(of: "#\(name):"))
    let section = lines[start...].prefix { $0.hasPrefix("#") }.map { $0.dropFirst() }
    var configuration = Configuration()
    try configuration.read(section.joined(separator: "\n"), name: "martlet.yaml")
    let keys = section.filter { $0.hasPrefix("  ") && !$0.hasPrefix("  #") }.map {
      $0.dropFirst(2).prefix { $0 != ":" }
    }
    #expect(keys.map(String.init) == known)
    // Their defaults are as said.
    if name == "cluster" { #expect(configuration.cluster?.leaseSeconds == 5) }
    if name == "sflow" {
      var least = Configuration()
      try least.read("sflow:\n  collector: 192.0.2.1\n  agent: 192.0.2.2\n", name: "martlet.yaml")
      #expect(configuration == least)
    }
  }

  @Test func everyValueIsTheDefault() throws {
    var configuration = Configuration()
    for (_, key, value) in settings { try configuration.set(key, to: value, from: key) }
    // That of the machine.
    try configuration.set("workers", to: "\(Configuration().workers)", from: "workers")
    // The default gives way; said in the file, it must be had.
    let said = Configuration().description.split(separator: "# docker-plugin").joined(separator: "docker-plugin")
    #expect(configuration.description == said)
  }

  @Test func nothingIsSet() { #expect(lines.allSatisfy { $0.isEmpty || $0.hasPrefix("#") }) }
}

@Suite struct DaemonPartsTests {
  @Test func missingCapabilitiesAreNamed() throws {
    try MachineCheck.checkCapabilities(effective: UInt64.max)
    #expect {
      try MachineCheck.checkCapabilities(effective: 1 << 21)
    } throws: {
      "\($0)".hasPrefix("CAP_NET_ADMIN missing")
    }
  }

  @Test func aLogLineIsOneLine() {
    // 1763766000 is 2025-11-21T23:00:00Z, as `date -u -d @1763766000` prints it.
    let line = StandardErrorLog.line(
      seconds: 1_763_766_000, level: .warning, message: "a\nb", metadata: ["z": "1", "y": "2\n"])
    #expect(line == "2025-11-21T23:00:00Z warning a b y=2  z=1\n")
  }

  /// sd_notify(3): one datagram, also to an abstract address.
  @Test func notifiesAnAbstractSocket() throws {
    let name = "martlet-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: [0] + Array(name.utf8)) }
    let length = socklen_t(MemoryLayout.offset(of: \sockaddr_un.sun_path)! + 1 + name.utf8.count)
    let bound = withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: $0), length)
      }
    }
    try #require(bound == 0)
    #expect(ServiceManager.send("READY=1", to: "@" + name) == nil)
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    #expect(count >= 0 && String(decoding: buffer[..<max(0, count)], as: UTF8.self) == "READY=1")
    #expect(ServiceManager.send("READY=1", to: "@" + name + "-not")?.code == ECONNREFUSED)
  }
}
