import CLibmnl
import SystemCalls

extension RouteSocket {
  /// Puts another queueing discipline at an interface's root, as `tc qdisc replace dev LINK root KIND` (tc(8),
  /// linux/pkt_sched.h). `noqueue` hands each frame to the driver at once. ENOENT where the kernel has none of that kind.
  public mutating func replaceRootQueueing(link: Int32, kind: String) throws(Errno) {
    var header = tcmsg()
    header.tcm_ifindex = link
    header.tcm_parent = UInt32.max  // TC_H_ROOT, a macro with a cast.
    var request = Request(RTM_NEWQDISC, flags: NLM_F_CREATE | NLM_F_REPLACE, header)
    request.put(TCA_KIND, kind)
    try execute(request, "set root queueing \(kind) of link \(link)")
  }
}
