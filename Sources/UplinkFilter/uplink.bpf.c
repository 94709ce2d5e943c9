// Which frames that the uplink receives are Martlet's, and which are the host's.
//
// Theory of operation.
//
// The uplink is the host's own interface. Martlet takes its part of what arrives there by a packet socket, which gets a
// copy of a frame before the host's stack does; so each frame is judged twice, by one and the same classify():
//
//   * `uplink_socket` is the packet socket's filter. It keeps from the socket what is the host's.
//   * `uplink_ingress` runs at tc ingress, which comes behind the packet sockets (__netif_receive_skb_core of
//     net/core/dev.c). It drops what is Martlet's, so that the host answers none of it with a reset or an unreachable,
//     and passes the rest on to programs behind it.
//
// A verdict is one of three: HOST, OURS, BOTH. BOTH is for what the host may need too and is silent about if it does not:
// an echo reply, a later fragment whose first one was not seen yet, a broadcast, a neighbour's answer. Everything that is
// not understood is HOST: the host's stack knows what to do with a malformed packet, and no frame is lost by an error here.
//
// What is Martlet's is told by maps. Only user space writes them, but for `fragments`.
//
//   * `externals`: the addresses that Martlet translates to, each with a slot. They are the host's addresses as well, so
//     a packet to one is Martlet's only where `claims` has the bit of its slot, protocol and destination port set.
//     The bits lie in memory that the daemon has mapped: to claim a port costs it one store. An ICMP error is judged by
//     the packet it quotes, whose source it tells of.
//   * `subnets`: routed to Martlet, whole.
//   * `macs` and `addresses`: endpoints on the LAN, with a MAC address of their own (macvlan) or that of the uplink
//     (ipvlan). The host has neither.
//   * `presence`: how many entries the others have, so that nothing is looked up in an empty map.
//
// Only a datagram's first fragment has ports. One that is OURS leaves its key in `fragments`, where the later ones are
// found; one that is not takes it away, for an identification comes round again. The map forgets the least recently used,
// so a flood of first fragments costs no memory; what it pushes out becomes BOTH, and still arrives.
//
// Addresses are 16 bytes everywhere, IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). Bytes of a frame are read by
// bpf_skb_load_bytes alone, which refuses what lies beyond the frame; what lies beyond the packet's own length (padding)
// is refused by read_packet. Offsets count from the MAC header, where both kinds of program begin. A VLAN tag does not
// stand in the frame (`vlan_present`), and what has one is not for the uplink itself.
//
// A daemon that ends to be started again leaves `uplink_leased` in the ingress program's place: else the host would reset every
// connection of Martlet's that says something meanwhile. `lease` holds until when, and the program is without effect after
// it: a daemon that does not come back leaves no black hole.
//
// The programs state no licence: they call nothing that the kernel keeps for one. They run beside a copy of themselves in
// another namespace or on another interface: the maps belong to one loaded object.

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum {
  SLOTS = 16,
  PLANES = 3,
  PLANE_BYTES = 8192,
  FRAGMENTED_DATAGRAMS_MAX = 4096,
  SUBNETS_MAX = 4096,
  ENDPOINTS_MAX = 4096,
  EXTENSION_HEADERS_MAX = 8,
  // RFC 792. linux/icmp.h and linux/if_arp.h ask for the C library's headers, which do not know this target.
  ICMP_ECHOREPLY = 0,
  ICMP_DEST_UNREACH = 3,
  ICMP_ECHO = 8,
  ICMP_TIME_EXCEEDED = 11,
  ICMP_PARAMETERPROB = 12,
  // RFC 4861, 4.3 and 4.4.
  NEIGHBOUR_SOLICITATION = 135,
  NEIGHBOUR_ADVERTISEMENT = 136,
  // RFC 826.
  ARPHRD_ETHER = 1,
  ARPOP_REQUEST = 1,
  ARPOP_REPLY = 2,
  // include/net/ip.h: the offset in units of eight bytes, and "more fragments".
  IPV4_OFFSET = 0x1FFF,
  IPV4_MORE = 0x2000,
  // RFC 8200, 4.5.
  IPV6_OFFSET = 0xFFF8,
  IPV6_MORE = 0x0001,
};

