import Benchmark
import Glibc

/// Thousandths of a nanosecond for one operation, over a run of many: the harness rounds time to whole nanoseconds. It is
/// CPU time of the measuring thread, so that a machine that has other work disturbs little: take the lowest (p0).
let picosecondsPerOperation = BenchmarkMetric.custom("ps per operation", useScalingFactor: false)

let benchmarks: @Sendable () -> Void = {
  Benchmark.defaultConfiguration = .init(
    metrics: [picosecondsPerOperation], warmupIterations: 2, maxDuration: .seconds(2), maxIterations: 200)
  registerMACTable()
  registerWire()
  registerSharing()
}

/// Registers a benchmark whose closure runs `operations` operations a call. `prepare` runs once, in the process that
/// measures, before the first.
func register<State>(
  _ name: String, operations: Int, prepare: @escaping () -> State, run: @escaping (inout State) -> Void
) {
  var state: State?
  Benchmark(
    name,
    closure: { benchmark in
      let start = threadTime()
      run(&state!)
      benchmark.measurement(picosecondsPerOperation, (threadTime() - start) * 1000 / operations)
    },
    setup: { state = prepare() },
    teardown: { state = nil })
}

/// CPU time of the calling thread in nanoseconds.
private func threadTime() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// The same numbers on every run (splitmix64).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}
