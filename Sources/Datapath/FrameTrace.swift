/// Where the steps of a frame's way are written, for who asks why it went where it went. Thread: the engine's.
@frozen
public struct FrameTrace: BitwiseCopyable {
  public typealias Add =
    @convention(c) (
      _ context: UnsafeMutableRawPointer, _ text: UnsafePointer<UInt8>, _ length: Int
    ) -> Void

  let context: UnsafeMutableRawPointer
  let addText: Add
  /// Nothing that outlives the frame is to change.
  public let isDryRun: Bool

  /// - Parameter add: called with the UTF-8 bytes of each step, which are its caller's again afterwards.
  public init(context: UnsafeMutableRawPointer, isDryRun: Bool, add: Add) {
    (self.context, self.isDryRun, addText) = (context, isDryRun, add)
  }

  @usableFromInline
  func add(_ text: String) {
    var text = text
    text.withUTF8 { addText(context, $0.baseAddress ?? UnsafePointer(bitPattern: 1)!, $0.count) }
  }

  /// A port, as steps say it: who shows them puts the name there.
  @usableFromInline
  func name(_ port: UInt16) -> String { "{\(port)}" }
}