enum verdict { HOST, OURS, BOTH };
enum plane { PLANE_TCP, PLANE_UDP, PLANE_QUERY };
enum piece { WHOLE, FIRST_FRAGMENT, LATER_FRAGMENT };

struct address {
  __u32 words[4];
};

struct mac {
  __u8 bytes[ETH_ALEN];
};

struct subnet {
  __u32 length;
  struct address address;
};

struct fragment {
  struct address source, destination;
  // As it stands in the header.
  __u32 identification;
  // 0 for IPv6, whose later fragments need not repeat the first one's next header (RFC 8200, 4.5).
  __u32 protocol;
};

struct presence {
  __u32 macs, addresses, subnets;
};

// Sizes and layouts here are UplinkFilter.swift's and PortClaims.swift's too.

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, SLOTS * PLANES);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, PLANE_BYTES);
} claims SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, SLOTS);
  __type(key, struct address);
  __type(value, __u32);
} externals SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, SUBNETS_MAX);
  __type(key, struct subnet);
  __type(value, __u32);
} subnets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, ENDPOINTS_MAX);
  __type(key, struct mac);
  __type(value, __u32);
} macs SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, ENDPOINTS_MAX);
  __type(key, struct address);
  __type(value, __u32);
} addresses SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, FRAGMENTED_DATAGRAMS_MAX);
  __type(key, struct fragment);
  __type(value, __u32);
} fragments SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct presence);
} presence SEC(".maps");

// In nanoseconds of CLOCK_MONOTONIC.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} lease SEC(".maps");

// An IP packet, or one that an ICMP error quotes.
struct packet {
  struct address source, destination;
  // Where what it carries begins, and where the outermost packet ends or the frame does.
  __u32 offset, end;
  __u32 identification;
  // What it carries behind all extension headers.
  __u8 protocol;
  __u8 version;
  __u8 piece;
};

static __always_inline int read_packet(struct __sk_buff *skb, const struct packet *packet, void *to, __u32 size) {
  if (packet->offset > packet->end || packet->end - packet->offset < size) return -1;
  return bpf_skb_load_bytes(skb, packet->offset, to, size);
}

static __always_inline struct address mapped(__be32 address) {
  return (struct address){{0, 0, bpf_htonl(0xFFFF), address}};
}

static __always_inline int is_mapped(const struct address *address) {
  return address->words[0] == 0 && address->words[1] == 0 && address->words[2] == bpf_htonl(0xFFFF);
}

static __always_inline int is_in_subnet(const struct address *address) {
  struct subnet key = {128, *address};
  return bpf_map_lookup_elem(&subnets, &key) != NULL;
}

static __always_inline int is_claimed(__u32 slot, enum plane plane, __be16 port) {
  __u32 index = slot * PLANES + plane, number = bpf_ntohs(port);
  const volatile __u8 *bits = bpf_map_lookup_elem(&claims, &index);
  return bits && bits[number >> 3 & (PLANE_BYTES - 1)] >> (number & 7) & 1;
}

