// TAP devices: linux/if_tun.h. ioctl() is variadic and the request codes are function-like macros, so they are wrapped here.
#ifndef MARTLET_TAP_H
#define MARTLET_TAP_H

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

// Since Linux 6.2; absent from older distributions' if_tun.h.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum {
  MARTLET_TUN_F_CSUM = TUN_F_CSUM,
  MARTLET_TUN_F_TSO4 = TUN_F_TSO4,
  MARTLET_TUN_F_TSO6 = TUN_F_TSO6,
  MARTLET_TUN_F_TSO_ECN = TUN_F_TSO_ECN,
  MARTLET_TUN_F_USO4 = TUN_F_USO4,
  MARTLET_TUN_F_USO6 = TUN_F_USO6,
  // Since Linux 6.17: segmented packets within a UDP tunnel.
  MARTLET_TUN_F_UDP_TUNNEL_GSO = 0x080,
  MARTLET_TUN_F_UDP_TUNNEL_GSO_CSUM = 0x100,
};

/// Attaches `fd` (an open /dev/net/tun) to the TAP `name` of the calling thread's network namespace, making it if absent.
/// `name` may hold a `%d`; the name the kernel chose is written back (IFNAMSIZ bytes). 0, or -errno.
static inline int martlet_tap_attach(int fd, char name[IFNAMSIZ], unsigned short flags) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  memcpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = (short)flags;
  if (ioctl(fd, TUNSETIFF, &request) != 0) return -errno;
  memcpy(name, request.ifr_name, IFNAMSIZ);
  return 0;
}

/// The flags of a TAP without packet information and with a virtio-net header before each frame. `multi_queue`: every
/// descriptor that is attached is one more queue; else one can be. `is_new`: EBUSY where a TAP of the name stands already.
static inline unsigned short martlet_tap_flags(int multi_queue, int is_new) {
  return IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multi_queue ? IFF_MULTI_QUEUE : 0) | (is_new ? IFF_TUN_EXCL : 0);
}

/// Sets the length of the virtio-net header, in bytes. 0, or -errno.
static inline int martlet_tap_set_header_length(int fd, int length) {
  return ioctl(fd, TUNSETVNETHDRSZ, &length) == 0 ? 0 : -errno;
}

/// Tells the kernel which offloads we take (MARTLET_TUN_F_*). 0, or -errno.
static inline int martlet_tap_set_offload(int fd, unsigned int features) {
  return ioctl(fd, TUNSETOFFLOAD, (unsigned long)features) == 0 ? 0 : -errno;
}

/// 1: the TAP outlives its descriptors; 0: it goes with the last one. 0, or -errno.
static inline int martlet_tap_set_persistent(int fd, int persistent) {
  return ioctl(fd, TUNSETPERSIST, (unsigned long)persistent) == 0 ? 0 : -errno;
}

#endif
