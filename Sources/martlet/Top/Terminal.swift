import ControlModel
import Glibc

/// The terminal of standard input and output, as a screen that is drawn, until this goes: then it is as it was.
///
/// While it lives SIGWINCH is blocked and comes as `Interruption.wait` waits, which must have been made before.
final class Terminal {
  private static let enter = "\u{1B}[?1049h\u{1B}[?25l"
  private static let leave = "\u{1B}[?25h\u{1B}[?1049l"
  /// A terminal that does not say how large it is.
  private static let defaultSize = (width: 80, height: 24)
  /// Read at once.
  private static let inputBytesMax = 256

  private var before: termios
  private var actionBefore = sigaction()
  private let wasBlocked: Bool

  /// Both are one, or two: a person sits there.
  static var isThere: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 }

  /// The locale's characters are Unicode (locale(7): the first of these that is set counts).
  static var isUnicode: Bool {
    let variables: [String] = ["LC_ALL", "LC_CTYPE", "LANG"]
    let values = variables.compactMap { (name: String) -> String? in getenv(name).map { String(cString: $0) } }
    let name = (values.first { !$0.isEmpty } ?? "").lowercased()
    return name.hasSuffix("utf-8") || name.hasSuffix("utf8")
  }

  static func open() throws(ControlError) -> Terminal {
    var settings = termios()
    guard tcgetattr(STDIN_FILENO, &settings) == 0 else {
      throw ControlError(.system, "the terminal cannot be set: \(String(cString: strerror(errno)))")
    }
    return Terminal(settings)
  }

  private init(_ settings: termios) {
    before = settings
    var (mask, maskBefore) = (Self.windowChange, sigset_t())
    pthread_sigmask(SIG_BLOCK, &mask, &maskBefore)
    wasBlocked = sigismember(&maskBefore, SIGWINCH) == 1
    var action = sigaction()
    // Ignored, it would not wake who waits.
    action.__sigaction_handler.sa_handler = { _ in }
    sigaction(SIGWINCH, &action, &actionBefore)
    var raw = settings
    // Keys come as they are pressed and are not shown; ^C is a key.
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
    tcsetattr(STDIN_FILENO, TCSANOW, &raw)
    Output.standard.write(Self.enter)
  }

  deinit {
    Output.standard.write(Self.leave)
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before)
    sigaction(SIGWINCH, &actionBefore, nil)
    var mask = Self.windowChange
    if !wasBlocked { pthread_sigmask(SIG_UNBLOCK, &mask, nil) }
  }

  private static var windowChange: sigset_t {
    var mask = sigset_t()
    sigemptyset(&mask)
    sigaddset(&mask, SIGWINCH)
    return mask
  }

  var size: (width: Int, height: Int) {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
      return Self.defaultSize
    }
    return (Int(size.ws_col), Int(size.ws_row))
  }

  /// Each in place of what the last screen had there; the column titles, line 2, stand out.
  func draw(_ lines: [String]) {
    let shown = lines.enumerated().map { $0 == 2 ? "\u{1B}[7m\($1)\u{1B}[m" : $1 }
    // From the first place on; each line is cleared behind its end, the screen behind the last.
    Output.standard.write("\u{1B}[H" + shown.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n") + "\u{1B}[J")
  }

  /// What was typed; nil: nobody is there any more.
  func read() -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: Self.inputBytesMax)
    let count = Glibc.read(STDIN_FILENO, &bytes, bytes.count)
    if count < 0, errno == EINTR || errno == EAGAIN { return [] }
    return count > 0 ? Array(bytes[..<count]) : nil
  }
}