// Steps over IPv6's extension headers, from those whose kind is packet->protocol. -1: not understood.
static __always_inline int walk(struct __sk_buff *skb, struct packet *packet) {
  for (int count = 0; count <= EXTENSION_HEADERS_MAX; count++) {
    __u8 kind = packet->protocol;
    if (kind != IPPROTO_HOPOPTS && kind != IPPROTO_DSTOPTS && kind != IPPROTO_ROUTING && kind != IPPROTO_FRAGMENT)
      return 0;
    struct {
      __u8 next, length;
      __be16 offset;
      __be32 identification;
    } header;
    if (read_packet(skb, packet, &header, sizeof header)) return -1;
    packet->protocol = header.next;
    packet->offset += kind == IPPROTO_FRAGMENT ? sizeof header : (header.length + 1) * 8;
    if (kind != IPPROTO_FRAGMENT) continue;
    packet->identification = header.identification;
    if (header.offset & bpf_htons(IPV6_OFFSET)) {
      packet->piece = LATER_FRAGMENT;
      return 0;
    }
    if (header.offset & bpf_htons(IPV6_MORE)) packet->piece = FIRST_FRAGMENT;
  }
  return -1;
}

// Takes the header at packet->offset, within packet->end. A packet that is not quoted ends where its header says; one
// that the kernel has put together from several (GRO) may be too long for its header to say (BIG TCP).
static __always_inline int parse_ipv4(struct __sk_buff *skb, struct packet *packet, int is_quoted) {
  struct iphdr header;
  __u32 start = packet->offset;
  if (read_packet(skb, packet, &header, sizeof header) || header.version != 4 || header.ihl < 5) return -1;
  __u32 length = bpf_ntohs(header.tot_len);
  if (!is_quoted && !(length == 0 && skb->gso_size) && start + length < packet->end) packet->end = start + length;
  packet->source = mapped(header.saddr);
  packet->destination = mapped(header.daddr);
  packet->offset = start + header.ihl * 4;
  packet->identification = header.id;
  packet->protocol = header.protocol;
  packet->version = 4;
  packet->piece = header.frag_off & bpf_htons(IPV4_OFFSET) ? LATER_FRAGMENT
                  : header.frag_off & bpf_htons(IPV4_MORE) ? FIRST_FRAGMENT
                                                           : WHOLE;
  return 0;
}

// As parse_ipv4, but without the extension headers, which are walk()'s.
static __always_inline int parse_ipv6(struct __sk_buff *skb, struct packet *packet, int is_quoted) {
  struct ipv6hdr header;
  if (read_packet(skb, packet, &header, sizeof header) || header.version != 6) return -1;
  packet->offset += sizeof header;
  __u32 length = bpf_ntohs(header.payload_len);
  if (!is_quoted && !(length == 0 && skb->gso_size) && packet->offset + length < packet->end)
    packet->end = packet->offset + length;
  __builtin_memcpy(&packet->source, &header.saddr, sizeof packet->source);
  __builtin_memcpy(&packet->destination, &header.daddr, sizeof packet->destination);
  // None of these may be on a wire, where they would be taken for IPv4's; the host drops them (ip6_rcv_core).
  if (is_mapped(&packet->source) || is_mapped(&packet->destination)) return -1;
  packet->identification = 0;
  packet->protocol = header.nexthdr;
  packet->version = 6;
  packet->piece = WHOLE;
  return 0;
}

// The packet that an error quotes, at error->offset: one that Martlet sent?
static __always_inline enum verdict classify_quote(struct __sk_buff *skb, const struct packet *error, __u32 has_subnets) {
  struct packet packet = {.offset = error->offset, .end = error->end};
  if (error->version == 4) {
    if (parse_ipv4(skb, &packet, 1)) return HOST;
  } else {
    if (parse_ipv6(skb, &packet, 1)) return HOST;
  }
  const __u32 *slot = bpf_map_lookup_elem(&externals, &packet.source);
  if (!slot) return has_subnets && is_in_subnet(&packet.source) ? OURS : HOST;
  if (error->version == 6 && walk(skb, &packet)) return HOST;
  if (packet.piece == LATER_FRAGMENT) return HOST;
  // As much as every error quotes (RFC 792): TCP's and UDP's ports, or the whole header of an echo request.
  struct {
    union {
      __be16 source_port;
      __u8 type;
    };
    __be16 unused;
    __be16 identifier, sequence;
  } header;
  if (read_packet(skb, &packet, &header, sizeof header)) return HOST;
  switch (packet.protocol) {
    case IPPROTO_TCP: return is_claimed(*slot, PLANE_TCP, header.source_port) ? OURS : HOST;
    case IPPROTO_UDP: return is_claimed(*slot, PLANE_UDP, header.source_port) ? OURS : HOST;
    case IPPROTO_ICMP:
      if (error->version != 4 || header.type != ICMP_ECHO) return HOST;
      return is_claimed(*slot, PLANE_QUERY, header.identifier) ? OURS : HOST;
    case IPPROTO_ICMPV6:
      if (error->version != 6 || header.type != ICMPV6_ECHO_REQUEST) return HOST;
      return is_claimed(*slot, PLANE_QUERY, header.identifier) ? OURS : HOST;
    default: return HOST;
  }
}

