import ControlModel
import Foundation
import Netlink

/// What `ip netns exec NAME` binds over /etc/resolv.conf (ip-netns(8)): /etc/netns/NAME/resolv.conf.
extension KernelHostNetwork {
  private static let configurationDirectory = "/etc/netns"
  /// systemd-resolved's own servers, where /etc/resolv.conf names only its stub at 127.0.0.53.
  private static let hostResolvers = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]

  /// nil for a namespace that `ip netns` does not know by a name.
  private func directory(forNamespaceAt path: String) -> String? {
    let name = path.lastComponent
    return path == namespacePath(named: name) ? Self.configurationDirectory + "/" + name : nil
  }

  public func writeNameServers(forNamespaceAt path: String) throws(ControlError) {
    guard let directory = directory(forNamespaceAt: path) else { return }
    let file = directory + "/resolv.conf"
    guard !FileManager.default.fileExists(atPath: file) else { return }
    do {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
      try Data(Self.hostConfiguration().text.utf8).write(to: URL(filePath: file), options: .withoutOverwriting)
    } catch {
      rmdir(directory)
      throw ControlError(.system, "write \(file): \(error.localizedDescription)")
    }
  }

  private static func hostConfiguration() -> ResolverConfiguration {
    var last = ResolverConfiguration("")
    for path in hostResolvers {
      guard let bytes = FileManager.default.contents(atPath: path) else { continue }
      last = ResolverConfiguration(String(decoding: bytes, as: UTF8.self)).withoutLoopback
      if !last.nameServers.servers.isEmpty { break }
    }
    return last
  }

  public func removeNameServers(forNamespaceAt path: String) throws(ControlError) {
    guard let directory = directory(forNamespaceAt: path) else { return }
    let file = directory + "/resolv.conf"
    if let bytes = FileManager.default.contents(atPath: file) {
      // An empty one was being written when the daemon was killed.
      let isOurs = bytes.isEmpty || String(decoding: bytes, as: UTF8.self).hasPrefix(ResolverConfiguration.mark)
      guard isOurs else { return }
      do {
        try FileManager.default.removeItem(atPath: file)
      } catch {
        throw ControlError(.system, "remove \(file): \(error.localizedDescription)")
      }
    }
    // Goes only if nobody else has put anything there.
    rmdir(directory)
  }

  public func nameServers(forNamespaceAt path: String) -> NameServers {
    guard let directory = directory(forNamespaceAt: path),
      let bytes = FileManager.default.contents(atPath: directory + "/resolv.conf")
    else { return NameServers() }
    return ResolverConfiguration(String(decoding: bytes, as: UTF8.self)).nameServers
  }
}
