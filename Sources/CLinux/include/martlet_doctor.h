// Trials of what the switch needs from the kernel, each without a trace left behind. Functions return a value >= 0, or -errno.
#ifndef MARTLET_DOCTOR_H
#define MARTLET_DOCTOR_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "martlet_tap.h"
#include "martlet_uring.h"

/// Makes an io_uring as the switch's workers do (SINGLE_ISSUER and DEFER_TASKRUN, Linux 6.1) and closes it. 0, or -errno:
/// ENOSYS: the kernel has none; EPERM: a sysctl or a seccomp filter forbids it; EINVAL: the kernel is older; ENOMEM: memlock.
static inline int martlet_doctor_uring(void) {
  struct io_uring_params parameters;
  memset(&parameters, 0, sizeof parameters);
  // Since Linux 6.0 and 6.1; the second is absent from liburing 2.2.
  parameters.flags = (1U << 12) | (1U << 13);
  long fd = syscall(__NR_io_uring_setup, 8, &parameters);
  if (fd < 0) return -errno;
  close((int)fd);
  return 0;
}

/// 1 where the kernel's io_uring knows `operation` (IORING_OP_*), 0 where not or where it cannot be asked.
static inline int martlet_doctor_uring_operation(int operation) {
  struct io_uring_probe *probe = io_uring_get_probe();
  if (probe == NULL) return 0;
  int known = io_uring_opcode_supported(probe, operation);
  io_uring_free_probe(probe);
  return known != 0;
}

/// Opens /dev/net/tun. 0, or -errno.
static inline int martlet_doctor_tun(void) {
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) return -errno;
  close(fd);
  return 0;
}

/// Makes a TAP in a network namespace that only a child process sees and that ends with it, and takes `features`
/// (MARTLET_TUN_F_*) on it. 0, or -errno. Other threads may run: the child does only what is safe after fork().
static inline int martlet_doctor_tap(unsigned int features) {
  pid_t child = fork();
  if (child < 0) return -errno;
  if (child == 0) {
    char name[IFNAMSIZ] = "doctor%d";
    if (unshare(CLONE_NEWNET) != 0) _exit(errno);
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0) _exit(errno);
    int result = martlet_tap_attach(fd, name, martlet_tap_flags(0, 1));
    if (result == 0) result = martlet_tap_set_offload(fd, features);
    _exit(-result);
  }
  int status;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -errno;
  return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

#endif
