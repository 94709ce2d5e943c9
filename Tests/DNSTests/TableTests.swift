import Testing
import Wire

@testable import DNS

/// What the table says, without a message or a socket.
@Suite struct TableTests {
  @Test func `names, aliases and NAME.NETWORK are found in any spelling, and nothing else is`() {
    var bed = TableBed()
    bed.network("n1", "Lan")
    bed.endpoint("e1", "n1", "s1", ["Web", "www", "db.prod"], ["10.0.0.2", "fd00::2"])
    for name in ["web", "wEB", "www", "db.prod", "web.lan", "WWW.LAN", "db.prod.lan"] {
      #expect(bed.addresses(name, for: "s1") == ["10.0.0.2"], "\(name)")
      #expect(bed.addresses(name, .aaaa, for: "s1") == ["fd00::2"], "\(name)")
    }
    for name in ["we", "web.la", "web.lann", "weblan", "x.web", "web.lan.lan", "lan", ".lan", "", "prod"] {
      #expect(bed.find(name, .a, for: "s1") == .unknown, "\(name)")
    }
  }

  @Test func `a name without a record of the type has no data, and is ours all the same`() {
    var bed = TableBed()
    bed.network("n1", "lan")
    bed.endpoint("e1", "n1", "s1", ["web"], ["10.0.0.2"])
    #expect(bed.find("web", .aaaa, for: "s1") == .records([]))
    #expect(bed.find("web.lan", .srv, for: "s1") == .records([]))
    #expect(bed.find("2.0.0.10.in-addr.arpa", .a, for: "s1") == .records([]))
  }

  @Test func `a sandbox finds the names of its networks and of no other`() {
    var bed = TableBed()
    for (id, name) in [("n1", "lan"), ("n2", "wan"), ("n3", "far")] { bed.network(id, name) }
    bed.endpoint("e1", "n1", "s1", ["web"], ["10.0.1.2"])
    bed.endpoint("e2", "n2", "s1", ["web"], ["10.0.2.2"])
    bed.endpoint("e3", "n2", "s2", ["db"], ["10.0.2.3"])
    bed.endpoint("e4", "n3", "s3", ["secret"], ["10.0.3.2"])
    #expect(bed.addresses("db", for: "s1") == ["10.0.2.3"])
    for name in ["secret", "secret.far", "2.3.0.10.in-addr.arpa"] {
      #expect(bed.find(name, .ptr, for: "s1") == .unknown, "\(name)")
    }
    // s2 is on n2 alone, and s4 on none.
    #expect(bed.addresses("web", for: "s2") == ["10.0.2.2"])
    #expect(bed.find("web.lan", .a, for: "s2") == .unknown)
    #expect(bed.find("web", .a, for: "s4") == .unknown)
  }

  @Test func `of two networks that know a name the first connected one has the word, and NAME.NETWORK chooses`() {
    var bed = TableBed()
    for (id, name) in [("n1", "lan"), ("n2", "wan")] { bed.network(id, name) }
    bed.endpoint("e1", "n2", "s1", ["me"], ["10.0.2.9"])
    bed.endpoint("e2", "n1", "s1", ["me"], ["10.0.1.9"])
    bed.endpoint("e3", "n1", "s2", ["web"], ["10.0.1.2"])
    bed.endpoint("e4", "n2", "s3", ["web"], ["10.0.2.2"])
    #expect(bed.addresses("web", for: "s1") == ["10.0.2.2"])
    #expect(bed.addresses("web.lan", for: "s1") == ["10.0.1.2"])
    // An endpoint that changes keeps its place.
    bed.endpoint("e1", "n2", "s1", ["me", "other"], ["10.0.2.9"])
    #expect(bed.addresses("web", for: "s1") == ["10.0.2.2"])
    // Who asks at a network's address finds that network's first.
    #expect(bed.table.scope(of: .network("n1"), source: IPAddress("10.0.1.9"), isHost: false) == ["n1", "n2"])
  }

