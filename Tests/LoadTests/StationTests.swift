import Testing

@testable import martlet_load

@Suite struct StationTests {
  private func frame(_ kind: StationFrame.Kind, _ station: Station) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: StationFrame.bytes) { buffer, count in
      buffer.initialize(repeating: 0)
      StationFrame.write(kind, station, into: UnsafeMutableRawBufferPointer(buffer))
      count = StationFrame.bytes
    }
  }

  private func probed(_ bytes: [UInt8]) -> Station? { bytes.withUnsafeBytes(StationFrame.probed) }

  @Test(arguments: [0, 1, UInt64.max]) func addressesAreDistinct(seed: UInt64) {
    let count: UInt64 = 200_000
    var addresses = Set((0..<count).map { Station(seed: seed, index: $0).address })
    addresses.insert(Station(seed: seed, index: Station.countLimit - 1).address)
    addresses.insert(Station.tester(seed: seed).address)
    #expect(addresses.count == Int(count) + 2)
  }

  /// IEEE 802, 8.4: of the first octet, bit 0 says group, bit 1 locally administered.
  @Test func addressesAreLocalUnicast() {
    for index in UInt64(0)..<1000 {
      let address = Station(seed: 3, index: index).address
      #expect(address >> 48 == 0)
      #expect(address >> 40 & 0b11 == 0b10)
    }
  }

  @Test func seedsHaveAddressesOfTheirOwn() {
    let (first, second) = (Station(seed: 1, index: 5), Station(seed: 2, index: 5))
    #expect(first.address != second.address)
  }

  /// RFC 2889 section 5.7: learning frames have varying sources and one destination, the test port's.
  @Test func learningFramesGoToWhereProbesComeFrom() {
    let stations = (UInt64(0)..<3).map { Station(seed: 9, index: $0) }
    let (learning, probes) = (stations.map { frame(.learning, $0) }, stations.map { frame(.probe, $0) })
    #expect(Set(learning.map { $0[0..<6] }).count == 1)
    #expect(Set(learning.map { $0[6..<12] }).count == 3)
    for (learning, probe) in zip(learning, probes) {
      #expect(learning[0..<6] == probe[6..<12])
      #expect(learning[6..<12] == probe[0..<6])
      #expect(learning[12..<14] == [0x88, 0xB5])
    }
  }

  @Test func probeIsRecognised() {
    let station = Station(seed: 9, index: 70_000)
    #expect(probed(frame(.probe, station)) == station)
    #expect(probed(frame(.learning, station)) == nil)
    #expect(probed(Array(frame(.probe, station).dropLast())) == nil)
    #expect(probed([]) == nil)
    for index in 0..<6 {
      var changed = frame(.probe, station)
      changed[index] ^= 4
      #expect(probed(changed) == nil)
    }
  }

  @Test func probesAreCounted() {
    var probes = Probes(seed: 1, addresses: 10)
    let frames =
      [0, 3, 3, 9, 10].map { frame(.probe, Station(seed: 1, index: $0)) } + [
        frame(.probe, Station(seed: 2, index: 4)), frame(.learning, Station(seed: 1, index: 4)),
      ]
    for frame in frames { frame.withUnsafeBytes { probes.record($0) } }
    #expect(probes.figures == Probes.Figures(matching: 3, duplicates: 1, frames: 7))
  }
}
