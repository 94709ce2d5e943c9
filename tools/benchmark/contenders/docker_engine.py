"""Docker, with its own bridge or with Martlet for its network driver: a dockerd of each, on a host with an uplink."""

import json
import os
import shutil
from pathlib import Path

from ..namespaces import Host, Namespace
from ..ports import STREAM_PORT
from ..processes import run
from .contender import FIRST_NUMBER, SUBNET4, Contender, host
from .docker_proxy import UNPACKED
from .martlet import Martlet
from .router import UPLINK, Router

IMAGE, NETWORK = "box", "bench"
SLEEP = ("sleep", "100000")
ENGINE_PROGRAMS = ("usr/sbin/dockerd", "usr/bin/docker", "usr/bin/containerd", "usr/sbin/runc", "bin/busybox")
PATH = f"PATH={UNPACKED}/usr/bin:{UNPACKED}/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
PLUGINS = Path("/run/docker/plugins")  # dockerd looks nowhere else; the bench has a /run of its own


class DockerEngine(Router):
    """hosts[0] is a container that publishes STREAM_PORT, hosts[1] the machine outside, `peer` a second container."""

    archives = ("docker.io", "containerd", "runc", "busybox-static")
    programs = ("iptables",)
    configuration: dict[str, object] = {}
    driver: str

    def missing(self) -> str | None:
        absent = [name for name in ENGINE_PROGRAMS if not (UNPACKED / name).exists()]
        return super().missing() or (f"{', '.join(absent)} could not be unpacked" if absent else None)

    def start_engine(self):
        (self.directory / "daemon.json").write_text(json.dumps(self.configuration))
        places = {"--data-root": "data", "--exec-root": "exec", "--pidfile": "pid", "--config-file": "daemon.json"}
        words = [word for flag, name in places.items() for word in (flag, str(self.directory / name))]
        group = f"/{os.environ.get('MARTLET_GROUP', 'martlet')}-{self.stem}"
        words += ["-H", self.endpoint, "--cgroup-parent", group, "--log-level", "warn"]
        engine = self.switch.start("env", PATH, "dockerd", *words)
        self.processes.append(engine)
        engine.wait_until(self.answers, "an answer of dockerd")
        self.import_image()
        self.docker("network", "create", "--driver", self.driver, "--subnet", SUBNET4, NETWORK)

    def answers(self) -> bool:
        return Path(self.endpoint.removeprefix("unix://")).exists() and "Server" in self.docker("version")

    def import_image(self):
        """busybox alone."""
        root = self.directory / "root"
        (root / "bin").mkdir(parents=True)
        shutil.copy(UNPACKED / "bin/busybox", root / "bin")
        run("chroot", root, "/bin/busybox", "--install", "-s", "/bin")
        run("tar", "-C", root, "-cf", self.directory / "root.tar", ".")
        self.docker("import", self.directory / "root.tar", IMAGE)

    @property
    def endpoint(self) -> str:
        return f"unix://{self.directory / 'docker.sock'}"

    def docker_command(self, *words: str | Path) -> list[str | Path]:
        return [UNPACKED / "usr/bin/docker", "-H", self.endpoint, *words]

    def docker(self, *words: str | Path) -> str:
        return run(*self.docker_command(*words))

    def run_words(self, *options: str) -> list[str]:
        """Of a container that does nothing, and ends at once when it is told to."""
        return ["run", "--detach", "--network", NETWORK, "--stop-signal", "KILL", *options, IMAGE, *SLEEP]

    def set_up(self, count: int):
        self.start()
        publish = ("--publish", f"{STREAM_PORT}:{STREAM_PORT}")
        self.hosts = [self.container(FIRST_NUMBER, *publish), self.outside]
        self.peer = self.container(FIRST_NUMBER + 1)

    def container(self, number: int, *options: str) -> Host:
        """One whose namespace `ip netns` knows."""
        name = f"{self.stem}-{number}"
        made = host(Namespace(name), number)
        self.docker(*self.run_words("--name", name, "--ip", made.address, *options))
        pid = self.docker("inspect", "--format", "{{.State.Pid}}", name).strip()
        run("ip", "netns", "attach", name, pid)
        self.namespaces.append(made.namespace)
        return made

    def prepare(self):
        """Makes the ends alike."""
        for end in (*self.hosts, self.peer):
            end.prepare()

    def tear_down(self):
        self.thaw()
        for process in reversed(self.processes):
            if "dockerd" in process.words:
                containers = self.docker("ps", "--all", "--quiet").split()
                if containers:
                    self.docker("rm", "--force", *containers)
        super().tear_down()


class DockerBridge(DockerEngine):
    """As it comes: rules of netfilter, a proxy for each published port."""

    driver = "bridge"

    def __init__(self):
        super().__init__()
        self.name, self.stem = "Docker's bridge", "docker-bridge"

    def start(self):
        self.switch = self.create_namespace(f"{self.stem}-switch")
        self.join_outside()
        self.switch.set_sysctl("net.ipv4.ip_forward", "1")
        self.start_engine()


class DockerMartlet(DockerEngine, Martlet):
    """Without a bridge, a rule or a proxy."""

    driver = "martlet"
    configuration = {
        "bridge": "none", "iptables": False, "ip6tables": False, "ip-forward": False, "ip-masq": False,
        "userland-proxy": False,
    }  # fmt: skip

    def __init__(self, binaries: Path, tell=lambda text: None):
        Martlet.__init__(self, binaries, tell)
        self.stem = "docker-martlet"

    def start(self):
        PLUGINS.mkdir(parents=True, exist_ok=True)
        self.start_daemon(docker_plugin=PLUGINS / f"{self.driver}.sock")
        self.join_outside()
        self.command("uplink", "set", UPLINK)
        self.start_engine()


def engines(contenders: list[Contender]) -> list[DockerEngine]:
    """In place of the kernel's bridge Docker's own; in place of Martlet, Martlet under Docker."""
    found: list[DockerEngine] = []
    for contender in contenders:
        if contender.name == "kernel bridge":
            found.append(DockerBridge())
        elif isinstance(contender, Martlet) and contender.workers is None:
            found.append(DockerMartlet(contender.binaries, contender.tell))
    return found
