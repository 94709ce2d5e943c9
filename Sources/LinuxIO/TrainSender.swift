import Datapath
import Glibc
import Wire

/// How a carrier takes a segmented frame.
public enum TunnelSegmentation: String, Sendable, BitwiseCopyable, CaseIterable, Comparable {
  /// Datagram by datagram: any kernel.
  case none
  /// As one segmented datagram, to be cut where the next tunnelled frame begins (USO, Linux 6.2).
  case datagrams
  /// As it is, in one piece (VIRTIO_NET_HDR_GSO_UDP_TUNNEL, Linux 6.17).
  case tunnel

  private var rank: Int { Self.allCases.firstIndex(of: self)! }

  public static func < (a: Self, b: Self) -> Bool { a.rank < b.rank }
}

/// Sends a segmented frame to a carrier that does not take it in one piece (`DatagramTrain`). Fixed memory. One thread, the worker.
struct TrainSender: ~Copyable {
  private let scratch: UnsafeMutableRawBufferPointer
  private let pieces: UnsafeMutableBufferPointer<iovec>

  init() {
    scratch = .allocate(byteCount: DatagramTrain.scratchBytes, alignment: 64)
    pieces = .allocate(capacity: DatagramTrain.piecesMax)
  }

  deinit {
    scratch.deallocate()
    pieces.deallocate()
  }

  /// Never waits. What stands behind a datagram that could not be sent is not sent either.
  /// - Returns: bytes of the frame, where all was sent, or -errno; nil: it cannot be cut, or is one datagram.
  func send(
    _ frame: FrameDescriptor, to remote: TunnelRemote, _ segmentation: TunnelSegmentation, by descriptor: Int32
  ) -> Int32? {
    let most = segmentation == .none ? 1 : DatagramTrain.datagramsMax
    guard var train = DatagramTrain(remote, frame, datagramsMax: most) else { return nil }
    while let count = train.next(scratch: scratch, pieces: pieces) {
      if writev(descriptor, pieces.baseAddress, Int32(count)) < 0 { return -errno }
    }
    return Int32(frame.length)
  }
}
