import ControlModel
import Glibc

/// A directory that goes with its value.
package final class TemporaryDirectory: Sendable {
  package let path: String

  package init() throws {
    var template = Array("/tmp/martlet-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw ControlError(.system, "mkdtemp") }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    // Depth first, nothing followed, errors passed over: what is left is a few files of ours.
    nftw(path, { name, _, _, _ in remove(name) }, 8, Int32(FTW_DEPTH | FTW_PHYS))
  }
}
