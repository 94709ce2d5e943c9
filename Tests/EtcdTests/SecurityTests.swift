import Etcd
import Foundation
import Support
import Testing

@Suite(.enabled(if: EtcdServer.isThere, EtcdBed.skip))
struct SecurityTests {
  /// An etcd that takes clients with a certificate of `certificates` alone.
  private func withSecureEtcd(
    _ name: String, _ body: (TestNamespace, EtcdServer, Certificates) throws -> Void
  ) throws {
    let namespace = try TestNamespace()
    let certificates = try Certificates(name)
    let server = try EtcdServer(
      in: namespace, isSecure: true,
      options: [
        "--cert-file", certificates.path("server.crt"), "--key-file", certificates.path("server.key"),
        "--trusted-ca-file", certificates.path("ca.crt"), "--client-cert-auth",
      ])
    try server.start()
    defer { server.kill() }
    try body(namespace, server, certificates)
  }

  private func trust(_ configuration: inout EtcdConfiguration, _ certificates: Certificates) {
    configuration.certificateAuthority = certificates.path("ca.crt")
    configuration.certificate = certificates.path("client.crt")
    configuration.key = certificates.path("client.key")
    configuration.limits.patience = .seconds(3)
  }

  @Test func certificatesOfBothSides() throws {
    try withSecureEtcd("IP:127.0.0.1") { namespace, server, certificates in
      let client = try namespace.client([server.endpoint]) { trust(&$0, certificates) }
      let start = try client.put("/a", Data("1"))
      #expect(try client.range(.key("/a")).values.map(\.value.text) == ["1"])
      let watch = try client.watch(.key("/a"), from: start)
      #expect(try watch.next(within: .seconds(30))?.events.count == 1)
      try client.put("/large", Data(count: 1 << 20))
      #expect(try client.range(.key("/large")).values.first?.value.count == 1 << 20)
    }
  }

  @Test func whoIsNotTrusted() throws {
    try withSecureEtcd("DNS:etcd.example") { namespace, server, certificates in
      let others = try Certificates()
      func refuse(_ words: String, _ change: (inout EtcdConfiguration) -> Void) throws {
        let client = try namespace.client([server.endpoint]) {
          trust(&$0, certificates)
          $0.serverName = "etcd.example"
          change(&$0)
        }
        let error = expect(.unreachable) { try client.range(.key("/a")) }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
      }
      try refuse("CERTIFICATE_VERIFY_FAILED") { $0.certificateAuthority = others.path("ca.crt") }
      try refuse("take our certificate") { ($0.certificate, $0.key) = (nil, nil) }
      try refuse("take our certificate") {
        ($0.certificate, $0.key) = (others.path("client.crt"), others.path("client.key"))
      }
      try refuse("Couldn't find other.example") { $0.serverName = "other.example" }
      try refuse("Couldn't find its address") { $0.serverName = nil }
      let named = try namespace.client([server.endpoint]) {
        trust(&$0, certificates)
        $0.serverName = "etcd.example"
      }
      #expect(try named.put("/a", Data()) > 0)
      // TLS where there is none, and none where there is.
      let plain = try namespace.client(["http" + server.endpoint.dropFirst(5)]) { $0.limits.patience = .seconds(1) }
      #expect(throws: EtcdError.self) { try plain.range(.key("/a")) }
    }
  }

