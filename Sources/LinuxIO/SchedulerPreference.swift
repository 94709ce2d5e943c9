import CLinux
import Glibc

/// How the kernel's scheduler treats the worker's thread. On that thread.
///
/// Who carries requests and responses, or looks for them, runs before programs that compute, as the kernel's own network code
/// does, and where every processor has a worker, on its own one: two workers that look on one processor keep no other awake.
/// Who carries bulk takes turns with the programs that send and receive it, wherever there is room.
struct SchedulerPreference {
  /// sched(7). Where the process may not set it, nothing happens.
  private static let preferredNice: Int32 = -15

  /// As the thread was started.
  private let ordinaryNice: Int32
  private var processors = cpu_set_t()
  /// The processor's place among these; nil where the worker is not to be bound to one.
  private let processor: Int32?
  private var isPreferred = false
  private var isBound = false

  /// - Parameter processor: of the worker, where every processor has one.
  init(processor: Int?) {
    ordinaryNice = getpriority(PRIO_PROCESS, 0)
    let isKnown = sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &processors) == 0
    self.processor = isKnown ? processor.map(Int32.init) : nil
  }

  /// - Parameter binds: no processor would be awake otherwise. Beside bulk they all are, and who is bound cannot follow the ends.
  @inline(__always)
  mutating func prefer(_ isPreferred: Bool, binds: Bool = true) {
    if isPreferred != self.isPreferred { setPreferred(isPreferred) }
    if (isPreferred && binds) != isBound { setBound(isPreferred && binds) }
  }

  private mutating func setPreferred(_ isPreferred: Bool) {
    self.isPreferred = isPreferred
    setpriority(PRIO_PROCESS, 0, isPreferred ? min(Self.preferredNice, ordinaryNice) : ordinaryNice)
  }

  private mutating func setBound(_ isBound: Bool) {
    self.isBound = isBound
    guard let processor else { return }
    if isBound {
      _ = martlet_bind_thread(&processors, processor)
    } else {
      sched_setaffinity(0, MemoryLayout<cpu_set_t>.size, &processors)
    }
  }
}
