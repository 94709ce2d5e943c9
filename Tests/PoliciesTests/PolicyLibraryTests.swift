import Datapath
import Glibc
import Policies
import Testing
import Wire

@Suite("Policies that are libraries")
struct PolicyLibraryTests {
  /// Beside the test bundle's executable.
  private static var misbehaving: String {
    let executable = realpath("/proc/self/exe", nil)!
    defer { free(executable) }
    return String(String(cString: executable).split(separator: "/").dropLast().map { "/" + $0 }.joined())
      + "/libMisbehavingPolicy.so"
  }

  @Test("one decides, counts and is copied as one that is built in")
  func decides() throws {
    let installed = try PolicyLibrary.make(path: Self.misbehaving, ["conduct": "gone"], name: "gone", workers: 2)
    #expect(installed.counterNames == ["frames"] && installed.runners.count == 2)
    let port = PolicyPort(
      index: 1, kind: .endpoint, names: ["a", "the second"], mac: MACAddress(bits: 5),
      addresses: [IPAddress("10.0.0.1")!, IPAddress("fd00::1")!])
    for runner in installed.runners { runner.portsChanged([port]) }
    var engine = Engine(portCapacity: 4, networkCapacity: 1)
    engine.addNetwork(Network(NetworkOptions(), portCapacity: 4, seed: 1), at: 0)
    for index in 0..<3 as Range<UInt16> { engine.addPort(index, to: 0, PortOptions()) }
    engine.setProgram(installed.runners[0].program, network: 0)
    var output = Copies()
    let bytes: [UInt8] = [UInt8](repeating: 0, count: 10) + [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0] + [0, 0]
    bytes.withUnsafeBytes { source in
      let memory = UnsafeMutableRawPointer.allocate(byteCount: source.count, alignment: 8)
      defer { memory.deallocate() }
      memory.copyMemory(from: source.baseAddress!, byteCount: source.count)
      let frame = FrameDescriptor(start: memory, length: UInt32(source.count), port: 0, buffer: 0)
      withUnsafePointer(to: frame) {
        engine.process(UnsafeBufferPointer(start: $0, count: 1), now: 1, into: &output)
      }
    }
    #expect(output.ports.isEmpty)
    let drops = PortCounter.drops.rawValue + Int(DropReason.noSuchPort.rawValue)
    #expect(engine.portCounterHandle[drops] == 1, "port 60,000 is nobody's")
    #expect(installed.counters().map(\.value) == [1])
    engine.setProgram(nil, network: 0)
  }

  @Test(
    "what is refused says why",
    arguments: [
      (["conduct": "odd"], "policy x: conduct=odd: no such conduct"),
      (["other": "1"], "policy x: no parameter is called other: there are conduct"),
      (["conduct": "a\nb"], "policy x: parameter conduct has a line break"),
    ])
  func parameters(given: [String: String], reason: String) {
    let error = #expect(throws: PolicyError.self) {
      try PolicyLibrary.make(path: Self.misbehaving, given, name: "x", workers: 1)
    }
    #expect(error?.description == reason)
  }

  @Test("a library that is no policy, and a file that is no library, are refused")
  func strangers() {
    var information = Dl_info()
    // The C library, whichever path it has here.
    dladdr(dlsym(nil, "getpid"), &information)
    let library = String(cString: information.dli_fname)
    for (path, reason) in [(library, "no policy of Martlet's"), ("/proc/self/status", "cannot load"), ("x.so", "path")]
    {
      let error = #expect(throws: PolicyError.self) {
        try PolicyLibrary.make(path: path, [:], name: "x", workers: 1)
      }
      #expect(error?.description.contains(reason) == true)
    }
  }

  private struct Copies: FrameOutput {
    var ports: [UInt16] = []

    mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool) { ports.append(port) }
  }
}
