// Links of BPF programs to an interface (linux/bpf.h), which Debian's libbpf does not know yet, and its words.
#ifndef MARTLET_BPF_H
#define MARTLET_BPF_H

#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  // enum bpf_attach_type since Linux 6.6.
  MARTLET_BPF_TCX_INGRESS = 46,
  // Since Linux 6.6: with no relative to go by, before all others.
  MARTLET_BPF_F_BEFORE = 1 << 3,
};

/// Runs `program`, of type BPF_PROG_TYPE_SCHED_CLS, before all others on what `interface` receives, an index in the calling
/// thread's network namespace, until the link is closed. The link's descriptor (close-on-exec), or -errno; EINVAL: the kernel
/// has no tcx (before 6.6).
static inline int martlet_bpf_link_ingress(int program, int interface) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.link_create.prog_fd = program;
  attributes.link_create.target_ifindex = interface;
  attributes.link_create.attach_type = (enum bpf_attach_type)MARTLET_BPF_TCX_INGRESS;
  attributes.link_create.flags = MARTLET_BPF_F_BEFORE;
  long result = syscall(SYS_bpf, BPF_LINK_CREATE, &attributes, sizeof attributes);
  return result < 0 ? -errno : (int)result;
}

/// Keeps the words, made as by vprintf(3), for the calling thread, unless it keeps some already: the first ones tell why, those
/// that follow only what came of it. 0.
int martlet_bpf_keep_words(const char *format, va_list arguments);

/// The words that the calling thread keeps, or "". Valid until it keeps others.
const char *martlet_bpf_words(void);

void martlet_bpf_forget_words(void);

#endif
