import CNI
import ControlClient
import ControlModel
import Glibc
import Netavark

/// `martlet-netavark`: a plugin of Podman's netavark. Podman runs it; see docs/podman.md.
@main enum MartletNetavark {
  private static let help = """
    OVERVIEW: Connects containers of Podman to networks of Martlet: a netavark plugin, to be run by Podman.

    USAGE: martlet-netavark create | setup NETNS | teardown NETNS | info | [--help] [--version]

    The network or the container is described on standard input, the answer goes to standard output. Put the program, or a
    link to it called martlet, into a directory of netavark_plugin_dirs (containers.conf).

    The daemon's socket is $MARTLET_SOCKET, else \(ControlClient.defaultSocketPath).

    """

  static func main() {
    let words = Array(CommandLine.arguments.dropFirst())
    switch words.first {
    case "--help", "-h": StandardStream.write(Array(help.utf8))
    case "--version": StandardStream.write(Array("\(Version.current.version)\n".utf8))
    default:
      let socket = StandardStream.environment["MARTLET_SOCKET"] ?? ControlClient.defaultSocketPath
      let input = words.first == "info" ? [] : StandardStream.read(bytesMax: Driver.inputBytesMax)
      let outcome = Driver(service: ControlClient(socketPath: socket)).run(words, input: input)
      StandardStream.write(outcome.output)
      exit(outcome.status)
    }
  }
}