  @Test func filesThatAreNoCertificates() throws {
    let certificates = try Certificates()
    let namespace = try TestNamespace()
    func refuse(_ words: String, _ change: (inout EtcdConfiguration) -> Void) {
      let error = expect(.invalid) {
        try namespace.client(["https://127.0.0.1"]) {
          trust(&$0, certificates)
          change(&$0)
        }
      }
      #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
    refuse("authorities' certificates /nowhere") { $0.certificateAuthority = "/nowhere" }
    refuse("/dev/null") { $0.certificateAuthority = "/dev/null" }
    refuse("client certificate") { $0.certificate = certificates.path("client.key") }
    refuse("key") { $0.key = certificates.path("client.crt") }
    refuse("go together") { $0.key = certificates.path("server.key") }
    refuse("together") { $0.key = nil }
  }

  // MARK: User and password

  private func withUsers(_ options: [String] = [], _ body: (TestNamespace, EtcdServer) throws -> Void) throws {
    let namespace = try TestNamespace()
    let server = try EtcdServer(in: namespace, options: options)
    try server.start()
    defer { server.kill() }
    try server.control("user", "add", "root:secret")
    try server.control("user", "grant-role", "root", "root")
    try server.control("role", "add", "martlet")
    try server.control("role", "grant-permission", "martlet", "readwrite", "/martlet/", "--prefix")
    try server.control("user", "add", "martlet:swift")
    try server.control("user", "grant-role", "martlet", "martlet")
    try server.control("auth", "enable")
    try body(namespace, server)
  }

  @Test func whatAUserMay() throws {
    try withUsers { namespace, server in
      let client = try namespace.client([server.endpoint]) { ($0.user, $0.password) = ("martlet", "swift") }
      let start = try client.put("/martlet/a", Data("1"))
      let watch = try client.watch(.prefix("/martlet/"), from: start)
      #expect(try watch.next(within: .seconds(30))?.events.count == 1)
      #expect(try client.keepAlive(try client.grantLease(seconds: 10)) == 10)
      expect(.denied) { try client.put("/other", Data()) }
      expect(.denied) { try client.watch(.prefix("/other"), from: start) }
      let wrong = try namespace.client([server.endpoint]) { ($0.user, $0.password) = ("martlet", "swallow") }
      #expect(expect(.denied) { try wrong.range(.key("/martlet/a")) }?.message.contains("check user") == true)
      let nobody = try namespace.client([server.endpoint])
      #expect(expect(.unauthenticated) { try nobody.range(.key("/a")) }?.message.contains("wants a user") == true)
    }
  }

  /// Tokens end by themselves, and with the etcd that gave them.
  @Test func tokensAreRenewed() throws {
    try withUsers(["--auth-token-ttl", "1"]) { namespace, server in
      let client = try namespace.client([server.endpoint]) { ($0.user, $0.password) = ("martlet", "swift") }
      let start = try client.put("/martlet/a", Data("1"))
      let stamp = ContinuousClock.now
      try eventually("the token has ended") { ContinuousClock.now - stamp > .seconds(3) }
      try client.put("/martlet/a", Data("2"))
      server.kill()
      try server.start()
      #expect(try client.put("/martlet/a", Data("3")) > start)
      server.kill()
      try server.start()
      let watch = try client.watch(.prefix("/martlet/"), from: start + 2)
      #expect(try watch.next(within: .seconds(30))?.events.count == 1)
    }
  }

  @Test func aPasswordWhereNoneIsWanted() throws {
    try EtcdBed.run { bed in
      let client = try bed.client { ($0.user, $0.password) = ("martlet", "swift") }
      #expect(expect(.denied) { try client.range(.key("/a")) }?.message.contains("leave user and password") == true)
    }
  }
}

/// An authority, a server's certificate for one name, and a client's.
struct Certificates {
  private let directory: TemporaryDirectory

  init(_ name: String = "IP:127.0.0.1") throws {
    directory = try TemporaryDirectory()
    func openssl(_ words: String...) throws { try TestProgram.run(["openssl"] + words) }
    func key(_ name: String) throws {
      try openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path(name + ".key"))
    }
    try key("ca")
    try openssl(
      "req", "-x509", "-new", "-key", path("ca.key"), "-subj", "/CN=authority", "-days", "2", "-out", path("ca.crt"))
    for (name, extensions) in [
      ("server", "subjectAltName=\(name)\nextendedKeyUsage=serverAuth,clientAuth\n"),
      ("client", "extendedKeyUsage=clientAuth\n"),
    ] {
      try key(name)
      try openssl("req", "-new", "-key", path(name + ".key"), "-subj", "/CN=\(name)", "-out", path(name + ".csr"))
      try extensions.write(toFile: path(name + ".ext"), atomically: true, encoding: .utf8)
      try openssl(
        "x509", "-req", "-in", path(name + ".csr"), "-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-CAcreateserial",
        "-days", "2", "-extfile", path(name + ".ext"), "-out", path(name + ".crt"))
    }
  }

  func path(_ name: String) -> String { "\(directory.path)/\(name)" }
}
