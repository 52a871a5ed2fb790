"""Parts of benchmarks/cluster.py that play in the cluster lab: two hosts with real NFS clients, one NFS server.

Guests and storage run beside each other on this machine's processors, and UML's system calls are slow, so rates are
those of the lab, not of NFS. What counts is how the two servers share them, and how long one waits for the other.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from cluster_watch import Took, summary
from dhcp_layouts import CACHE, FAST_PYTHON, KEA_PROGRAM, NET_BASE, Layout, kea_conf, peers_environment
from dhcp_servers import PRIORITY

if TYPE_CHECKING:
    from twinboot.lab.cluster import Cluster

ROOT = Path(__file__).resolve().parent.parent
WATCH = str(Path(__file__).with_name("cluster_watch.py"))
LAY = str(Path(__file__).with_name("cluster_site.py"))
PYTHON = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
NAMES = ("odd", "even")
SERVERS = {"odd": "10.98.0.11", "even": "10.98.0.12"}
RELAYS = {"odd": "10.98.0.21", "even": "10.98.0.22"}
VERSIONS = ("4.1", "3")
ALONE = "Kea alone, on no share"
NET_SIZE, CLIENTS, LOAD_S = 16384, 14_500, 8
IN_FLIGHT = (64, 128, 256)
"""Exchanges under way at each server: few leave it idle while the disk works, many overrun Kea's buffer."""
NAP_US = 500
"""Load clients look for answers so often: a small part of how long these take, and of a processor."""
READY_S, WAIT_S = 60.0, 90.0

Sample = dict[str, Any]


@contextmanager
def lab() -> Iterator[Cluster]:
    """The cluster lab with the share mounted in both versions, its processes preferred like this one."""
    from tests.system.cluster.trial import mount_all  # noqa: PLC0415 - the lab's parts, for those who use it only
    from twinboot.commands.lab import CACHE as LAB_CACHE  # noqa: PLC0415
    from twinboot.lab.cluster import Cluster  # noqa: PLC0415

    place = Path(tempfile.mkdtemp(prefix="twinboot-bench-"))
    place.chmod(0o755)
    try:
        with Cluster(place, LAB_CACHE) as cluster:
            prefer(cluster)
            for guest in cluster.guests.values():
                mount_all(cluster, guest)
            yield cluster
    finally:
        shutil.rmtree(place, ignore_errors=True)


def prefer(cluster: Cluster) -> None:
    """Let the lab go before other sessions, too: each of its programs is a session, thus an autogroup (sched(7))."""
    group = f'for file in /proc/[0-9]*/autogroup; do echo {PRIORITY[-1]} > "$file"; done; true'
    cluster.enclosure.run("sh", "-c", f"mount -t proc proc /proc && {{ {group}; }}")


# -- races of commits


def races(words: Callable[..., list[str]], batches: tuple[int, ...]) -> Iterator[tuple[str, list[Sample]]]:
    """(where, samples) of one writer and then of two, for each version and size of batch."""
    from tests.system.cluster.trial import MOUNTS  # noqa: PLC0415

    with lab() as cluster:
        for version in VERSIONS:
            for batch in batches:
                for names in (NAMES[:1], NAMES):
                    on = f"{MOUNTS[version, 'share']}/race{version}-{batch}-{len(names)}"
                    cluster.guests["odd"].run("mkdir", on)
                    cluster.guests["odd"].run(*words(on, "lay", 0, 0, 0), env=PYTHON)
                    running = [
                        cluster.guests[name].begin(*words(on, name, half, batch), env=PYTHON)
                        for half, name in enumerate(names)
                    ]
                    told = [cluster.guests[name].result(one) for name, one in zip(names, running, strict=True)]
                    if any(one["code"] for one in told):
                        raise click.ClickException(f"a race in the lab ended early: {told}")
                    yield f"NFS {version}, {batch} rows", [json.loads(one["out"].splitlines()[-1]) for one in told]


# -- whole services under load


class Told(NamedTuple):
    """What a load was put on, how much of it at a time, and its report of each server."""

    where: str
    in_flight: int
    servers: dict[str, Sample]


def services() -> Iterator[Told]:
    """Whole services under each load: a Kea in a guest; for each version one of ours, its peer idle, then both."""
    from tests.system.cluster.trial import MOUNTS  # noqa: PLC0415

    with lab() as cluster:
        lay_relays(cluster)
        for in_flight in IN_FLIGHT:
            with serving_kea(cluster, f"kea-{in_flight}"):
                yield Told(ALONE, in_flight, loaded(cluster, NAMES[:1], in_flight))
        for version, in_flight in product(VERSIONS, IN_FLIGHT):
            for names in (NAMES[:1], NAMES):
                place = f"pair{version}-{''.join(names)}-{in_flight}"
                with serving(cluster, f"{MOUNTS[version, 'share']}/{place}", place, watched):
                    told = loaded(cluster, names, in_flight)
                    for name, one in told.items():
                        one["commit"] = commits_in(cluster.place / place / f"{name}.commits")
                    yield Told(f"NFS {version}", in_flight, told)
            if FAST_PYTHON.exists():
                place = f"pair{version}-compiled-{in_flight}"
                with serving(cluster, f"{MOUNTS[version, 'share']}/{place}", place, compiled):
                    yield Told(f"NFS {version}, compiled", in_flight, loaded(cluster, NAMES, in_flight))