static __always_inline int is_error(__u32 version, __u8 type) {
  if (version == 4) return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
  return type >= ICMPV6_DEST_UNREACH && type <= ICMPV6_PARAMPROB;
}

// What a whole packet or a first fragment to the external address of `slot` carries.
static __always_inline enum verdict classify_transport(
    struct __sk_buff *skb, struct packet *packet, __u32 slot, __u32 has_subnets) {
  if (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP) {
    __be16 ports[2];
    if (read_packet(skb, packet, ports, sizeof ports)) return HOST;
    return is_claimed(slot, packet->protocol == IPPROTO_TCP ? PLANE_TCP : PLANE_UDP, ports[1]) ? OURS : HOST;
  }
  if (packet->protocol != (packet->version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) return HOST;
  struct {
    __u8 type, code;
    __be16 checksum;
    __be16 identifier, sequence;
  } header;
  if (read_packet(skb, packet, &header, sizeof header)) return HOST;
  if (header.type == (packet->version == 4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY))
    return is_claimed(slot, PLANE_QUERY, header.identifier) ? BOTH : HOST;
  if (!is_error(packet->version, header.type)) return HOST;
  packet->offset += sizeof header;
  return classify_quote(skb, packet, has_subnets);
}

static __always_inline enum verdict classify_external(
    struct __sk_buff *skb, struct packet *packet, __u32 slot, __u32 has_subnets) {
  if (packet->version == 6 && walk(skb, packet)) return HOST;
  __u32 piece = packet->piece;
  if (piece == WHOLE) return classify_transport(skb, packet, slot, has_subnets);
  struct fragment key = {packet->source, packet->destination, packet->identification, 0};
  if (packet->version == 4) key.protocol = packet->protocol;
  if (piece == LATER_FRAGMENT) return bpf_map_lookup_elem(&fragments, &key) ? OURS : BOTH;
  enum verdict verdict = classify_transport(skb, packet, slot, has_subnets);
  if (verdict == OURS) {
    __u32 value = slot;
    bpf_map_update_elem(&fragments, &key, &value, BPF_ANY);
  } else {
    bpf_map_delete_elem(&fragments, &key);
  }
  return verdict;
}

// A packet to the uplink's own MAC address.
static __always_inline enum verdict classify_unicast(
    struct __sk_buff *skb, struct packet *packet, const struct presence *present) {
  const __u32 *slot = bpf_map_lookup_elem(&externals, &packet->destination);
  if (slot) return classify_external(skb, packet, *slot, present->subnets);
  if (present->addresses && bpf_map_lookup_elem(&addresses, &packet->destination)) return OURS;
  return present->subnets && is_in_subnet(&packet->destination) ? OURS : HOST;
}

// RFC 4861, 4.3 and 4.4. HOST: nothing that endpoints on the LAN need.
static __always_inline enum verdict classify_discovery(
    struct __sk_buff *skb, const struct packet *packet, const struct presence *present) {
  struct {
    __u8 type, code;
    __be16 checksum;
    __be32 reserved;
    struct address target;
  } message;
  if (packet->protocol != IPPROTO_ICMPV6 || read_packet(skb, packet, &message, sizeof message)) return HOST;
  if (message.type == NEIGHBOUR_SOLICITATION && present->addresses)
    return bpf_map_lookup_elem(&addresses, &message.target) ? OURS : HOST;
  return message.type == NEIGHBOUR_ADVERTISEMENT ? BOTH : HOST;
}

// RFC 826, for Ethernet and IPv4.
static __always_inline enum verdict classify_arp(struct __sk_buff *skb, const struct presence *present) {
  struct {
    __be16 hardware, protocol;
    __u8 hardware_length, protocol_length;
    __be16 operation;
    __u8 sender[10], target_mac[6];
    __be32 target;
  } __attribute__((packed)) message;
  if (bpf_skb_load_bytes(skb, ETH_HLEN, &message, sizeof message)) return HOST;
  if (message.operation == bpf_htons(ARPOP_REPLY)) return present->macs || present->addresses ? BOTH : HOST;
  if (message.operation != bpf_htons(ARPOP_REQUEST) || message.hardware != bpf_htons(ARPHRD_ETHER) ||
      message.protocol != bpf_htons(ETH_P_IP) || message.hardware_length != 6 || message.protocol_length != 4)
    return HOST;
  struct address target = mapped(message.target);
  return present->addresses && bpf_map_lookup_elem(&addresses, &target) ? OURS : HOST;
}

static __always_inline enum verdict classify_payload(
    struct __sk_buff *skb, int is_group, const struct presence *present) {
  struct packet packet = {.offset = ETH_HLEN, .end = skb->len};
  if (skb->protocol == bpf_htons(ETH_P_IP))
    return is_group || parse_ipv4(skb, &packet, 0) ? HOST : classify_unicast(skb, &packet, present);
  if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
    if (parse_ipv6(skb, &packet, 0)) return HOST;
    enum verdict verdict = HOST;
    if (present->macs || present->addresses) verdict = classify_discovery(skb, &packet, present);
    if (is_group || verdict == OURS) return verdict;
    enum verdict other = classify_unicast(skb, &packet, present);
    return other == HOST ? verdict : other;
  }
  return skb->protocol == bpf_htons(ETH_P_ARP) ? classify_arp(skb, present) : HOST;
}