  @Test
  func
    `an asker is told by its address in that network, the host by the address served at, and a stranger gets nothing`()
  {
    var bed = TableBed()
    bed.network("n1", "lan")
    bed.network("n2", "wan")
    bed.endpoint("e1", "n1", "s1", ["web"], ["10.0.1.2", "fd00::2"])
    bed.endpoint("e2", "n2", "s2", ["db"], ["10.0.2.2"])
    #expect(bed.table.scope(of: .network("n1"), source: IPAddress("fd00::2"), isHost: false) == ["n1"])
    #expect(bed.table.scope(of: .network("n1"), source: IPAddress("10.0.1.1"), isHost: true) == ["n1"])
    #expect(bed.table.scope(of: .network("n1"), source: IPAddress("10.0.2.2"), isHost: false) == nil)
    #expect(bed.table.scope(of: .network("n9"), source: IPAddress("10.0.1.2"), isHost: false) == nil)
    #expect(bed.table.scope(of: .network("n1"), source: nil, isHost: false) == nil)
  }

  @Test func `several endpoints of one name take turns at being first`() {
    var bed = TableBed()
    bed.network("n1", "lan")
    for last in 1...3 { bed.endpoint("e\(last)", "n1", "s\(last)", ["c\(last)", "web"], ["10.0.0.\(last)"]) }
    let answers = (0..<4).map { _ in bed.addresses("web", for: "s1") }
    #expect(answers.map(\.first) == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1"])
    #expect(answers.allSatisfy { Set($0) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"] })
    bed.table.removeEndpoint(id: "e2")
    #expect(Set(bed.addresses("web", for: "s1")) == ["10.0.0.1", "10.0.0.3"])
  }

