import CLiburing
import CLinux
import Glibc
import SystemCalls

/// The buffers that frames are received into and sent from: a provided-buffer ring (io_uring_register_buf_ring(3)).
///
/// The kernel takes a buffer for each frame it reads; it comes back when the last write from it has completed, so a flooded
/// frame is written to every port from the one buffer it came in. Few and warm is better than many: with 256 buffers of
/// 68 KB the frames fall out of the cache, which cost bulk TCP a fifth (docs/ablation.md).
///
/// A few more buffers belong to no ring: the switch's own frames are sent from them. One thread, the worker.
struct FrameBuffers: ~Copyable {
  /// A power of two, as the kernel asks.
  static let receiveCountDefault = 32
  static let ownCount = 16
  /// Room before each frame for what a stage may have to put there (`TunnelRemote.headroom`).
  static let headroom = 128
  /// The largest frame that a TAP gives is 65,536 bytes and its virtio-net header.
  static let stride = 65536 + 4096
  static let group: UInt16 = 0

  let receiveCount: Int
  private let memory: UnsafeMutableRawPointer
  private let bytes: Int
  private let ring: UnsafeMutablePointer<io_uring_buf_ring>
  private let ringBytes: Int
  private let references: UnsafeMutablePointer<UInt16>
  /// Buffers of other workers, by `foreign`, that this worker holds; the router's.
  private let lenders: [RouterHandOver.Incoming]
  /// Buffers given back since `publish`.
  private var returned: Int32 = 0

  /// - Parameter lenders: the workers whose buffers are held here now and then.
  init(
    receiveCount: Int, registeredWith uring: borrowing IOUring, lenders: [RouterHandOver.Incoming] = []
  ) throws(Errno) {
    precondition(receiveCount > 0 && receiveCount & (receiveCount - 1) == 0)
    let bytes = (receiveCount + Self.ownCount) * Self.stride
    let ringBytes = receiveCount * MemoryLayout<io_uring_buf>.stride
    let memory = try Self.map(bytes)
    let ringMemory: UnsafeMutableRawPointer
    do throws(Errno) {
      ringMemory = try Self.map(ringBytes)
      try Self.register(ringMemory, entries: receiveCount, with: uring)
    } catch {
      munmap(memory, bytes)
      throw error
    }
    ring = ringMemory.assumingMemoryBound(to: io_uring_buf_ring.self)
    self.receiveCount = receiveCount
    self.memory = memory
    self.bytes = bytes
    self.ringBytes = ringBytes
    self.lenders = lenders
    let count = (receiveCount + Self.ownCount) * (1 + lenders.count)
    references = .allocate(capacity: count)
    references.initialize(repeating: 0, count: count)
    io_uring_buf_ring_init(ring)
    for index in 0..<receiveCount { giveBack(UInt16(index)) }
    publish()
  }

  private static func register(
    _ ring: UnsafeMutableRawPointer, entries: Int, with uring: borrowing IOUring
  ) throws(Errno) {
    var registration = io_uring_buf_reg()
    registration.ring_addr = UInt64(UInt(bitPattern: ring))
    registration.ring_entries = UInt32(entries)
    registration.bgid = group
    let result = io_uring_register_buf_ring(uring.ring, &registration, 0)
    if result != 0 {
      munmap(ring, entries * MemoryLayout<io_uring_buf>.stride)
      throw Errno(-result, "register a buffer ring with io_uring")
    }
  }

  deinit {
    munmap(memory, bytes)
    munmap(ring, ringBytes)
    references.deallocate()
  }

  private static func map(_ bytes: Int) throws(Errno) -> UnsafeMutableRawPointer {
    let address = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0)
    guard let address, address != MAP_FAILED else { throw .current("map \(bytes) bytes for frame buffers") }
    return address
  }

  /// Of this worker, and of the lenders.
  var count: Int { (receiveCount + Self.ownCount) * (1 + lenders.count) }

  /// Where the virtio-net header of a frame in buffer `index` begins.
  @inline(__always)
  func start(_ index: UInt16) -> UnsafeMutableRawPointer { memory + (Int(index) &* Self.stride &+ Self.headroom) }

  @inline(__always)
  mutating func retain(_ index: UInt16) { references[Int(index)] &+= 1 }

  /// The last one to let go gives the buffer back to the kernel (seen by it after `publish`).
  @inline(__always)
  mutating func release(_ index: UInt16) {
    references[Int(index)] &-= 1
    guard references[Int(index)] == 0 else { return }
    if Int(index) < receiveCount { giveBack(index) } else { giveBackForeign(index) }
  }

  /// The number here of a buffer that a lender has numbered `index`.
  func foreign(_ lender: Int, _ index: UInt16) -> UInt16 {
    UInt16((receiveCount + Self.ownCount) * (1 + lender)) + index
  }

  private func giveBackForeign(_ index: UInt16) {
    let count = UInt16(receiveCount + Self.ownCount)
    guard index >= count else { return }
    lenders[Int(index / count) - 1].giveBack(index % count)
  }

  /// The kernel has put a frame into the buffer: the caller holds it now.
  @inline(__always)
  mutating func take(_ index: UInt16) {
    references[Int(index)] = 1
  }

  /// A buffer of our own, held by the caller; nil where all are in use.
  mutating func takeOwn() -> UInt16? {
    for index in receiveCount..<(receiveCount + Self.ownCount) where references[index] == 0 {
      references[index] = 1
      return UInt16(index)
    }
    return nil
  }

  @inline(__always)
  private mutating func giveBack(_ index: UInt16) {
    let mask = Int32(receiveCount &- 1)
    io_uring_buf_ring_add(ring, start(index), UInt32(Self.stride - Self.headroom), index, mask, returned)
    returned &+= 1
  }

  /// Lets the kernel see what was given back.
  @inline(__always)
  mutating func publish() {
    guard returned != 0 else { return }
    io_uring_buf_ring_advance(ring, returned)
    returned = 0
  }
}
