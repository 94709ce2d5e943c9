# A place of its own for everything that a tool starts and makes.
#
# The command runs in new mount, PID and network namespaces, with an empty /run and a copy of /etc. Network namespaces
# (bind mounts below /run/netns) with their files below /etc/netns, interfaces, sockets, state and temporary files exist
# only in there, and every process is a child of its PID 1.
# When that ends, by itself or killed, the kernel takes all of it away: nothing needs to be found again and deleted,
# several copies run side by side without agreeing on names, and no frame reaches the machine's own interfaces.

# Control groups are the kernel's, and outlast all of that. The command names those it makes MARTLET_GROUP and more; here they
# are removed.

# run_enclosed COMMAND...: returns the command's exit status.
run_enclosed() {
  export MARTLET_GROUP="martlet-$$-$(date +%N)"
  # shellcheck disable=SC2016 # expanded by the inner shell
  contain --net -- sh -euc '
    mount -t tmpfs -o mode=755 martlet-enclosure /run
    mkdir /run/netns /run/tmp
    cp -a /etc /run/etc
    mount --bind /run/etc /etc
    ip link set lo up
    TMPDIR=/run/tmp exec "$@"' enclosure "$@"
}

# contain UNSHARE-OPTIONS... -- COMMAND...: runs the command so that all its descendants end with it and with us.
# Returns the command's exit status; ends the tool with 128 + n when signal n comes.
contain() {
  # Each link of the chain is killed when the one before it dies, so that even SIGKILL of the tool leaves nothing.
  setpriv --pdeathsig KILL \
    unshare --mount --propagation private --pid --fork --kill-child=KILL --mount-proc "$@" &
  contained=$!
  trap 'end_contained 1' HUP
  trap 'end_contained 2' INT
  trap 'end_contained 15' TERM
  status=0
  wait "$contained" || status=$?
  trap - HUP INT TERM
  remove_groups
  return "$status"
}

end_contained() {
  trap '' HUP INT TERM
  kill -KILL "$contained" 2>/dev/null || true
  wait "$contained" 2>/dev/null || true
  remove_groups
  say "interrupted; everything has been taken away"
  exit $((128 + $1))
}

# remove_groups: those that were made inside, deepest first. The last processes in them may still be ending.
remove_groups() {
  if [ -z "${MARTLET_GROUP:-}" ]; then return; fi
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    if [ -z "$(find_groups -print)" ]; then return; fi
    find_groups -exec rmdir {} + 2>/dev/null || sleep 0.2
  done
}

find_groups() { find /sys/fs/cgroup -depth -type d -path "*/$MARTLET_GROUP-*" "$@" 2>/dev/null; }
