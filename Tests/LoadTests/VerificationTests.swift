import Testing

@testable import martlet_load

@Suite struct VerificationTests {
  private let datagram = VerificationDatagram(seed: 7, longestBytes: 1400)

  private func bytes(_ sequence: UInt64, of datagram: VerificationDatagram) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: datagram.longestBytes) { buffer, count in
      count = datagram.write(sequence, into: UnsafeMutableRawBufferPointer(buffer))
    }
  }

  private func check(_ bytes: [UInt8]) -> VerificationDatagram.Finding { bytes.withUnsafeBytes(datagram.check) }

  @Test func whatIsWrittenIsIntact() {
    for sequence in UInt64(0)..<500 { #expect(check(bytes(sequence, of: datagram)) == .intact(sequence: sequence)) }
  }

  @Test func anyChangedByteShows() {
    let sent = bytes(3, of: datagram)
    for index in sent.indices {
      var changed = sent
      changed[index] ^= 0x10
      #expect(check(changed) == .corrupted, "byte \(index)")
    }
  }

  @Test func cuttingAndJoiningShow() {
    let first = bytes(0, of: datagram)
    #expect(check(Array(first.dropLast())) == .corrupted)
    #expect(check(first + [0]) == .corrupted)
    #expect(check(first + bytes(1, of: datagram)) == .corrupted)
    #expect(check([]) == .corrupted)
  }

  @Test func anotherRunIsForeign() {
    #expect(check(bytes(3, of: VerificationDatagram(seed: 8, longestBytes: 1400))) == .foreign)
  }

  @Test func sizesVaryAndComeInRuns() {
    let sizes = (UInt64(0)..<4096).map { bytes($0, of: datagram).count }
    #expect(Set(sizes).count > 400)
    #expect(sizes.allSatisfy { (VerificationDatagram.headerBytes...1400).contains($0) })
    #expect(zip(sizes, sizes.dropFirst()).filter { $0 == $1 }.count > 1000)
  }

  @Test func arrivalsAreCounted() {
    var arrivals = Arrivals(expected: 6)
    for sequence: UInt64 in [0, 2, 1, 1, 5, 9] { arrivals.record(.intact(sequence: sequence)) }
    arrivals.record(.corrupted)
    arrivals.record(.foreign)
    #expect(
      arrivals.figures
        == Arrivals.Figures(
          expected: 6, received: 5, lost: 2, duplicated: 1, reordered: 2, corrupted: 1, foreign: 2))
  }
}
