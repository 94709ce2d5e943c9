/// Decides how the worker waits for the next batch: sleep, look again and again, or nap before it sleeps.
///
/// Waking another processor costs 25 to 35 us in a virtual machine, many times the cost of a frame. Two rules, both measured to
/// cost bulk traffic nothing:
/// * Where the traffic is request and response (few small frames in each batch), look for up to `spin` before sleeping.
///   A score rises by one for each such batch, and is gone with the first bulk one; a look in vain takes two off.
/// * Where small frames come in floods (many in a batch, none large for a while), nap: they gather, and receivers wake less. Not
///   where they are TCP's: somebody waits for each of them, and none is gathered.
struct WaitRule {
  enum Wait { case sleep, look, nap }

  /// A frame larger than this is bulk: one segment of a stream, or many in one.
  static let smallFrameBytesMax = 1600
  static let scoreToLook = 8
  static let scoreMax = 16
  static let responseFramesMax = 2
  static let bulkFramesMin = 5
  static let floodBatchesMin = 16

  let spinNanoseconds: UInt64
  let napNanoseconds: UInt64
  private var score = 0
  private var batchesSinceLarge = 0
  private var isFlood = false
  /// The last batch had a large frame, or many.
  private(set) var isBulk = false

  init(spinMicroseconds: UInt32, napMicroseconds: UInt32) {
    spinNanoseconds = UInt64(spinMicroseconds) * 1000
    napNanoseconds = UInt64(napMicroseconds) * 1000
  }

  var next: Wait {
    if spinNanoseconds > 0 && score >= Self.scoreToLook { return .look }
    return isFlood && napNanoseconds > 0 ? .nap : .sleep
  }

  /// - Parameters:
  ///   - frames: frames received in the batch.
  ///   - largeFrames: those of them over `smallFrameBytesMax`.
  ///   - segments: those of the small ones that carry TCP.
  ///   - buffersLeft: the batch did not end for lack of buffers.
  mutating func batchEnded(frames: Int, largeFrames: Int, segments: Int, buffersLeft: Bool) {
    guard frames > 0 else { return }
    batchesSinceLarge = largeFrames > 0 ? 0 : min(batchesSinceLarge + 1, Self.floodBatchesMin + 1)
    isFlood =
      frames >= Self.bulkFramesMin && batchesSinceLarge > Self.floodBatchesMin && 2 * segments < frames && buffersLeft
    isBulk = largeFrames > 0 || frames >= Self.bulkFramesMin
    if isBulk {
      score = 0
    } else if frames <= Self.responseFramesMax && score < Self.scoreMax {
      score += 1
    }
  }

  mutating func lookedInVain() { score = max(0, score - 2) }
}