def commits_in(told: Path) -> Sample:
    """A summary of the commits of a server that was watched."""
    lines = told.read_text().splitlines()
    commits = [json.loads(line) for line in lines[:-1]]  # the last one may be under way
    rows = sum(one.pop("rows") for one in commits) / len(commits)
    return {**summary([Took(**line) for line in commits]), "rows": rows}


def lay_relays(cluster: Cluster) -> None:
    """A relay for each server's clients, on the public switch; both guests know the way to both."""
    ip = cluster.enclosure.run
    for number, (name, address) in enumerate(RELAYS.items()):
        relay = f"relay-{name}"
        ip("ip", "netns", "add", relay)
        ip("ip", "link", "add", relay, "type", "veth", "peer", "name", "fe0", "netns", relay)
        ip("ip", "link", "set", relay, "master", "public", "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{address}/16", "dev", "fe0"),
            ("link", "set", "fe0", "up"),
            ("route", "add", "local", network(number), "dev", "lo"),
        ):
            ip("ip", "-n", relay, *words)
        for guest in cluster.guests.values():
            guest.run("ip", "route", "add", network(number), "via", address)


def network(number: int) -> str:
    """The network of a server's clients."""
    return f"{IPv4Address(NET_BASE) + number * NET_SIZE}/{33 - NET_SIZE.bit_length()}"


def watched(place: str, name: str) -> list[str]:
    """The command of a server whose commits are told, as far as it goes: what it serves is still to be said."""
    return [sys.executable, WATCH, f"/mnt/lab/{place}/{name}.commits"]


def compiled(_place: str, _name: str) -> list[str]:
    """The same for the compiled build, whose parts nobody can look into."""
    return ["env", "--unset=PYTHONPATH", str(FAST_PYTHON), "-P", "-m", "twinboot"]


@contextmanager
def serving(cluster: Cluster, share: str, place: str, build: Callable[[str, str], list[str]]) -> Iterator[None]:
    """Both servers on a fresh share."""
    (cluster.place / place).mkdir()
    words = (LAY, share, f"/mnt/lab/{place}", str(CLIENTS), *(network(number) for number in range(len(NAMES))))
    cluster.guests["odd"].run(sys.executable, "-P", *words, env=PYTHON)
    started: dict[str, int] = {}
    try:
        for name in NAMES:
            config = f"/mnt/lab/{place}/{name}/twinboot.toml"
            out = cluster.place / place / f"{name}.commits"
            out.touch()
            out.chmod(0o666)  # the server is not root any more when it opens its records
            words = (*build(place, name), "--config", config, "serve", "dhcp")
            started[name] = cluster.guests[name].start(*words, log=f"/mnt/lab/{place}/{name}.log", env=PYTHON)
        for name in NAMES:
            wait_for(cluster.place / place / f"{name}.log")
        yield
    finally:
        for name, pid in started.items():
            with suppress(Exception):
                cluster.guests[name].signal(pid, signal.SIGKILL)


@contextmanager
def serving_kea(cluster: Cluster, place: str) -> Iterator[None]:
    """A fresh Kea in the guest of the odd server, its leases in the guest's memory: it does not sync them anyway."""
    guest, memory = cluster.guests["odd"], f"/run/{place}"
    guest.run("mkdir", memory)
    (cluster.place / place).mkdir()
    layout = Layout(networks=1, size=NET_SIZE, rows=CLIENTS)
    (cluster.place / place / "kea.json").write_text(kea_conf(layout, "vec0", f"{memory}/leases.csv"))
    words = (KEA_PROGRAM, "-c", f"/mnt/lab/{place}/kea.json")
    pid = guest.start(*words, log=f"/mnt/lab/{place}/log", env=peers_environment(memory))
    try:
        wait_for(cluster.place / place / "log", "DHCP4_STARTED")
        yield
    finally:
        with suppress(Exception):
            guest.signal(pid, signal.SIGKILL)


def wait_for(log: Path, word: str = "twinboot: ready") -> None:
    ends = time.monotonic() + READY_S
    while word not in (said := log.read_text(errors="replace") if log.exists() else ""):
        if time.monotonic() > ends:
            raise click.ClickException(f"a server in the lab is not ready: {said[-500:]}")
        time.sleep(0.1)


def loaded(cluster: Cluster, names: tuple[str, ...], in_flight: int) -> dict[str, Sample]:
    """Fresh leases for so many seconds, each server's clients behind a relay of their own."""
    running = {}
    for name in names:
        number = NAMES.index(name)
        words = {
            "server": SERVERS[name],
            "net_base": network(number).partition("/")[0],
            "net_size": NET_SIZE,
            "clients": CLIENTS,
            "first": number * CLIENTS,
            "inflight": in_flight,
            "seconds": LOAD_S,
            "nap_us": NAP_US,
        }
        argv = [str(CACHE / "dhcp_load"), *(f"{key}={value}" for key, value in words.items())]
        running[name] = cluster.enclosure.start(argv, f"relay-{name}", stdout=subprocess.PIPE)
    told = {name: json.loads(one.process.communicate(timeout=WAIT_S)[0]) for name, one in running.items()}
    for one in told.values():
        if one["doubled"] or one["strange"] or not one["done"]:
            raise click.ClickException(f"wrong answers: {one}")
    return told
