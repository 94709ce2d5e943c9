import CNI
import ControlClient
import ControlModel
import Glibc

/// `martlet-cni`: a CNI plugin. A runtime runs it; see docs/cni.md.
@main enum MartletCNI {
  private static let help = """
    OVERVIEW: Connects containers to networks of Martlet: a CNI plugin, to be run by a container runtime.

    USAGE: martlet-cni [--help] [--version]

    The command comes in CNI_COMMAND (ADD, DEL, CHECK, STATUS, GC, VERSION) and the variables beside it, the network
    configuration on standard input; the answer goes to standard output. Spoken versions of the specification: \
    \(SpecVersion.allCases.map(\.rawValue).joined(separator: ", ")).
    Put the program, or a link to it called martlet, into the directory of CNI plugins (/opt/cni/bin), and a configuration
    of the type "martlet" into /etc/cni/net.d.

    The daemon's socket is the configuration's "socket", else $MARTLET_SOCKET, else \(ControlClient.defaultSocketPath).

    """

  static func main() {
    switch CommandLine.arguments.dropFirst().first {
    case "--help", "-h": StandardStream.write(Array(help.utf8))
    case "--version": StandardStream.write(Array("\(Version.current.version)\n".utf8))
    default:
      let environment = StandardStream.environment
      let plugin = Plugin(
        namespaces: KernelNamespaceReader(), addressManager: AddressManagerProgram(environment: environment)
      ) {
        ControlClient(socketPath: $0 ?? environment["MARTLET_SOCKET"] ?? ControlClient.defaultSocketPath)
      }
      let outcome = plugin.run(
        environment: environment, input: StandardStream.read(bytesMax: Configuration.bytesMax))
      StandardStream.write(outcome.output)
      exit(outcome.status)
    }
  }
}
