// Network namespaces. Pure system calls; the effect of setns and unshare is on the calling thread alone.
#ifndef MARTLET_NAMESPACE_H
#define MARTLET_NAMESPACE_H

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>

/// Moves the calling thread into the network namespace of `fd`. 0, or -errno.
static inline int martlet_setns_network(int fd) { return setns(fd, CLONE_NEWNET) == 0 ? 0 : -errno; }

/// Gives the calling thread a new network namespace. 0, or -errno.
static inline int martlet_unshare_network(void) { return unshare(CLONE_NEWNET) == 0 ? 0 : -errno; }

/// Gives the calling process (it must be single-threaded or about to exec) a mount namespace of its own. 0, or -errno.
static inline int martlet_unshare_mount(void) { return unshare(CLONE_NEWNS) == 0 ? 0 : -errno; }

#endif
