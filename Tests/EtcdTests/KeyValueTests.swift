import Etcd
import Foundation
import Support
import Testing

/// etcdctl is the other side of every comparison.
@Suite(.enabled(if: EtcdServer.isThere, EtcdBed.skip))
struct KeyValueTests {
  @Test func whatOneWritesTheOtherReads() throws {
    try EtcdBed.run { bed in
      let client = try bed.client()
      try bed.server.control("put", "/a/1", "from etcdctl: \"ä\"\n")
      let read = try client.range(.key("/a/1"))
      #expect(read.values.map(\.value.text) == ["from etcdctl: \"ä\"\n"])
      #expect(read.values.first?.version == 1)
      #expect(read.values.first?.modRevision == read.revision)
      #expect(read.values.first?.lease == nil)
      let every = Data(0...255)
      let revision = try client.put("/a/2", every)
      #expect(revision == read.revision + 1)
      #expect(try client.range(.key("/a/2")).values.first?.value == every)
      try client.put("/a/3", Data("text"))
      #expect(try bed.server.control("get", "/a/3", "--print-value-only") == "text\n")
      #expect(try client.range(.prefix("/a/")).values.map(\.key) == ["/a/1", "/a/2", "/a/3"])
      #expect(try client.range(.prefix("/a/"), revision: revision).values.map(\.key) == ["/a/1", "/a/2"])
      #expect(try client.range(.prefix("/b")).values.isEmpty)
      #expect(try client.delete(.prefix("/a/")) == 3)
      #expect(try bed.server.control("get", "--prefix", "/a/") == "")
    }
  }

  @Test func pagesAreOfOneRevision() throws {
    try EtcdBed.run { bed in
      let client = try bed.client { $0.limits.pageKeys = 7 }
      let keys = (0..<100).map { "/p/" + String(1000 + $0) }
      for start in stride(from: 0, to: 100, by: 50) {
        _ = try client.transaction([], success: keys[start..<start + 50].map { .put($0, Data($0)) })
      }
      let part = try client.range(.prefix("/p/"), limit: 3, keysOnly: true)
      #expect((part.values.map(\.key), part.count, part.isPartial) == (Array(keys.prefix(3)), 100, true))
      #expect(part.values.allSatisfy { $0.value.isEmpty })
      let all = try client.readAll(.prefix("/p/"))
      #expect(all.values.map(\.key) == keys)
      #expect(all.values.map(\.value.text) == keys)
      #expect(all.revision == part.revision)
    }
  }

  /// Twelve values of a megabyte are more than etcd's gateway hands over in one answer (4 MiB) and than one may have
  /// here.
  @Test func pagesThatAreTooLargeAreMadeSmaller() throws {
    try EtcdBed.run { bed in
      let client = try bed.client()
      for number in 0..<12 { try client.put("/large/\(number)", Data(count: 1 << 20)) }
      expect(.tooLarge) { try client.range(.prefix("/large/")) }
      #expect(try client.readAll(.prefix("/large/")).values.count == 12)
      let modest = try bed.client { $0.limits.totalBytesMax = 10 << 20 }
      expect(.tooLarge) { try modest.readAll(.prefix("/large/")) }
    }
  }

  @Test func aRevisionThatIsForgotten() throws {
    try EtcdBed.run { bed in
      let client = try bed.client()
      let first = try client.put("/a", Data("1"))
      let second = try client.put("/a", Data("2"))
      try bed.server.control("compact", String(second))
      expect(.compacted) { try client.range(.key("/a"), revision: first) }
    }
  }

  @Test func comparisons() throws {
    try EtcdBed.run { bed in
      let client = try bed.client()
      let revision = try client.put("/a", Data("1"))
      func holds(_ compare: Compare) throws -> Bool {
        try client.transaction([compare], success: [], failure: []).succeeded
      }
      let lease = try client.grantLease(seconds: 60)
      try client.put("/leased", Data(), lease: lease)
      let truths: [(Compare, Bool)] = [
        (.isAbsent("/a"), false), (.isAbsent("/b"), true), (.exists("/a"), true), (.exists("/b"), false),
        (.isAbsent(.prefix("/a")), false), (.isAbsent(.prefix("/b")), true),
        (.isUnchanged("/a", since: revision), true), (.isUnchanged("/a", since: revision - 1), false),
        (Compare(.key("/a"), .equal, .version(1)), true), (Compare(.key("/a"), .greater, .version(1)), false),
        (Compare(.key("/a"), .less, .modRevision(revision + 1)), true),
        (Compare(.key("/a"), .equal, .value(Data("1"))), true),
        (Compare(.key("/a"), .notEqual, .value(Data("1"))), false),
        (Compare(.key("/leased"), .equal, .lease(lease)), true), (Compare(.key("/a"), .equal, .lease(lease)), false),
      ]
      for (compare, truth) in truths { #expect(try holds(compare) == truth, "\(compare)") }
    }
  }

  @Test func aTransactionTakesOneBranch() throws {
    try EtcdBed.run { bed in
      let client = try bed.client()
      func claim(_ owner: String) throws -> TransactionAnswer {
        try client.transaction(
          [.isAbsent("/claim")], success: [.put("/claim", Data(owner)), .delete(.key("/nothing"))],
          failure: [.range(.key("/claim")), .range(.prefix("/none"), limit: 1)])
      }
      let first = try claim("a")
      #expect((first.succeeded, first.results.map(\.count)) == (true, [0, 0]))
      let second = try claim("b")
      #expect(!second.succeeded)
      #expect(second.results.map { $0.map(\.value.text) } == [["a"], []])
      #expect(try bed.server.control("get", "/claim", "--print-value-only") == "a\n")
      let refused = expect(.refused) {
        try client.transaction([], success: [.put("/x", Data()), .put("/x", Data())])
      }
      #expect(refused?.message.contains("duplicate key") == true)
    }
  }
}
