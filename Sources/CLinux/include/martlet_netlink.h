// What kind of namespace a descriptor holds: linux/nsfs.h. ioctl() is variadic, so it is wrapped here. The kinds of
// interface (ARPHRD_*) are glibc's: the kernel's header for them cannot stand beside net/if.h.
#ifndef MARTLET_NETLINK_H
#define MARTLET_NETLINK_H

#include <errno.h>
#include <linux/nsfs.h>
#include <net/if_arp.h>
#include <sched.h>
#include <sys/ioctl.h>

/// 1: `fd` is a network namespace; 0: it is a namespace of another kind, or none at all. Or -errno.
static inline int martlet_is_network_namespace(int fd) {
  int type = ioctl(fd, NS_GET_NSTYPE);
  if (type < 0) return errno == ENOTTY || errno == EINVAL ? 0 : -errno;
  return type == CLONE_NEWNET;
}

#endif
