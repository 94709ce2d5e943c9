import CLibbpf
import CLinux
import Glibc
import Netlink
import SystemCalls

/// A program at an interface's tc ingress, until this value ends.
enum IngressAttachment: ~Copyable, Sendable {
  /// tcx, Linux 6.6 and later: the kernel takes the program away with the last descriptor of the link.
  case link(FileDescriptor)
  case classifier(ClassifierFilter)

  var isLink: Bool {
    switch self {
    case .link: true
    case .classifier: false
    }
  }

  /// By a link, or as before there were any.
  init(_ program: Int32, _ interface: Int32, handle: UInt32) throws(Errno) {
    do {
      self = try .link(program, interface)
    } catch {
      // The kernel has no tcx (before 6.6).
      guard error.code == EINVAL else { throw error }
      self = try .classifier(program, interface, handle: handle)
    }
  }

  static func link(_ program: Int32, _ interface: Int32) throws(Errno) -> IngressAttachment {
    let link = try check(
      martlet_bpf_link_ingress(program, interface), "attach a BPF program to tc ingress of interface \(interface)")
    return .link(FileDescriptor(owning: link))
  }

  static func classifier(_ program: Int32, _ interface: Int32, handle: UInt32) throws(Errno) -> IngressAttachment {
    .classifier(try ClassifierFilter(program, interface, handle: handle))
  }
}

/// A cls_bpf filter with direct action at the clsact qdisc of an interface: what there was before tcx. It outlives the process
/// that ends without `deinit`.
///
/// The qdisc stays when the filter goes: others may have put filters of theirs at it, and empty it does nothing.
struct ClassifierFilter: ~Copyable, Sendable {
  /// Before all other filters. Those of one priority are asked one after the other, until one drops the frame.
  private static let priority: UInt32 = 1

  private let interface: Int32
  /// By which a filter of an earlier process is known.
  private let handle: UInt32
  /// An interface's index means something in its own namespace only, and `deinit` may run on any thread.
  private let namespace: NetworkNamespace

  /// In the calling thread's network namespace. Takes the place of a filter that an earlier process left.
  init(_ program: Int32, _ interface: Int32, handle: UInt32) throws(Errno) {
    let namespace = try NetworkNamespace.current()
    var hook = Self.hook(interface)
    martlet_bpf_forget_words()
    let created = bpf_tc_hook_create(&hook)
    if created != -EEXIST {
      _ = try BPFObject.check(created, "add a clsact qdisc to interface \(interface)")
    }
    var options = Self.options(handle)
    options.prog_fd = program
    options.flags = UInt32(BPF_TC_F_REPLACE.rawValue)
    martlet_bpf_forget_words()
    _ = try BPFObject.check(bpf_tc_attach(&hook, &options), "add a BPF filter to interface \(interface)")
    (self.interface, self.handle) = (interface, handle)
    self.namespace = namespace
  }

  deinit {
    // Where it fails, the interface or somebody else has taken the filter away.
    _ = try? namespace.run { () throws(Errno) -> Int32 in
      var hook = Self.hook(interface)
      var options = Self.options(handle)
      return bpf_tc_detach(&hook, &options)
    }
  }

  private static func hook(_ interface: Int32) -> bpf_tc_hook {
    var hook = bpf_tc_hook()
    hook.sz = sizeThrough(\bpf_tc_hook.attach_point)
    hook.ifindex = interface
    hook.attach_point = BPF_TC_INGRESS
    return hook
  }

  private static func options(_ handle: UInt32) -> bpf_tc_opts {
    var options = bpf_tc_opts()
    options.sz = sizeThrough(\bpf_tc_opts.priority)
    (options.handle, options.priority) = (handle, priority)
    return options
  }
}
