// Packet sockets (packet(7), linux/if_packet.h) and the features of the interfaces they are bound to (linux/ethtool.h).
#ifndef MARTLET_PACKET_H
#define MARTLET_PACKET_H

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
  MARTLET_FEATURE_TSO4 = 1,
  MARTLET_FEATURE_TSO6 = 2,
  MARTLET_FEATURE_TSO_ECN = 4,
  MARTLET_FEATURE_USO = 8,
};

/// Room for the one control message a packet socket gives, PACKET_AUXDATA.
static inline size_t martlet_packet_control_size(void) { return CMSG_SPACE(sizeof(struct tpacket_auxdata)); }

/// The PACKET_AUXDATA among the `length` bytes of control messages at `control`, or NULL. `control` is aligned as a pointer is.
static inline const struct tpacket_auxdata *martlet_packet_auxdata(const void *control, size_t length) {
  const struct cmsghdr *header = (const struct cmsghdr *)control;
  if (length < CMSG_LEN(sizeof(struct tpacket_auxdata)) || header->cmsg_len < CMSG_LEN(sizeof(struct tpacket_auxdata)))
    return NULL;
  if (header->cmsg_level != SOL_PACKET || header->cmsg_type != PACKET_AUXDATA) return NULL;
  return (const struct tpacket_auxdata *)CMSG_DATA(header);
}

static inline int martlet_attach_filter(int socket, struct sock_filter *filter, unsigned short length) {
  struct sock_fprog program = {.len = length, .filter = filter};
  return setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 ? 0 : -errno;
}

/// Keeps every frame from `socket`. 0, or -errno.
static inline int martlet_packet_take_nothing(int socket) {
  struct sock_filter filter = BPF_STMT(BPF_RET | BPF_K, 0);
  return martlet_attach_filter(socket, &filter, 1);
}

/// Lets frames pass that the interface received, and none that it is about to send. 0, or -errno.
static inline int martlet_packet_take_incoming(int socket) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_PKTTYPE),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xFFFFFFFF),
  };
  return martlet_attach_filter(socket, filter, sizeof filter / sizeof filter[0]);
}

/// Takes the filter away. 0, or -errno.
static inline int martlet_packet_take_all(int socket) {
  int unused = 0;
  return setsockopt(socket, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused) == 0 ? 0 : -errno;
}

static inline int martlet_ethtool(int socket, const char *interface, void *command) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
  request.ifr_data = (char *)command;
  return ioctl(socket, SIOCETHTOOL, &request) == 0 ? 0 : -errno;
}

/// What of a feature's name says how the device segments: a MARTLET_FEATURE_*, or 0.
static inline int martlet_feature_bit(const char *name) {
  if (strcmp(name, "tx-tcp-segmentation") == 0) return MARTLET_FEATURE_TSO4;
  if (strcmp(name, "tx-tcp6-segmentation") == 0) return MARTLET_FEATURE_TSO6;
  if (strcmp(name, "tx-tcp-ecn-segmentation") == 0) return MARTLET_FEATURE_TSO_ECN;
  if (strcmp(name, "tx-udp-segmentation") == 0) return MARTLET_FEATURE_USO;
  return 0;
}

/// The segmentation features (MARTLET_FEATURE_*) that are on at `interface`, in the network namespace of `socket` (of any
/// family), or -errno; ENODEV: no such interface. The kernel numbers features as it likes, so they are found by name.
static inline int martlet_link_features(int socket, const char *interface) {
  // With room for one count behind it.
  struct ethtool_sset_info *info = (struct ethtool_sset_info *)calloc(1, sizeof *info + sizeof info->data[0]);
  if (info == NULL) return -ENOMEM;
  info->cmd = ETHTOOL_GSSET_INFO;
  info->sset_mask = 1ULL << ETH_SS_FEATURES;
  int result = martlet_ethtool(socket, interface, info);
  unsigned int count = info->sset_mask == 0 ? 0 : info->data[0], words = (count + 31) / 32;
  free(info);
  if (result != 0) return result;
  struct ethtool_gstrings *names = (struct ethtool_gstrings *)calloc(1, sizeof *names + count * ETH_GSTRING_LEN);
  struct ethtool_gfeatures *features =
      (struct ethtool_gfeatures *)calloc(1, sizeof *features + words * sizeof features->features[0]);
  if (names == NULL || features == NULL) {
    result = -ENOMEM;
  } else {
    names->cmd = ETHTOOL_GSTRINGS;
    names->string_set = ETH_SS_FEATURES;
    names->len = count;
    features->cmd = ETHTOOL_GFEATURES;
    features->size = words;
    result = martlet_ethtool(socket, interface, names);
    if (result == 0) result = martlet_ethtool(socket, interface, features);
  }
  if (result == 0) {
    for (unsigned int index = 0; index < count; index++) {
      char name[ETH_GSTRING_LEN + 1] = {0};
      memcpy(name, names->data + index * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
      if (features->features[index / 32].active >> (index % 32) & 1) result |= martlet_feature_bit(name);
    }
  }
  free(names);
  free(features);
  return result;
}

#endif