  @Test func `what goes takes its names along, and what stays keeps them`() {
    var bed = TableBed()
    bed.network("n1", "lan")
    bed.endpoint("e1", "n1", "s1", ["a"], ["10.0.0.1"])
    bed.endpoint("e2", "n1", "s2", ["b", "B", "web"], ["10.0.0.2"])
    // Given back and handed out again before the old one is taken away.
    bed.endpoint("e3", "n1", "s3", ["c"], ["10.0.0.2"])
    bed.table.removeEndpoint(id: "e2")
    bed.table.removeEndpoint(id: "e2")
    for name in ["b", "web", "b.lan"] { #expect(bed.find(name, .a, for: "s1") == .unknown, "\(name)") }
    #expect(bed.pointer("2.0.0.10.in-addr.arpa", for: "s1") == "c.lan")
    bed.network("n1", "net")
    #expect(bed.find("c.lan", .a, for: "s1") == .unknown)
    #expect(bed.addresses("c.net", for: "s1") == ["10.0.0.2"])
    // Another name, another address.
    bed.endpoint("e3", "n1", "s3", ["d"], ["10.0.0.3"])
    #expect(bed.find("c", .a, for: "s1") == .unknown)
    #expect(bed.find("2.0.0.10.in-addr.arpa", .ptr, for: "s1") == .unknown)
    bed.table.removeNetwork(id: "n1")
    #expect(bed.find("d", .a, for: "s3") == .unknown)
    #expect(bed.table.scope(of: .sandbox("s3"), source: nil, isHost: false) == [])
    bed.endpoint("e4", "n1", "s3", ["d"], ["10.0.0.3"])
    #expect(bed.addresses("d", for: "s3") == ["10.0.0.3"])
  }

  @Test func `reverse names are those of RFC 1035 and RFC 3596, whole and in one form`() {
    // RFC 1035, 3.5, and RFC 3596, 2.5.
    #expect(IPAddress(reverseName: "52.0.2.10.in-addr.arpa") == IPAddress("10.2.0.52"))
    #expect(
      IPAddress(reverseName: "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa")
        == IPAddress("4321:0:1:2:3:4:567:89ab"))
    for name in [
      "in-addr.arpa", "10.in-addr.arpa", "1.2.3.10.20.in-addr.arpa", "052.0.2.10.in-addr.arpa",
      "256.0.2.10.in-addr.arpa",
      "+1.0.2.10.in-addr.arpa", ".0.2.10.in-addr.arpa", "52.0.2.10.in-addr.arp", "b.a.9.8.ip6.arpa",
      "ba.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.0.ip6.arpa",
      "g.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa",
    ] { #expect(IPAddress(reverseName: name) == nil, "\(name)") }
  }

  @Test func `an address's name is the sandbox's own in its network`() {
    var bed = TableBed()
    bed.network("n1", "lan")
    bed.endpoint("e1", "n1", "s1", ["web", "www"], ["10.0.0.2", "fd00::2"])
    #expect(bed.pointer("2.0.0.10.in-addr.arpa", for: "s1") == "web.lan")
    let zeros = String(repeating: "0.", count: 27)
    #expect(bed.pointer("2.0.0.0.\(zeros)d.f.ip6.arpa", for: "s1") == nil)
    #expect(bed.pointer("2.\(zeros)0.0.d.f.ip6.arpa", for: "s1") == "web.lan")
  }

  @Test func `names that the DNS cannot carry are never found, and hide no others`() {
    var bed = TableBed()
    let long = String(repeating: "x", count: 64)
    bed.network("n1", long)
    bed.endpoint("e1", "n1", "s1", [long, "a..b", "", ".", "tab\t", "über", "back\\slash", "ok"], ["10.0.0.2"])
    #expect(bed.addresses("ok", for: "s1") == ["10.0.0.2"])
    #expect(bed.find("ok.\(long)", .a, for: "s1") == .unknown)
    for name in [long, "a..b", "", "über"] { #expect(bed.find(name, .a, for: "s1") == .unknown, "\(name)") }
    #expect(bed.pointer("2.0.0.10.in-addr.arpa", for: "s1") == "ok")
    // 253 bytes fit, and no more (RFC 1035, 2.3.4).
    let labels = Array(repeating: String(repeating: "y", count: 62), count: 4).joined(separator: ".")
    #expect(DomainName(labels + ".z") != nil)
    #expect(DomainName(labels + ".zz") == nil)
    #expect(DomainName(labels)?.within(DomainName("z")!) != nil)
    #expect(DomainName(labels)?.within(DomainName("zz")!) == nil)
  }

  @Test func `services are found by port and by registered name, each transport for itself`() {
    var bed = TableBed()
    bed.network("n1", "lan")
    bed.endpoint(
      "e1", "n1", "s1", ["web", "front"], ["10.0.0.2"], [.init(port: 80), .init(port: 53, transport: .udp)])
    bed.endpoint("e2", "n1", "s2", ["web2", "front"], ["10.0.0.3"], [.init(port: 80)])
    #expect(bed.services("_80._tcp.web", for: "s1") == ["web:80"])
    #expect(bed.services("_http._tcp.web", for: "s1") == ["web:80"])
    #expect(bed.services("_http._tcp.web.lan", for: "s1") == ["web.lan:80"])
    #expect(bed.services("_domain._udp.web", for: "s1") == ["web:53"])
    #expect(bed.services("_http._tcp.front", for: "s1") == ["web:80", "web2:80"])
    #expect(bed.services("_http._tcp.front", for: "s1") == ["web2:80", "web:80"])
    for name in ["_53._tcp.web", "_81._tcp.web", "_http._udp.web", "_._tcp.web", "_080._tcp.web", "_x._y.web"] {
      #expect(bed.find(name, .srv, for: "s1") == .noSuchName, "\(name)")
    }
    for name in ["_http._tcp.example", "_http._tcp", "_http.web", "http._tcp.web", "_http.tcp.web"] {
      #expect(bed.find(name, .srv, for: "s1") == .unknown, "\(name)")
    }
    #expect(bed.find("_80._tcp.web", .a, for: "s1") == .records([]))
  }

  @Test func `an answer has no more records than it may, others each time`() {
    var bed = TableBed(recordCountMax: 3)
    bed.network("n1", "lan")
    for last in 1...5 { bed.endpoint("e\(last)", "n1", "s\(last)", ["web"], ["10.0.0.\(last)"]) }
    let answers = (0..<5).map { _ in bed.addresses("web", for: "s1") }
    #expect(answers.allSatisfy { $0.count == 3 })
    #expect(Set(answers.joined()).count == 5)
  }
}
