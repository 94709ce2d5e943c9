import ArgumentParser
import ControlClient
import ControlModel

/// What the shell completes names with: asked from the daemon, and nothing where it cannot be asked.
enum Names {
  private static let patienceSeconds = 2

  static let networks = CompletionKind.custom { words, _, _ in
    ((try? client(words).networks()) ?? []).map(\.name)
  }
  static let sandboxes = CompletionKind.custom { words, _, _ in
    ((try? client(words).sandboxes()) ?? []).map(\.name)
  }
  static let endpoints = CompletionKind.custom { words, _, _ in
    ((try? client(words).endpoints()) ?? []).map { shortened($0.id) }
  }

  static let services = CompletionKind.custom { words, _, _ in
    ((try? client(words).services()) ?? []).map(\.name)
  }

  static let attachedInterfaces = CompletionKind.custom { words, _, _ in
    ((try? client(words).ports(network: nil)) ?? []).map(\.interface)
  }
  /// What a port of a MAC table may be called.
  static let forwardingPorts = CompletionKind.custom { words, _, _ in
    let client = client(words)
    let endpoints = ((try? client.endpoints()) ?? []).map { shortened($0.id) }
    let vteps = Set(((try? client.overlays()) ?? []).flatMap(\.peers)).sorted().map { "vtep=" + $0 }
    return endpoints + ((try? client.ports(network: nil)) ?? []).map(\.interface) + vteps + ["gateway"]
  }
  static let overlayNetworks = CompletionKind.custom { words, _, _ in
    ((try? client(words).overlays()) ?? []).map(\.network)
  }
  static let peers = CompletionKind.custom { words, _, _ in
    Set(((try? client(words).overlays()) ?? []).flatMap(\.peers)).sorted()
  }

  /// Of the daemon that the command line so far is for.
  private static func client(_ words: [String]) -> ControlClient {
    ControlClient(socketPath: socketPath(words), patienceSeconds: patienceSeconds)
  }

  static func socketPath(_ words: [String]) -> String {
    let option = "--socket"
    if let index = words.firstIndex(of: option), index + 1 < words.count { return words[index + 1] }
    if let word = words.first(where: { $0.hasPrefix(option + "=") }) { return String(word.dropFirst(option.count + 1)) }
    return GlobalOptions.environmentSocketPath
  }
}
