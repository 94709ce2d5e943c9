"""Opens a page in a browser without a screen, and does what it is told, by the DevTools protocol.

    browser.py [--dark] [--size WIDTHxHEIGHT] URL < STEPS
        STEPS, one a line: `await EXPRESSION` waits until the JavaScript is true, `value EXPRESSION` keeps what it comes to, `picture PATH`
        writes a PNG of the page. Prints {"values": [...], "complaints": [what the console, the log and the network complained of],
        "requests": [the URLs that were asked for]}. Exit status 1: a step took too long or threw.

The browser is Debian's chromium-headless-shell. It ends with this program, however that ends, and keeps its files in TMPDIR.
"""

import argparse
import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

PROGRAM = "chromium-headless-shell"
PATIENCE_SECONDS = 30
POLL_SECONDS = 0.05
FLAGS = [
    "--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
    # Tests are root, and a namespace has no /dev/shm of its own.
    "--no-sandbox", "--disable-dev-shm-usage",
]


class Browser:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="martlet-browser-")
        reading, self.writer = os.pipe()
        self.reader, writing = os.pipe()
        # The browser reads at 3 and writes at 4: out of the way first.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (reading, writing)]

        def take_places():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.process = subprocess.Popen(
            [PROGRAM, f"--user-data-dir={self.directory}", *FLAGS], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, preexec_fn=take_places, pass_fds=(3, 4), env={**os.environ, "HOME": self.directory})
        for end in [reading, writing, *ends]:
            os.close(end)
        self.deadline = time.monotonic() + PATIENCE_SECONDS
        self.number, self.rest, self.session = 0, b"", None
        self.events = []

    def receive(self):
        while b"\0" not in self.rest:
            if not select.select([self.reader], [], [], max(self.deadline - time.monotonic(), 0))[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self.reader, 1 << 20)
            if not part:
                raise EOFError("the browser ended")
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.writer, data):]
        while True:
            answer = self.receive()
            if answer.get("id") != self.number:
                self.events.append(answer)
            elif "error" in answer:
                raise ValueError(f"{method}: {answer['error']['message']}")
            else:
                return answer["result"]

    def open(self, url, size, is_dark):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(f"{domain}.enable")
        width, height = size
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        refused = self.call("Page.navigate", url=url).get("errorText")
        if refused:
            raise ValueError(f"{url}: {refused}")
        self.await_true("document.readyState === 'complete'")

    def value(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise ValueError(f"{expression}: {answer['exceptionDetails']['exception'].get('description')}")
        return answer["result"].get("value")

    def await_true(self, expression):
        self.deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.value(f"Boolean({expression})"):
            if time.monotonic() > self.deadline - POLL_SECONDS:
                text = self.value("document.body.innerText")
                raise TimeoutError(f"{expression} did not come true; the page says: {text[:2000]}")
            time.sleep(POLL_SECONDS)

    def picture(self, path):
        with open(path, "wb") as file:
            data = self.call("Page.captureScreenshot", captureBeyondViewport=False)["data"]
            file.write(base64.b64decode(data))

    def report(self):
        self.value("0")
        complaints, requests = [], []
        for event in self.events:
            parameters = event.get("params", {})
            match event.get("method"):
                case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                    complaints.append(parameters["entry"]["text"])
                case "Runtime.exceptionThrown":
                    complaints.append(parameters["exceptionDetails"].get("exception", {}).get("description"))
                case "Runtime.consoleAPICalled":
                    complaints.append(" ".join(str(argument.get("value")) for argument in parameters["args"]))
                case "Network.requestWillBeSent":
                    requests.append(parameters["request"]["url"])
        return {"complaints": complaints, "requests": requests}

    def end(self):
        self.process.kill()
        self.process.wait()
        # Its helpers end when it has gone, and write until then.
        shutil.rmtree(self.directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("url")
    arguments = parser.parse_args()
    browser = Browser()
    try:
        browser.open(arguments.url, [int(part) for part in arguments.size.split("x")], arguments.dark)
        values = []
        for line in sys.stdin:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word == "await":
                browser.await_true(rest)
            elif word == "value":
                values.append(browser.value(rest))
            elif word == "picture":
                browser.picture(rest)
            else:
                raise ValueError(f"no step {word}")
        print(json.dumps({"values": values, **browser.report()}))
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    finally:
        browser.end()


if __name__ == "__main__":
    main()
