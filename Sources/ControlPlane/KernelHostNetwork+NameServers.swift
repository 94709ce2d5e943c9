import ControlModel
import Foundation
import Netlink
import Wire

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

  public func writeNameServers(_ servers: [IPAddress]?, forNamespaceAt path: String) throws(ControlError) {
    guard let directory = directory(forNamespaceAt: path) else { return }
    let file = directory + "/resolv.conf"
    if let text = Self.text(of: file), !ResolverConfiguration.isOurs(text) { return }
    let configuration =
      if let servers { Self.ownConfiguration().asking(servers) } else { Self.reachableConfiguration() }
    if Self.text(of: file) == configuration.text { return }
    do {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
      // In place: `ip netns exec` has bound the file itself over the one that its program reads.
      try Data(configuration.text.utf8).write(to: URL(filePath: file))
    } catch {
      rmdir(directory)
      throw ControlError(.system, "write \(file): \(error.localizedDescription)")
    }
  }

  private static func text(of file: String) -> String? {
    FileManager.default.contents(atPath: file).map { String(decoding: $0, as: UTF8.self) }
  }

  /// As the host's programs read it.
  private static func ownConfiguration() -> ResolverConfiguration {
    ResolverConfiguration(text(of: hostResolvers[0]) ?? "")
  }

  public func changedResolvers() -> NameServers? {
    let now = Self.ownConfiguration().nameServers
    return resolvers.withLock { last in
      guard last != now else { return nil }
      last = now
      return now
    }
  }

  /// What is of use in other namespaces.
  private static func reachableConfiguration() -> ResolverConfiguration {
    var last = ResolverConfiguration("")
    for path in hostResolvers {
      guard let text = text(of: path) else { continue }
      last = ResolverConfiguration(text).withoutLoopback
      if !last.nameServers.servers.isEmpty { break }
    }
    return last
  }

  public func removeNameServers(forNamespaceAt path: String) throws(ControlError) {
    guard let directory = directory(forNamespaceAt: path) else { return }
    let file = directory + "/resolv.conf"
    if let text = Self.text(of: file) {
      guard ResolverConfiguration.isOurs(text) else { return }
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
      let text = Self.text(of: directory + "/resolv.conf")
    else { return NameServers() }
    return ResolverConfiguration(text).nameServers
  }
}
