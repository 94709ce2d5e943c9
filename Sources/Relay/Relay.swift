import Glibc
import Synchronization
import SystemCalls
import Wire

/// Published ports for those packets that reach the host's own stack: from the host's own programs, and from interfaces that
/// the switch does not serve.
///
/// A socket is bound to every published address and port. It keeps the host's programs from taking the port, with
/// SO_REUSEADDR too, and the kernel from choosing it as an ephemeral one; and what comes to it is relayed to the container:
/// TCP connection by connection, both directions independent of each other to the end; UDP by a connected socket a client,
/// answered from the address the client sent to. What the container sees as the client's address is the host's.
///
/// One thread with one epoll does all of it, in the network namespace of the thread that made the relay; nothing is
/// allocated for a port but its socket, and nothing for a connection but two. Any thread may call; calls wait for one
/// another, and return when what they ask for is done. What is relayed waits meanwhile: about 6 us of processor time a port.
public final class Relay: Sendable {
  private let mailbox: Mailbox
  /// Nil once stopped. Its lock makes calls take turns.
  private let thread: Mutex<RelayThread?>

  public init(limits: RelayLimits = RelayLimits()) throws(Errno) {
    let mailbox = try Mailbox()
    self.mailbox = mailbox
    thread = Mutex(try RelayThread(RelayLoop(mailbox, limits)))
  }

  deinit { stop() }

  /// Opens all ports of `publication`, or none.
  public func open(_ publication: RelayedPorts) throws(RelayError) { try ask(.open(publication)) }

  /// Closes the ports of `publication`, if they are open: its connections are reset, its UDP clients forgotten.
  public func close(_ publication: RelayedPorts) {
    // Refused only after stop(), which closed everything.
    _ = try? ask(.close(publication))
  }

  /// Points the open ports of `publication` at another target, without a moment in which they are free. Connections and
  /// clients of the old target are ended. What is returned stands for the publication from now on.
  public func retarget(
    _ publication: RelayedPorts, to targetAddress: IPAddress, firstPort: UInt16
  ) throws(RelayError) -> RelayedPorts {
    let moved = publication.with(targetAddress: targetAddress, firstTargetPort: firstPort)
    try ask(.retarget(publication, moved))
    return moved
  }

  /// Closes everything and ends the thread. Calls after it are refused with ESHUTDOWN, a second one does nothing.
  public func stop() {
    thread.withLock { thread in
      guard let running = thread.take() else { return }
      _ = mailbox.ask(.stop)
      running.join()
    }
  }

  /// Of this moment; all zero after `stop`.
  public var statistics: RelayStatistics {
    thread.withLock { thread in
      guard thread != nil, case .statistics(let statistics) = mailbox.ask(.statistics) else { return RelayStatistics() }
      return statistics
    }
  }

  private func ask(_ request: Mailbox.Request) throws(RelayError) {
    let answer = thread.withLock { thread in
      thread == nil ? .failed(.refused(Errno(ESHUTDOWN, "ask the relay"))) : mailbox.ask(request)
    }
    if case .failed(let error) = answer { throw error }
  }
}
