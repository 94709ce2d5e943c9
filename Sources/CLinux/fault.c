#include "martlet_fault.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// In a signal's handler only what signal-safety(7) lists is called, and the kernel itself.

static struct martlet_policy_slot *watched;
static int watched_count;
static char *const *restart_arguments;
static int restarts_itself;

static const int signals[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT};

int martlet_thread_number(void) { return (int)syscall(SYS_gettid); }

static void restart(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  syscall(SYS_close_range, 3u, ~0u, 0u);
  execve("/proc/self/exe", restart_arguments, environ);
}

static void handle(int number, siginfo_t *info, void *context) {
  (void)info;
  (void)context;
  int thread = martlet_thread_number();
  for (int index = 0; index < watched_count; index++) {
    struct martlet_policy_slot *slot = watched + index;
    if (slot->network[0] == '\0' || martlet_policy_entered(slot) == 0) continue;
    if (martlet_policy_thread(slot) != thread) continue;
    martlet_policy_set_fault(slot, (uint32_t)number);
    if (restarts_itself) restart();
    break;
  }
  // SA_RESETHAND has put the default back.
  raise(number);
}

int martlet_fault_watch(struct martlet_policy_slot *slots, int count, char *const *arguments, int restarts) {
  watched = slots;
  watched_count = count;
  restart_arguments = arguments;
  restarts_itself = restarts;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  for (size_t index = 0; index < sizeof signals / sizeof *signals; index++) {
    if (sigaction(signals[index], &action, NULL) != 0) return -errno;
  }
  return 0;
}

int martlet_fault_stack(void) {
  stack_t stack = {.ss_size = 64 << 10};
  stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack.ss_sp == MAP_FAILED) return -errno;
  return sigaltstack(&stack, NULL) == 0 ? 0 : -errno;
}

int64_t martlet_thread_nanoseconds(int thread) {
  // The kernel's name for the clock of one thread (include/linux/posix-timers.h: CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED).
  clockid_t clock = (clockid_t)((~(unsigned)thread << 3) | 4 | 2);
  struct timespec time;
  if (clock_gettime(clock, &time) != 0) return -errno;
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

void martlet_fault_restart(void) {
  if (restarts_itself) restart();
  _exit(1);
}
