/// One operation of the data path, to be counted or timed by itself.
struct MicroCase {
  /// All operations once, and what must be put back before they can be done again.
  struct Run {
    let restore: () -> Void
    let body: () -> Void
  }

  let name: String
  /// Of one run.
  let operations: Int
  /// Whether callgrind counts it too.
  let isCounted: Bool
  let prepare: () -> Run

  /// - Parameter body: is given what `prepare` made, run after run.
  init<State>(
    _ name: String, operations: Int, isCounted: Bool = true, prepare: @escaping () -> State,
    restore: @escaping (inout State) -> Void = { _ in }, body: @escaping (inout State) -> Void
  ) {
    self.name = name
    self.operations = operations
    self.isCounted = isCounted
    self.prepare = {
      var state = prepare()
      return Run(restore: { restore(&state) }, body: { body(&state) })
    }
  }
}

/// Keeps the optimiser from leaving out what leads to `value`.
@inline(never)
@_optimize(none)
func keep(_ value: UInt64) {}

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
