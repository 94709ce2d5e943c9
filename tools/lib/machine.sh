# What the kernel must offer, checked before anything is built on it.

kernel_minimum=6.1 # IORING_SETUP_DEFER_TASKRUN

check_machine() {
  is_at_least "$(uname -r)" "$kernel_minimum" || fail "Linux $kernel_minimum or newer is needed, this is $(uname -r)"
  check_tun
  check_io_uring
  unshare --mount --pid --fork --net true 2>/dev/null ||
    fail "namespaces cannot be made here: root lacks CAP_SYS_ADMIN (a container needs --privileged)"
}

check_tun() {
  if [ ! -e /dev/net/tun ] && command -v modprobe >/dev/null; then modprobe -q tun || true; fi
  [ -c /dev/net/tun ] || fail "/dev/net/tun is missing: load the module tun, or pass the device into the container"
  (: <>/dev/net/tun) 2>/dev/null || fail "/dev/net/tun cannot be opened: the container's device rules forbid it"
}

check_io_uring() {
  if [ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null)" = 2 ]; then
    fail "io_uring is switched off: sysctl kernel.io_uring_disabled=0 switches it on"
  fi
  # io_uring_setup(2) is number 425 on every architecture; without parameters it answers EFAULT where it exists.
  python3 - <<'PYTHON' || fail "the kernel refuses io_uring: it was built without it, or a seccomp profile blocks it"
import ctypes, errno, sys
ctypes.CDLL(None, use_errno=True).syscall(425, 1, None)
sys.exit(ctypes.get_errno() != errno.EFAULT)
PYTHON
}
