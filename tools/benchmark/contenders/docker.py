"""Debian's dockerd with containers on one network, of its own bridge driver or of Martlet's."""

import json
import os
import shutil
from pathlib import Path

from ..namespaces import Host, Namespace
from ..processes import Background, ProgramFailed, run
from .contender import FIRST_NUMBER, SUBNET4, SUBNET6, host
from .docker_proxy import UNPACKED
from .martlet import Martlet
from .router import SERVICES, UPLINK, Router

PLUGIN = Path("/run/docker/plugins/martlet.sock")
NETWORK = "bench"
PLAIN = "plain"  # as `docker network create` makes one without options: IPv4 alone
IMAGE = "box"
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
CONTAINER_SECONDS = 3600


class Docker(Router):
    """hosts[0] is a container that publishes ports, hosts[1] another; `outside` is a machine beyond the uplink."""

    archives = ("docker.io", "containerd", "runc", "busybox-static")
    is_peer = False
    driver: str
    settings: dict[str, bool]  # of dockerd

    def missing(self) -> str | None:
        wanted = ("usr/sbin/dockerd", "usr/bin/containerd", "usr/sbin/runc", "bin/busybox")
        absent = [name for name in wanted if not (UNPACKED / name).exists()]
        if absent:
            return f"{', '.join(absent)} could not be unpacked (Debian: {' '.join(self.archives)})"
        return super().missing()

    def version(self) -> str | None:
        return run(UNPACKED / "usr/sbin/dockerd", "--version").strip()

    def set_up(self, count: int):
        self.start()
        self.hosts = [self.connect(self.create_sandbox(number), number) for number in (FIRST_NUMBER, FIRST_NUMBER + 1)]
        for end in [*self.hosts, self.outside]:
            end.namespace.set_sysctl("net.ipv4.tcp_tw_reuse", "1")

    def start_engine(self):
        """In the namespace `switch`."""
        configuration = self.directory / "daemon.json"
        configuration.write_text(json.dumps({"bridge": "none", "userland-proxy": False} | self.settings))
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid", "config-file": "daemon.json"}
        options = [word for name, place in places.items() for word in (f"--{name}", str(self.directory / place))]
        # The enclosure removes control groups of that name.
        group = f"/{os.environ.get('MARTLET_GROUP', 'martlet')}-{self.stem}"
        path = f"PATH={UNPACKED}/usr/bin:{UNPACKED}/usr/sbin:{SYSTEM_PATH}"
        engine = self.switch.start(
            *("env", path, "dockerd", *options, "--cgroup-parent", group, "-H", f"unix://{self.directory / 'engine'}")
        )
        self.processes.append(engine)
        engine.wait_until(self.answers, "an answer")
        self.import_image()
        options = ["--driver", self.driver, "--ipv6", "--subnet", SUBNET4, "--subnet", SUBNET6]
        self.docker("network", "create", *options, NETWORK)
        self.docker("network", "create", "--driver", self.driver, PLAIN)

    def answers(self) -> bool:
        try:
            return bool(self.docker("version"))
        except ProgramFailed:
            return False

    def import_image(self):
        root = self.directory / "root"
        (root / "bin").mkdir(parents=True)
        shutil.copy(UNPACKED / "bin/busybox", root / "bin")
        run("chroot", root, "/bin/busybox", "--install", "-s", "/bin")
        run("tar", "-C", root, "-cf", self.directory / "root.tar", ".")
        self.docker("import", str(self.directory / "root.tar"), IMAGE)

    def command_line(self, *words: str) -> list[str | Path]:
        socket = f"unix://{self.directory / 'engine'}"
        return [UNPACKED / "usr/bin/docker", "--config", self.directory / "client", "-H", socket, *words]

    def docker(self, *words: str) -> str:
        return run(*self.command_line(*words))

    @staticmethod
    def run_words(network: str, *options: str) -> tuple[str, ...]:
        return ("run", "--network", network, "--stop-signal", "KILL", *options, IMAGE)

    def create_sandbox(self, number: int) -> Namespace:
        """A container that waits; its namespace is named as those of other contenders are."""
        name, wanted = f"{self.stem}-host{number}", host(Namespace(""), number)
        options = ["--detach", "--name", name, "--ip", wanted.address, "--ip6", wanted.address6]
        if number == FIRST_NUMBER:
            options += [word for protocol, port in SERVICES for word in ("-p", f"0.0.0.0:{port}:{port}/{protocol}")]
        self.docker(*self.run_words(NETWORK, *options), "sleep", str(CONTAINER_SECONDS))
        pid = self.docker("inspect", "--format", "{{.State.Pid}}", name).strip()
        run("ip", "netns", "attach", name, pid)
        namespace = Namespace(name)
        self.namespaces.append(namespace)
        return namespace

    def connect(self, sandbox: Namespace, number: int) -> Host:
        return host(sandbox, number)

    def run_once(self):
        """`docker run --rm true`."""
        self.docker(*self.run_words(PLAIN, "--rm"), "true")

    def run_many(self, count: int):
        """So many containers, by a command each at the same time; they stay."""
        names = [f"{self.stem}-many{number}" for number in range(count)]
        words = [self.run_words(PLAIN, "--detach", "--name", name) for name in names]
        commands = [Background(*self.command_line(*some, "sleep", str(CONTAINER_SECONDS))) for some in words]
        for command in commands:
            command.finish(CONTAINER_SECONDS)

    def remove_many(self, count: int):
        commands = [
            Background(*self.command_line("rm", "--force", f"{self.stem}-many{number}")) for number in range(count)
        ]
        for command in commands:
            command.finish(CONTAINER_SECONDS)

    def remove_containers(self):
        if self.processes and self.answers() and (names := self.docker("ps", "--all", "--quiet").split()):
            self.docker("rm", "--force", *names)

    def tear_down(self):
        self.thaw()
        self.remove_containers()
        super().tear_down()


class DockerBridge(Docker):
    """With netfilter, as it comes; without the proxy, which is slower."""

    packages = ("iptables",)
    programs = ("iptables",)
    driver = "bridge"
    settings = {"ip6tables": False}

    def __init__(self):
        super().__init__()
        self.name, self.stem = "Docker's bridge network", "docker-bridge"

    def start(self):
        self.switch = self.create_namespace(f"{self.stem}-switch")
        self.join_outside()
        self.start_engine()


class DockerMartlet(Docker, Martlet):
    """The engine has neither bridge nor netfilter."""

    driver = "martlet"
    settings = {"iptables": False, "ip6tables": False, "ip-forward": False, "ip-masq": False}
    plugin = str(PLUGIN)

    def __init__(self, binaries: Path, tell=lambda text: None):
        super().__init__(binaries, tell)
        self.stem = "docker-martlet"

    def start(self):
        self.start_daemon()
        self.join_outside()
        self.command("uplink", "set", UPLINK)
        self.start_engine()
