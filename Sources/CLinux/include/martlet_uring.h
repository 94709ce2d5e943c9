// io_uring: the macros of liburing.h as functions, and operations newer than liburing 2.3.
#ifndef MARTLET_URING_H
#define MARTLET_URING_H

#include <liburing.h>

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

#endif
