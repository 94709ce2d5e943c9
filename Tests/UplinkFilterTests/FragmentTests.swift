import Glibc
import Testing
import UplinkFilter
import Wire

/// Only a datagram's first fragment has ports.
@Suite(.enabled(if: geteuid() == 0, "loads BPF programs, which needs root"))
struct FragmentTests {
  private func makeFilter() throws -> UplinkFilter {
    let filter = try UplinkFilterTests.makeFilter()
    filter.claims.set(slot: externalSlot, plane: .udp, port: 5353)
    filter.claims.set(slot: externalSlot6, plane: .udp, port: 5353)
    return filter
  }

  @Test func laterFragmentsFollowTheFirst() throws {
    let filter = try makeFilter()
    #expect(try filter.verdict(GoldenFrames.lastFragment) == .both, "it has overtaken the first one")
    #expect(try filter.verdict(GoldenFrames.firstFragment) == .ours)
    for _ in 0..<2 {
      #expect(try filter.verdict(GoldenFrames.lastFragment) == .ours)
      #expect(try filter.verdict(GoldenFrames.middleFragment) == .ours)
    }
  }

  @Test func laterFragmentsFollowTheFirstInIPv6() throws {
    let filter = try makeFilter()
    #expect(try filter.verdict(GoldenFrames.lastFragment6) == .both)
    #expect(try filter.verdict(GoldenFrames.firstFragment6) == .ours)
    #expect(try filter.verdict(GoldenFrames.lastFragment6) == .ours)
    #expect(try filter.verdict(GoldenFrames.lastFragment6.with(59, at: 54)) == .ours, "of no account: RFC 8200, 4.5")
    #expect(try filter.verdict(GoldenFrames.lastFragment6.with(0xFF, at: 61)) == .both, "another identification")
  }

  /// Identification, protocol, source.
  @Test(arguments: [(18, UInt8(0xFF)), (23, 6), (29, 9)])
  func anotherDatagramIsNotTheSame(offset: Int, value: UInt8) throws {
    let filter = try makeFilter()
    #expect(try filter.verdict(GoldenFrames.firstFragment) == .ours)
    #expect(try filter.verdict(GoldenFrames.lastFragment.with(value, at: offset)) == .both)
  }

  @Test func identificationThatComesAgainIsJudgedAnew() throws {
    let filter = try makeFilter()
    #expect(try filter.verdict(GoldenFrames.firstFragment) == .ours)
    #expect(try filter.verdict(GoldenFrames.firstFragment.with(0, 53, at: 36)) == .host)
    #expect(try filter.verdict(GoldenFrames.lastFragment) == .both)
  }

  /// A fragment header before a whole packet (RFC 6946) makes none of it.
  @Test func atomicFragmentIsWhole() throws {
    let filter = try makeFilter()
    #expect(try filter.verdict(GoldenFrames.firstFragment6.with(0, at: 57)) == .ours)
    #expect(try filter.verdict(GoldenFrames.lastFragment6) == .both)
  }

  @Test func floodOfFirstFragmentsIsOutlived() throws {
    let filter = try makeFilter()
    for number in 0..<20_000 {
      let (high, low) = (UInt8(number >> 8), UInt8(number & 255))
      guard try filter.verdict(GoldenFrames.firstFragment.with(high, low, at: 18)) == .ours else {
        Issue.record("datagram \(number)")
        return
      }
    }
    #expect(try filter.verdict(GoldenFrames.lastFragment.with(0, 0, at: 18)) == .both, "forgotten")
    #expect(try filter.verdict(GoldenFrames.firstFragment) == .ours)
    #expect(try filter.verdict(GoldenFrames.lastFragment) == .ours)
  }
}
