"""Starts a program and is init(8) to what it leaves: no process that it orphans stays a zombie.

    subreaper.py COMMAND...

Prints the program's process id, and ends when the program and all that it left have ended. Where tests run in a PID namespace
whose first process is no init, a zombie would be taken for a program that still runs.
"""

import ctypes
import os
import sys

PR_SET_CHILD_SUBREAPER = 36


def main():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    print(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ), flush=True)
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main()
