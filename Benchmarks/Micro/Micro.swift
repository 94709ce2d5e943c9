import Glibc

/// Measures the parts of the data path by themselves, without a kernel below them.
///
/// `micro time` prints nanoseconds an operation. `micro names` prints, and `micro count` runs, the cases whose instructions
/// callgrind counts: `tools/micro` puts the two together.
@main
enum Micro {
  /// A case is timed so often, or for so long, whichever ends first.
  private static let runsMax = 200
  private static let nanosecondsMax = 500_000_000
  private static let warmUpRuns = 2

  private static var cases: [MicroCase] {
    wireCases + macTableCases + datapathCases + policyCases + tunnelCases + routingCases + sharingCases
  }

  static func main() {
    switch CommandLine.arguments.dropFirst().first {
    case "names":
      for each in cases where each.isCounted { print(each.name, each.operations, separator: "\t") }
    case "count":
      for each in cases where each.isCounted {
        let run = each.prepare()
        // What is made at the first call, lazily, is no part of the operation.
        run.body()
        run.restore()
        measured(run.body)
      }
    case "time":
      for each in cases { print(each.name, hundredths(nanoseconds(each)), separator: "\t") }
    default:
      print("usage: micro names|count|time")
      exit(64)
    }
  }

  /// CPU time of an operation in the fastest run: what other work there is on the machine can only add to it.
  private static func nanoseconds(_ timed: MicroCase) -> Double {
    let run = timed.prepare()
    for _ in 0..<warmUpRuns {
      run.body()
      run.restore()
    }
    let start = threadTime()
    var fastest = Int.max
    for _ in 0..<runsMax where threadTime() - start < nanosecondsMax {
      let before = threadTime()
      run.body()
      fastest = min(fastest, threadTime() - before)
      run.restore()
    }
    return Double(fastest) / Double(timed.operations)
  }

  private static func hundredths(_ value: Double) -> Double { (value * 100).rounded() / 100 }

  /// Of this thread, in nanoseconds.
  private static func threadTime() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }
}

/// callgrind counts from here on until this returns; `tools/micro` names it by its symbol.
@_silgen_name("micro_measured")
@inline(never)
func measured(_ run: () -> Void) { run() }
