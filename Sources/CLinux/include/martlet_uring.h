// io_uring: the macros of liburing.h as functions, and operations newer than liburing 2.3.
#ifndef MARTLET_URING_H
#define MARTLET_URING_H

#include <errno.h>
#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

// Since Linux 6.7; absent from liburing 2.3.
enum { MARTLET_IORING_OP_READ_MULTISHOT = 49 };

enum {
  MARTLET_IOSQE_FIXED_FILE = IOSQE_FIXED_FILE,
  MARTLET_IOSQE_BUFFER_SELECT = IOSQE_BUFFER_SELECT,
  MARTLET_IOSQE_IO_LINK = IOSQE_IO_LINK,
  MARTLET_IOSQE_CQE_SKIP_SUCCESS = IOSQE_CQE_SKIP_SUCCESS,
};

/// The completion queue's tail, read with acquire order.
static inline unsigned int martlet_uring_tail(const struct io_uring *ring) {
  return io_uring_smp_load_acquire(ring->cq.ktail);
}

/// RWF_NOWAIT (preadv2(2)): fail with EAGAIN rather than wait.
static inline int martlet_rwf_nowait(void) { return RWF_NOWAIT; }

/// A new event counter (eventfd(2)), close-on-exec, or -errno.
static inline int martlet_eventfd(void) {
  int fd = eventfd(0, EFD_CLOEXEC);
  return fd >= 0 ? fd : -errno;
}

#endif
