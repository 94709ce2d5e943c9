// Links of BPF programs to an interface (linux/bpf.h), which Debian's libbpf does not know yet, and its words.
#ifndef MARTLET_BPF_H
#define MARTLET_BPF_H

#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
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

/// As martlet_bpf_link_ingress, but without a link: the program stays when this process has ended. 0, or -errno.
static inline int martlet_bpf_attach_ingress(int program, int interface) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.target_fd = (unsigned int)interface;
  attributes.attach_bpf_fd = (unsigned int)program;
  attributes.attach_type = MARTLET_BPF_TCX_INGRESS;
  attributes.attach_flags = MARTLET_BPF_F_BEFORE;
  return syscall(SYS_bpf, BPF_PROG_ATTACH, &attributes, sizeof attributes) < 0 ? -errno : 0;
}

/// Takes away the program of that descriptor where it is attached without a link. 0, or -errno.
static inline int martlet_bpf_detach_program(int program, int interface) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.target_fd = (unsigned int)interface;
  attributes.attach_bpf_fd = (unsigned int)program;
  attributes.attach_type = MARTLET_BPF_TCX_INGRESS;
  return syscall(SYS_bpf, BPF_PROG_DETACH, &attributes, sizeof attributes) < 0 ? -errno : 0;
}

/// A descriptor of the program of that number where it has that name; else -errno, ENOENT where it has another.
static inline int martlet_bpf_program(unsigned int number, const char *name) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.prog_id = number;
  long program = syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &attributes, sizeof attributes);
  if (program < 0) return -errno;
  struct bpf_prog_info info;
  memset(&info, 0, sizeof info);
  memset(&attributes, 0, sizeof attributes);
  attributes.info.bpf_fd = (unsigned int)program;
  attributes.info.info_len = sizeof info;
  attributes.info.info = (uint64_t)(uintptr_t)&info;
  long result = syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attributes, sizeof attributes);
  if (result == 0 && strncmp(info.name, name, sizeof info.name) == 0) return (int)program;
  int code = result < 0 ? -errno : -ENOENT;
  close((int)program);
  return code;
}

/// Takes away from `interface`, an index in the calling thread's network namespace, what martlet_bpf_attach_ingress left there of
/// programs of that name. How many, or -errno.
static inline int martlet_bpf_detach_ingress(int interface, const char *name) {
  unsigned int numbers[64];
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.query.target_fd = (unsigned int)interface;
  attributes.query.attach_type = MARTLET_BPF_TCX_INGRESS;
  attributes.query.prog_ids = (uint64_t)(uintptr_t)numbers;
  attributes.query.prog_cnt = sizeof numbers / sizeof numbers[0];
  if (syscall(SYS_bpf, BPF_PROG_QUERY, &attributes, sizeof attributes) < 0) return -errno;
  int count = 0;
  for (unsigned int index = 0; index < attributes.query.prog_cnt; index++) {
    int program = martlet_bpf_program(numbers[index], name);
    if (program < 0) continue;
    // One that has a link is somebody's, and refuses.
    if (martlet_bpf_detach_program(program, interface) == 0) count++;
    close(program);
  }
  return count;
}

/// Keeps the words, made as by vprintf(3), for the calling thread, unless it keeps some already: the first ones tell why, those
/// that follow only what came of it. 0.
int martlet_bpf_keep_words(const char *format, va_list arguments);

/// The words that the calling thread keeps, or "". Valid until it keeps others.
const char *martlet_bpf_words(void);

void martlet_bpf_forget_words(void);

#endif
