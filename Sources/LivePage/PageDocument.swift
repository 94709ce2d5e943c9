/// The page as one HTML document, with its style and its program within. They are files of their own in `Resources`, and
/// constants of the binary.
struct PageDocument {
  private static let nonceMark = "NONCE"
  private static let styleMark = "/* page.css */"
  private static let scriptMark = "/* page.js */"

  /// The document, cut where the nonce goes.
  private let parts: [String]

  init() {
    func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
    let script = [
      PackageResources.elements_js, PackageResources.model_js, PackageResources.layout_js, PackageResources.picture_js,
      PackageResources.tables_js, PackageResources.main_js,
    ].map(text).joined(separator: "\n")
    let html = Self.insert(
      script, at: Self.scriptMark,
      Self.insert(text(PackageResources.page_css), at: Self.styleMark, text(PackageResources.page_html)))
    parts = html.split(separator: Self.nonceMark, omittingEmptySubsequences: false).map(String.init)
  }

  private static func insert(_ text: String, at mark: String, _ html: String) -> String {
    html.split(separator: mark, maxSplits: 1, omittingEmptySubsequences: false).joined(separator: text)
  }

  /// - Parameter nonce: of letters and digits; only what carries it runs (Content Security Policy 3, section 2.3.1).
  func bytes(nonce: String) -> [UInt8] { Array(parts.joined(separator: nonce).utf8) }
}
