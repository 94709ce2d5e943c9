// Which policy a thread is in, and what is done when it dies there.
#ifndef MARTLET_FAULT_H
#define MARTLET_FAULT_H

#include <stdatomic.h>
#include <stdint.h>

/// Why a policy was taken out, beside a signal's number.
enum { MARTLET_FAULT_LOOP = 1000, MARTLET_FAULT_MEMORY = 1001 };

/// One worker's call of one network's policy. Lies in a file, so that the next process can read it.
struct martlet_policy_slot {
  /// Nanoseconds of CLOCK_MONOTONIC at which the call under way began; 0: none is.
  _Atomic uint64_t entered;
  /// All that the policy has been given, and the nanoseconds it took.
  _Atomic uint64_t frames;
  _Atomic uint64_t busy;
  /// The worker, once it has called.
  _Atomic int32_t thread;
  /// 0, or why the policy is to be taken out.
  _Atomic uint32_t fault;
  /// The network's id; empty: the slot is free.
  char network[72];
  /// A policy of the network that was loaded later has a higher one.
  uint64_t serial;
};

/// Notes that the calling thread begins a call.
static inline void martlet_policy_enter(struct martlet_policy_slot *slot, int thread, uint64_t now) {
  atomic_store_explicit(&slot->thread, thread, memory_order_relaxed);
  atomic_store_explicit(&slot->entered, now, memory_order_release);
}

/// Notes that it has ended. Only the thread that began it.
static inline void martlet_policy_leave(struct martlet_policy_slot *slot, uint64_t frames, uint64_t nanoseconds) {
  uint64_t done = atomic_load_explicit(&slot->frames, memory_order_relaxed);
  uint64_t busy = atomic_load_explicit(&slot->busy, memory_order_relaxed);
  atomic_store_explicit(&slot->frames, done + frames, memory_order_relaxed);
  atomic_store_explicit(&slot->busy, busy + nanoseconds, memory_order_relaxed);
  atomic_store_explicit(&slot->entered, 0, memory_order_release);
}

static inline uint64_t martlet_policy_entered(const struct martlet_policy_slot *slot) {
  return atomic_load_explicit(&slot->entered, memory_order_acquire);
}
static inline uint64_t martlet_policy_frames(const struct martlet_policy_slot *slot) {
  return atomic_load_explicit(&slot->frames, memory_order_relaxed);
}
static inline uint64_t martlet_policy_busy(const struct martlet_policy_slot *slot) {
  return atomic_load_explicit(&slot->busy, memory_order_relaxed);
}
static inline int32_t martlet_policy_thread(const struct martlet_policy_slot *slot) {
  return atomic_load_explicit(&slot->thread, memory_order_relaxed);
}
static inline uint32_t martlet_policy_fault(const struct martlet_policy_slot *slot) {
  return atomic_load_explicit(&slot->fault, memory_order_relaxed);
}
static inline void martlet_policy_set_fault(struct martlet_policy_slot *slot, uint32_t fault) {
  atomic_store_explicit(&slot->fault, fault, memory_order_relaxed);
}

/// From here on a signal that says that a program is broken, in a thread whose call `slots` knows, is noted there; then the process
/// begins anew with `arguments` (which must stay), or, where `restarts` is 0, ends by the signal. Elsewhere it ends by the signal.
/// 0, or -errno.
int martlet_fault_watch(struct martlet_policy_slot *slots, int count, char *const *arguments, int restarts);

/// Gives the calling thread a stack for the handler: a policy may have used up its own. Once a thread. 0, or -errno.
int martlet_fault_stack(void);

/// Begins the process anew, in place: the same executable, arguments and environment, with no descriptor but 0 to 2; where
/// `martlet_fault_watch` was told that it does not, ends it. Does not return.
void martlet_fault_restart(void);

/// The calling thread's number.
int martlet_thread_number(void);

/// Nanoseconds of CPU time that a thread of this process has used; -errno where there is none of that number.
int64_t martlet_thread_nanoseconds(int thread);

#endif
