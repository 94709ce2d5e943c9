import Glibc
import Testing

@testable import LinuxIO

@Suite struct SchedulerPreferenceTests {
  /// Of the calling thread.
  struct Standing: Equatable {
    let nice = getpriority(PRIO_PROCESS, 0)
    let processors: [UInt8]

    init() {
      var set = cpu_set_t()
      sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &set)
      processors = withUnsafeBytes(of: set, Array.init)
    }

    var processorCount: Int { processors.reduce(0) { $0 + $1.nonzeroBitCount } }
  }

  @Test(arguments: [nil, 0, 1, 7] as [Int?])
  func `a worker is preferred and bound while it carries requests, and then as it was`(processor: Int?) throws {
    let fabric = try Switch(workers: 1, SwitchTests.options())
    defer { fabric.stop() }
    // On a thread of its own.
    let (before, preferred, after) = fabric.ask(0) { _ in
      let before = Standing()
      var preference = SchedulerPreference(processor: processor)
      preference.prefer(true)
      let preferred = Standing()
      preference.prefer(false)
      return (before, preferred, Standing())
    }
    #expect(preferred.processorCount == (processor == nil ? before.processorCount : 1))
    #expect(zip(preferred.processors, before.processors).allSatisfy { $0 & ~$1 == 0 })
    if geteuid() == 0 { #expect(preferred.nice == -15) }
    #expect(after == before)
  }

  @Test(.enabled(if: Switch.processorCount > 1, "workers are bound where there are several"))
  func `two workers are bound to two processors`() throws {
    let fabric = try Switch(workers: 1, SwitchTests.options())
    defer { fabric.stop() }
    let bound = fabric.ask(0) { _ in
      (0...1).map { processor in
        var preference = SchedulerPreference(processor: processor)
        preference.prefer(true)
        defer { preference.prefer(false) }
        return Standing().processors
      }
    }
    #expect(bound[0] != bound[1])
  }
}
