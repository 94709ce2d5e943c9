import ArgumentParser
import Glibc

/// Where the program runs.
struct Placement: ParsableArguments {
  @Option(help: "Run on this CPU only.")
  var cpu: Int?

  func validate() throws {
    if let cpu, !(0..<Int(CPU_SETSIZE)).contains(cpu) { throw ValidationError("--cpu must be 0 to \(CPU_SETSIZE - 1)") }
  }

  /// Pins the calling thread and those it starts later.
  func apply() throws {
    guard let cpu else { return }
    var set = cpu_set_t()
    // CPU_SET is a macro. On a little-endian machine bit n of the mask is bit n % 8 of byte n / 8.
    withUnsafeMutableBytes(of: &set) { $0[cpu / 8] = 1 << UInt8(cpu % 8) }
    guard sched_setaffinity(0, MemoryLayout<cpu_set_t>.size, &set) == 0 else {
      throw SystemCallError("sched_setaffinity")
    }
  }
}
