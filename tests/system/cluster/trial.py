"""One trial of the pair: a site of its own on the share, a daemon in each guest, a crowd of clients, a verdict."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.system.cluster import checker
from tests.system.cluster.site import SERVERS, TABLE
from twinboot.lab.cluster import CLIENTS, Cluster
from twinboot.lab.enclosure import Program
from twinboot.lab.isolate import LabError
from twinboot.lab.uml import Guest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
MOUNTS = {("4.1", "share"): "/mnt/v41", ("3", "share"): "/mnt/v3", ("4.1", "small"): "/mnt/small"}
READY_S = 30.0
POLL_S = 0.05
STOP_S = 15.0
STILL_RUNNING = -1
RESTART_S = 1.0
"""As systemd does it for a unit that failed."""

POOLS = ("10.98.15.0/24", "10.98.16.0/20")
PYTHON = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def mount_all(cluster: Cluster, guest: Guest) -> None:
    """What a server's fstab would do."""
    for (version, export), target in MOUNTS.items():
        cluster.mount(guest, version, export, target)


class Trial:
    """A context manager: inside, both daemons serve and the crowd asks."""

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        *,
        resource: str = "twinlog",
        version: str = "4.1",
        export: str = "share",
        lease_s: int = 600,
        free: int = 3000,
    ) -> None:
        self.cluster, self.name = cluster, name
        self.export, self._words = export, (str(lease_s), str(free))
        self._resource = resource
        self.folder = f"{MOUNTS[version, export]}/{name}"
        self.place = cluster.place / name
        self.daemons: dict[str, int] = {}
        self._crowd: Program | None = None
        self.events: list[checker.Event] = []

    def __enter__(self) -> "Trial":
        self.place.mkdir()
        words = (str(HERE / "site.py"), self._resource, self.folder, f"/mnt/lab/{self.name}", *self._words)
        self.cluster.guests["odd"].run(sys.executable, *words, env=PYTHON)
        try:
            for name in SERVERS:
                self.begin_daemon(name)
            for name in SERVERS:
                self.await_daemon(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._crowd:
            self._crowd.kill()
        for name, pid in self.daemons.items():
            with contextlib.suppress(LabError):
                self.cluster.guests[name].signal(pid, signal.SIGKILL)

    def begin_daemon(self, name: str) -> None:
        """Start a server's daemon; its log is kept from start to start."""
        log = self.place / f"{name}.log"
        if log.exists():
            log.rename(self.place / f"{name}.{time.time():.0f}.log")
        guest, config = self.cluster.guests[name], f"/mnt/lab/{self.name}/{name}/twinboot.toml"
        words = (sys.executable, "-m", "twinboot", "--config", config, "serve", "dhcp")
        self.daemons[name] = guest.start(*words, log=f"/mnt/lab/{self.name}/{name}.log", env=PYTHON)

    def await_daemon(self, name: str, within_s: float = READY_S) -> float:
        """Wait until it says that it serves; return how long that took."""
        log, began = self.place / f"{name}.log", time.monotonic()
        while "twinboot: ready" not in (said := log.read_text(errors="replace") if log.exists() else ""):
            assert time.monotonic() < began + within_s, f"daemon {name} is not ready: {said[-2000:]}"
            time.sleep(POLL_S)
            if self.cluster.guests[name].wait(self.daemons[name], 0) != STILL_RUNNING:
                NOTES.append(f"{self.name}: daemon {name} ended while starting: {said.strip().splitlines()[-1:]}")
                time.sleep(RESTART_S)
                self.begin_daemon(name)
        return time.monotonic() - began

    def kill_daemon(self, name: str) -> None:
        """SIGKILL of a daemon, wherever it is in its work."""
        self.cluster.guests[name].signal(self.daemons.pop(name), signal.SIGKILL)

    def reboot(self, name: str) -> None:
        """Power comes back: boot, mount, serve."""
        guest = self.cluster.guests[name]
        self.daemons.pop(name, None)
        self.cluster.power_on(guest)
        mount_all(self.cluster, guest)
        self.begin_daemon(name)
        self.await_daemon(name)

    def begin_load(self, **options: float) -> None:
        """Let the clients come."""
        for net in POOLS:  # the clients' machine answers for every address that a client may get
            self.cluster.enclosure.run("ip", "route", "replace", "local", net, "dev", "lo", namespace=CLIENTS)
        words = [f"{key}={value}" for key, value in options.items()]
        argv = [sys.executable, str(HERE / "load.py"), str(self.place / "events"), *words]
        with (self.place / "load.log").open("wb") as log:
            self._crowd = self.cluster.enclosure.start(argv, CLIENTS, PYTHON, subprocess.PIPE, log)

    def acks(self) -> int:
        """How many ACKs clients have seen so far."""
        return self._so_far().count('"event": "ack"')

    def served_by(self, server: str) -> int:
        return self._so_far().count(f'"server": "{SERVERS[server]}", "taken"')

    def _so_far(self) -> str:
        path = self.place / "events"
        return path.read_text() if path.exists() else ""

    def log_tails(self) -> dict[str, str]:
        """The last words of each daemon."""
        return {name: (self.place / f"{name}.log").read_text(errors="replace")[-1500:] for name in SERVERS}

    def finish(self, title: str) -> checker.Verdict:
        """End the load, stop the daemons, look at the files, judge."""
        assert self._crowd
        stdin = self._crowd.process.stdin
        assert stdin
        stdin.close()
        code = self._crowd.process.wait(STOP_S)
        assert code == 0, (self.place / "load.log").read_text()
        self.events = [json.loads(line) for line in self._so_far().splitlines()]
        for name, pid in list(self.daemons.items()):
            self.cluster.guests[name].signal(pid, signal.SIGTERM)
            self.cluster.guests[name].wait(pid, STOP_S)
        verdict = checker.judge(self.events, self.stored())
        VERDICTS.append(verdict.line(title))
        print(VERDICTS[-1], *verdict.faults, sep="\n", flush=True)
        self._keep()
        return verdict

    def _keep(self) -> None:
        """Leave what the verdict was made of where TWINBOOT_CLUSTER_KEEP says, to be looked at."""
        if os.environ.get("TWINBOOT_CLUSTER_KEEP"):
            kept = Path(os.environ["TWINBOOT_CLUSTER_KEEP"]) / self.name
            kept.mkdir(parents=True, exist_ok=True)
            folder = self.cluster.storage.path(self.export, f"{self.name}/dhcp")
            self.cluster.enclosure.run("cp", "-r", str(folder), str(self.place), str(kept))

    def stored(self) -> dict[str, checker.Stored]:
        """The bindings on the storage's disk."""
        folder = self.cluster.storage.path(self.export, f"{self.name}/dhcp")
        argv = self.cluster.enclosure.command([sys.executable, str(HERE / "share.py"), str(folder), TABLE])
        return {address: checker.Stored(*row) for address, row in json.loads(_output(argv)).items()}


NOTES: list[str] = []
"""What happened that no verdict tells, shown at the end of the run."""

VERDICTS: list[str] = []
"""One line for each trial, shown again at the end of the run."""


def _output(argv: list[str]) -> str:

    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"the share's files cannot be read: {done.stderr[-2000:]}"
    return done.stdout
