import Etcd
import Foundation
import Support
import Testing

@Suite(.enabled(if: EtcdServer.isThere, EtcdBed.skip))
struct WatchTests {
  @Test func eventsFromARevisionOn() throws {
    try EtcdBed.run { bed in
      let client = try bed.client()
      let start = try client.put("/w/a", Data("1"))
      try client.put("/other", Data("1"))
      try bed.server.control("put", "/w/a", "2")
      let watch = try client.watch(.prefix("/w/"), from: start)
      var events: [WatchEvent] = []
      var next: Int64 = 0
      func read(_ count: Int) throws {
        while events.count < count {
          let answer = try #require(try watch.next(within: .seconds(30)))
          events += answer.events
          next = answer.nextRevision
        }
      }
      try read(2)
      try bed.server.control("del", "/w/a")
      try read(3)
      #expect(next == start + 4)
      #expect(events.map(\.key) == ["/w/a", "/w/a", "/w/a"])
      #expect(events.map(\.modRevision) == [start, start + 2, start + 3])
      guard case .put(let value) = events[1], case .delete = events[2] else {
        Issue.record("\(events)")
        return
      }
      #expect((value.value.text, value.version) == ("2", 2))
      #expect(try watch.next(within: .milliseconds(1)) == nil)
      // Where it had come to, another goes on.
      try client.put("/w/b", Data("3"))
      let other = try client.watch(.prefix("/w/"), from: next)
      #expect(try other.next(within: .seconds(30))?.events.map(\.key) == ["/w/b"])
    }
  }

  @Test func whatIsForgottenAndWhatIsNotThereYet() throws {
    try EtcdBed.run { bed in
      let client = try bed.client()
      let first = try client.put("/a", Data("1"))
      let last = try client.put("/a", Data("2"))
      try bed.server.control("compact", String(last))
      let watch = try client.watch(.key("/a"), from: first)
      let error = expect(.compacted) { try watch.next(within: .seconds(30)) }
      #expect(error?.message.contains("before revision \(last)") == true)
      expect(.compacted) { try client.watch(.key("/a"), from: last + 2) }
      // The next revision is what a watch that has seen all begins at.
      #expect(try client.watch(.key("/a"), from: last + 1).revision == last)
    }
  }

  @Test func progress() throws {
    try EtcdBed.run("--experimental-watch-progress-notify-interval", "100ms") { bed in
      let client = try bed.client()
      let start = try client.put("/a", Data("1"))
      let watch = try client.watch(.prefix("/w/"), from: start)
      let last = try client.put("/a", Data("2"))
      try eventually("it has come to what it does not watch") {
        let answer = try #require(try watch.next(within: .seconds(30)))
        #expect(answer.events.isEmpty)
        return answer.nextRevision == last + 1
      }
    }
  }

  /// etcd cuts an answer that is larger than a request may be, also within one revision.
  @Test func largeAnswersComeInParts() throws {
    try EtcdBed.run("--max-request-bytes", "1000000") { bed in
      let client = try bed.client()
      let start = try client.put("/start", Data())
      for number in 0..<10 {
        _ = try client.transaction(
          [], success: (0..<3).map { .put("/w/\(number)/\($0)", Data(repeating: UInt8($0), count: 250_000)) })
      }
      let watch = try client.watch(.prefix("/w/"), from: start)
      var keys: [String] = []
      var answers = 0
      while keys.count < 30 {
        let answer = try #require(try watch.next(within: .seconds(30)))
        answers += 1
        keys += answer.events.map(\.key)
      }
      #expect(keys == (0..<30).map { "/w/\($0 / 3)/\($0 % 3)" })
      #expect(answers > 1)
    }
  }

  @Test func cancelling() throws {
    try EtcdBed.run { bed in
      let client = try bed.client()
      let watch = try client.watch(.prefix("/w/"), from: 1)
      let waiting = Background { expect(.cancelled) { try watch.next() } }
      watch.cancel()
      waiting.wait()
      watch.cancel()
      expect(.cancelled) { try watch.next() }
      let stopped = try client.watch(.prefix("/w/"), from: 1)
      client.stop()
      #expect(throws: EtcdError.self) { try stopped.next() }
      expect(.cancelled) { try client.range(.key("/a")) }
      client.stop()
    }
  }

  @Test func etcdIsKilledAndComesBack() throws {
    try EtcdBed.run { bed in
      let client = try bed.client()
      let start = try client.put("/w/a", Data("1"))
      let watch = try client.watch(.prefix("/w/"), from: start + 1)
      bed.server.kill()
      expect(.unreachable) { try watch.next(within: .seconds(30)) }
      try bed.server.launch()
      // What does no harm twice is asked again until it is there.
      #expect(try client.range(.key("/w/a")).values.map(\.value.text) == ["1"])
      try client.put("/w/a", Data("2"))
      let other = try client.watch(.prefix("/w/"), from: start + 1)
      #expect(try other.next(within: .seconds(30))?.events.map(\.key) == ["/w/a"])
    }
  }
}

/// Runs `body` on a thread of its own.
final class Background: @unchecked Sendable {
  private let ended = DispatchSemaphore(value: 0)

  init(_ body: @escaping @Sendable () -> Void) {
    Thread { [ended] in
      body()
      ended.signal()
    }.start()
  }

  func wait() { ended.wait() }
}
