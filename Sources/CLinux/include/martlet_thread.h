// What a thread can change of itself alone: its namespaces, its timers.
#ifndef MARTLET_THREAD_H
#define MARTLET_THREAD_H

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>

/// Moves the calling thread into the network namespace of `fd`. 0, or -errno.
static inline int martlet_setns_network(int fd) { return setns(fd, CLONE_NEWNET) == 0 ? 0 : -errno; }

/// Gives the calling thread a new network namespace. 0, or -errno.
static inline int martlet_unshare_network(void) { return unshare(CLONE_NEWNET) == 0 ? 0 : -errno; }

/// Gives the calling process (it must be single-threaded or about to exec) a mount namespace of its own. 0, or -errno.
static inline int martlet_unshare_mount(void) { return unshare(CLONE_NEWNS) == 0 ? 0 : -errno; }

/// Binds the calling thread to one of `processors`: the one that has `place` others before it, counted round. 0, or -errno.
static inline int martlet_bind_thread(const cpu_set_t *processors, int place) {
  cpu_set_t one;
  int number = 0;
  for (int left = place % CPU_COUNT(processors);; number++) {
    if (CPU_ISSET(number, processors) && left-- == 0) break;
  }
  CPU_ZERO(&one);
  CPU_SET(number, &one);
  return sched_setaffinity(0, sizeof one, &one) == 0 ? 0 : -errno;
}

/// How late the kernel may wake the calling thread from a timed sleep, to wake it together with others. 0, or -errno.
static inline int martlet_set_timer_slack(unsigned long nanoseconds) {
  return prctl(PR_SET_TIMERSLACK, nanoseconds) == 0 ? 0 : -errno;
}

#endif
