"""Stands between dockerd and a driver's socket, and does a process in at a call of the test's choice.

    pluginproxy.py LISTEN DRIVER PLAN

Prints `ready`, then a line for each call: its method. PLAN is a file that the test puts there (at once, by rename) and that goes
when it is carried out; without it calls and answers pass as they are:

    before CALL PID     kills the process as that call comes, which the driver then never sees
    amid CALL PID       kills it while the driver works on that call
    after CALL PID      kills it when the driver has answered, and nobody hears of the answer
    refuse              answers each call by 503, at which dockerd gives up as it does after its 15 s with a driver that is away;
                        stays until the test takes it away

CALL is a number, counted from when the plan came, or a method: the first call of it.
"""

import os
import signal
import socket
import sys
import threading
import time

MOMENT_SECONDS = 0.002
lock = threading.Lock()


def main():
    listen, driver, plan = sys.argv[1:]
    if os.path.lexists(listen):
        os.unlink(listen)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(listen)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, driver, plan), daemon=True).start()


def serve(client, driver, plan):
    """Passes the calls of a connection on, until either side ends it or a plan does."""
    try:
        with client:
            while request := message(client):
                method = request.split(b" ")[1].decode().removeprefix("/")
                print(method, flush=True)
                moment, pid = due(plan, method)
                if moment == "refuse":
                    client.sendall(b"HTTP/1.1 503 Away\r\nContent-Length: 4\r\n\r\naway")
                    continue
                if moment == "before":
                    os.kill(pid, signal.SIGKILL)
                    return
                # One for each call: dockerd is not to meet a driver that ended in between.
                with socket.socket(socket.AF_UNIX) as upstream:
                    upstream.connect(driver)
                    upstream.sendall(request)
                    if moment == "amid":
                        time.sleep(MOMENT_SECONDS)
                    answer = b"" if moment == "amid" else message(upstream)
                if moment:
                    os.kill(pid, signal.SIGKILL)
                if moment or not answer:
                    return
                client.sendall(answer)
    except OSError as error:
        # Either side is gone, which ends the connection for the other.
        print(error, file=sys.stderr, flush=True)


def message(connection):
    """A request or an answer, whole; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line.split(b":", 1) for line in head.lower().split(b"\r\n")[1:]]
    length = next((int(value) for name, value in lines if name == b"content-length"), 0)
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            return b""
        body += more
    return head + b"\r\n\r\n" + body


def due(plan, method):
    """What the plan says of this call: (moment, process), or (None, None)."""
    with lock:
        try:
            with open(plan, encoding="ascii") as file:
                moment, *rest = file.read().split()
        except FileNotFoundError:
            return None, None
        if moment == "refuse":
            return moment, None
        call, pid = rest[0], int(rest[1])
        if call.isdecimal() and int(call) > 1:
            with open(plan + ".next", "w", encoding="ascii") as file:
                file.write(f"{moment} {int(call) - 1} {pid}")
            os.rename(plan + ".next", plan)
        if call not in ("1", method):
            return None, None
        os.unlink(plan)
        return moment, pid


if __name__ == "__main__":
    main()
