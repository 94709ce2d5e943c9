// Encapsulated frames between a carrier, which is a TAP of Martlet's, and an underlay interface of the host.
//
// Theory of operation.
//
// A TAP is the only way for a process to give the kernel, and to take from it, a frame that is segmented inside a UDP tunnel
// (VIRTIO_NET_HDR_GSO_UDP_TUNNEL, Linux 6.17). So the carrier has no address and no stack behind it; two programs take its place:
//
//   * `carrier_ingress`, at the carrier's tc ingress, hands what Martlet wrote to the underlay. The kernel looks up the route
//     over that interface, resolves the next hop and writes the Ethernet header (bpf_redirect_neigh).
//   * `underlay_ingress`, at the underlay's tc ingress, hands to the carrier the datagrams to the VTEP: to its address and port, and
//     whole. Everything else is the host's, fragments too: the kernel puts them together, and finds that nobody listens.
//
// An underlay without Ethernet headers (a WireGuard interface) loses and gets them here.
//
// The programs state no licence: they call nothing that the kernel keeps for one. Each carrier has an object of its own.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum {
  // include/net/ip.h: the offset in units of eight bytes, and "more fragments".
  IPV4_FRAGMENT = 0x3FFF,
};

// Also Underlay.swift's.
struct carrier {
  // Of the VTEP; IPv4 as ::ffff:a.b.c.d.
  __u32 address[4];
  __u32 carrier, underlay;
  // In the order of the wire.
  __u16 port;
  __u16 has_ethernet;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct carrier);
} carriers SEC(".maps");

static __always_inline const struct carrier *own_carrier(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&carriers, &zero);
}

// To the VTEP's address: where its UDP header begins; 0: not for it.
static __always_inline __u32 udp_header(struct __sk_buff *skb, const struct carrier *own, __u32 network) {
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    struct iphdr ip;
    if (bpf_skb_load_bytes(skb, network, &ip, sizeof ip) != 0) return 0;
    if (ip.protocol != IPPROTO_UDP || ip.version != 4 || ip.ihl < 5) return 0;
    if (ip.frag_off & bpf_htons(IPV4_FRAGMENT)) return 0;
    if (own->address[2] != bpf_htonl(0xFFFF) || ip.daddr != own->address[3]) return 0;
    return network + ip.ihl * 4;
  }
  if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr ip;
    if (bpf_skb_load_bytes(skb, network, &ip, sizeof ip) != 0) return 0;
    if (ip.nexthdr != IPPROTO_UDP || ip.version != 6) return 0;
    const __u32 *to = ip.daddr.in6_u.u6_addr32;
    if (to[0] != own->address[0] || to[1] != own->address[1] || to[2] != own->address[2] || to[3] != own->address[3])
      return 0;
    return network + sizeof ip;
  }
  return 0;
}

SEC("tc")
int underlay_ingress(struct __sk_buff *skb) {
  const struct carrier *own = own_carrier();
  if (!own || skb->vlan_present) return TC_ACT_UNSPEC;
  __u32 offset = udp_header(skb, own, own->has_ethernet ? ETH_HLEN : 0);
  struct udphdr udp;
  if (offset == 0 || bpf_skb_load_bytes(skb, offset, &udp, sizeof udp) != 0 || udp.dest != own->port)
    return TC_ACT_UNSPEC;
  if (!own->has_ethernet) {
    struct ethhdr ethernet = {.h_proto = skb->protocol};
    if (bpf_skb_change_head(skb, ETH_HLEN, 0) != 0) return TC_ACT_SHOT;
    if (bpf_skb_store_bytes(skb, 0, &ethernet, sizeof ethernet, 0) != 0) return TC_ACT_SHOT;
  }
  return bpf_redirect(own->carrier, 0);
}

SEC("tc")
int carrier_ingress(struct __sk_buff *skb) {
  (void)skb;
  const struct carrier *own = own_carrier();
  if (!own) return TC_ACT_SHOT;
  return own->has_ethernet ? bpf_redirect_neigh(own->underlay, 0, 0, 0) : bpf_redirect(own->underlay, 0);
}
