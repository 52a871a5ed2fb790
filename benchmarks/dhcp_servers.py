"""The servers of dhcp_layouts.py are fetched, started, asked until they answer, and stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dhcp_layouts import CACHE, MINE, NET_BASE, PEERS, RELAY, SERVER, SERVERS, Command, Layout, peers_environment
from wire import run, two_namespaces, unpack

START_S = 20.0
PRIORITY = ("nice", "-n", "-15")  # servers and load client alike: whatever else runs here shall wait
PACKAGES = (
    *("kea-dhcp4-server", "kea-common", "isc-dhcp-server", "liblog4cplus-2.0.5", "libmariadb3", "libpq5"),
    "libbotan-2-19",
)


def prepare() -> None:
    """Unpack the peers (not installed: their packages would start them) and compile the load client."""
    for package in PACKAGES:
        unpack(package, PEERS, PEERS / "root")
    source = Path(__file__).with_name("dhcp_load.c")
    run("gcc", "-O2", "-Wall", "-o", str(CACHE / "dhcp_load"), str(source))


@contextmanager
def preferred() -> Iterator[None]:
    """Let this session go before others: with autogroups (sched(7)) nice counts among its own processes only."""
    group = Path("/proc/self/autogroup")
    if group.exists():
        group.write_text(PRIORITY[-1])
    try:
        yield
    finally:
        if group.exists():
            group.write_text("0")


@contextmanager
def relay_namespaces() -> Iterator[tuple[str, str]]:
    """Server and relay namespace; the relay bears every giaddr."""
    with two_namespaces("dhcpbench", SERVER, RELAY) as (server, relay):
        run("ip", "-n", server, "route", "add", "10.64.0.0/11", "via", RELAY)
        run("ip", "-n", relay, "route", "add", "local", "10.64.0.0/11", "dev", "lo")
        yield server, relay


def build_of(python: Path | str) -> str:
    """Which build of ours a Python runs: what `twinboot version` prints."""
    command = [str(python), "-P", "-m", "twinboot", "version"]
    return subprocess.run(command, cwd="/", check=True, capture_output=True, text=True).stdout.strip()


class Running(NamedTuple):
    """A server that answers: its processes, how long it took from exec to the first answer, its directory."""

    name: str
    pids: list[int]
    first_answer_s: float

    def rss_mb(self) -> float:
        """Resident memory of all its processes."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids)
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def rss_main_mb(self) -> float:
        """Resident memory of the process that answers."""
        return self._replace(pids=self.pids[-1:]).rss_mb()


@contextmanager
def serving(name: str, layout: Layout, disk: Path, names: tuple[str, str], cpus: tuple[str, str]) -> Iterator[Running]:
    """Start a server on a fresh directory and wait until it answers; stop it and remove the directory at the end."""
    place = disk / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    environment = {**os.environ, **({} if name in MINE else peers_environment(str(place)))}
    processes: list[subprocess.Popen[bytes]] = []
    try:
        *helpers, last = SERVERS[name](layout, place)
        os.sync()
        prefix = ["ip", "netns", "exec", names[0], "taskset", "-c", cpus[0], *PRIORITY]

        def start(command: Command, errors: BinaryIO | None = None) -> None:
            words, null = [*prefix, *command.argv], subprocess.DEVNULL
            processes.append(
                subprocess.Popen(words, env=environment, stdin=null, stdout=null, stderr=errors, cwd=place)
            )

        for helper in helpers:
            start(helper)
            _wait_for(helper.waits)
        probe = subprocess.Popen(
            [*load_command(names[1], cpus[1], layout, layout.rows), "phases=wait", f"first={_probe_client(layout)}"],
            stdout=subprocess.PIPE,
        )
        time.sleep(0.2)
        began = time.time()
        with (place / "stderr").open("wb") as errors:
            start(last, errors)
        answer = json.loads(probe.communicate(timeout=90)[0])
        if not answer["answered"] or processes[-1].poll() is not None:
            raise RuntimeError(f"{name} does not answer: {(place / 'stderr').read_text()[-500:]}")
        yield Running(name, [process.pid for process in processes], answer["at"] - began)
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
            process.wait(10)
        shutil.rmtree(place, ignore_errors=True)


def _probe_client(layout: Layout) -> int:
    """A client of the first network: the first one where all have leases, else one that takes no part in the load."""
    return 0 if layout.loaded else layout.rows * layout.networks


def _wait_for(path: Path | None) -> None:
    ends = time.monotonic() + START_S
    while path is not None and not path.exists():
        if time.monotonic() > ends:
            raise RuntimeError(f"{path} did not appear: start the server by hand")
        time.sleep(0.01)


def load_command(relay: str, cpu: str, layout: Layout, per_network: int) -> list[str]:
    """The load client in its namespace on its core, with `per_network` clients in each network."""
    words = {
        "server": SERVER,
        "net_base": NET_BASE,
        "networks": layout.networks,
        "net_size": layout.size,
        "clients": per_network * layout.networks,
        "loaded": int(layout.loaded),
    }
    prefix = ["ip", "netns", "exec", relay, "taskset", "-c", cpu, *PRIORITY, str(CACHE / "dhcp_load")]
    return prefix + [f"{name}={value}" for name, value in words.items()]