static __always_inline enum verdict classify(struct __sk_buff *skb) {
  __u32 kind = skb->pkt_type, zero = 0;
  if (skb->vlan_present || kind > PACKET_OTHERHOST) return HOST;
  const struct presence *present = bpf_map_lookup_elem(&presence, &zero);
  if (!present) return HOST;
  int is_group = kind == PACKET_BROADCAST || kind == PACKET_MULTICAST;
  if (present->macs && !is_group) {
    struct mac destination;
    if (bpf_skb_load_bytes(skb, 0, &destination, sizeof destination)) return HOST;
    if (bpf_map_lookup_elem(&macs, &destination)) return OURS;
  }
  if (kind == PACKET_OTHERHOST) return HOST;
  enum verdict verdict = classify_payload(skb, is_group, present);
  if (verdict == HOST && is_group && (present->macs || present->addresses)) return BOTH;
  return verdict;
}

SEC("socket")
int uplink_socket(struct __sk_buff *skb) { return classify(skb) == HOST ? 0 : -1; }

SEC("tc")
int uplink_ingress(struct __sk_buff *skb) { return classify(skb) == OURS ? TC_ACT_SHOT : TC_ACT_UNSPEC; }

SEC("tc")
int uplink_leased(struct __sk_buff *skb) {
  __u32 zero = 0;
  const __u64 *end = bpf_map_lookup_elem(&lease, &zero);
  if (!end || bpf_ktime_get_ns() > *end) return TC_ACT_UNSPEC;
  return classify(skb) == OURS ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}
