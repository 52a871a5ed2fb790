"""The DHCP servers that benchmarks/dhcp.py compares: how each is laid out, started and read.

Every server gets the same networks behind one relay, the same options and the same lease time, and pings nobody
before it offers (Kea 2.2 cannot, so the others may not). Ours runs as shipped: `twinboot serve dhcp` with `twinboot
serve journal` beside it on the same core. Kea keeps Debian's settings (memfile, not synced; log at INFO to stdout),
with UDP sockets, which suit a relay best. ISC dhcpd syncs each lease, and writes each renewal (its default is to skip
young ones, which would compare nothing).
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import BinaryIO, NamedTuple

from wire import run, two_namespaces

from storage.records import FREE_ID, Binding
from storage.records.codec import BINDING
from storage.records.container import container_name, empty_container

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "benchmarks" / "dhcp"
PEERS = CACHE / "peers"
FAST_PYTHON = CACHE.parents[2] / ".venv-fast" / "bin" / "python"
SERVER, RELAY, NET_BASE = "10.77.0.1", "10.77.0.2", "10.64.0.0"
LEASE_S = 3600
START_S = 20.0
TIMES = 301  # a floor is measured
PRIORITY = ("nice", "-n", "-15")  # servers and load client alike: whatever else runs here shall wait
PACKAGES = (
    *("kea-dhcp4-server", "kea-common", "isc-dhcp-server", "liblog4cplus-2.0.5", "libmariadb3", "libpq5"),
    "libbotan-2-19",
)


class Layout(NamedTuple):
    """Networks side by side from NET_BASE, each of `size` addresses with `rows` of them to lease; `loaded`: all are
    leased when the server starts, to the load client's clients in their order."""

    networks: int
    size: int
    rows: int
    loaded: bool = False

    def subnets(self) -> Iterator[tuple[str, int, IPv4Address, IPv4Address]]:
        """(number, prefix, first, last address) of each network."""
        for index in range(self.networks):
            base = IPv4Address(NET_BASE) + index * self.size
            yield str(base), 33 - self.size.bit_length(), base + 1, base + self.rows

    def leases(self) -> Iterator[tuple[int, IPv4Address, bytes]]:
        """(index of the network, address, hardware address) of each binding that is there at the start."""
        for index, (_, _, first, _) in enumerate(self.subnets()):
            for place in range(self.rows if self.loaded else 0):
                yield index, first + place, b"\2\0" + (index * self.rows + place).to_bytes(4, "big")


class Command(NamedTuple):
    """A process of a server; `waits` for this file before the next one starts."""

    argv: list[str]
    waits: Path | None = None


def prepare() -> None:
    """Unpack the peers (not installed: their packages would start them) and compile the load client."""
    PEERS.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if not list(PEERS.glob(f"{package}_*.deb")):
            subprocess.run(["apt-get", "download", "-qq", package], cwd=PEERS, check=True, capture_output=True)
            (deb,) = PEERS.glob(f"{package}_*.deb")
            run("dpkg", "-x", str(deb), str(PEERS / "root"))
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


# -- ours


def twinlog(layout: Layout, place: Path) -> list[Command]:
    """Ours on the log for a pair of servers, which takes the containers over at its start."""
    return twinboot(layout, place, "twinlog")


def compiled(layout: Layout, place: Path) -> list[Command]:
    """Ours as `make fast` builds it."""
    return twinboot(layout, place, python=str(FAST_PYTHON))


def compiled_twinlog(layout: Layout, place: Path) -> list[Command]:
    """The same on the log for a pair of servers."""
    return twinboot(layout, place, "twinlog", str(FAST_PYTHON))


def twinboot(layout: Layout, place: Path, resource: str = "SUNWfiles", python: str = sys.executable) -> list[Command]:
    """Ours: pure Python, as `pip install` has it, unless another Python is named."""
    owner = int(IPv4Address(SERVER))
    for name in ("dhcp", "hosts", "boot", "state", "jumpstart", "volumes", "node"):
        (place / name).mkdir()
    lines: list[list[bytes]] = [[] for _ in range(layout.networks)]
    ends_s = int(time.time()) + LEASE_S
    for index, address, mac in layout.leases():
        row = Binding(int(address), b"\1" + mac, 0, owner, ends_s, 1, "", "")
        lines[index].append(BINDING.render(row) + b"\n")
    networks = ""
    for index, (number, prefix, first, _) in enumerate(layout.subnets()):
        networks += f'[networks.n{index}]\nsubnet = "{number}/{prefix}"\nlease_s = {LEASE_S}\nrouter = "{first}"\n'
        if not layout.loaded:
            rows = (Binding(int(first) + at, FREE_ID, 0, owner, 0, 1, "", "") for at in range(layout.rows))
            lines[index] = [BINDING.render(row) + b"\n" for row in rows]
        (place / "dhcp" / container_name(number)).write_bytes(empty_container(number) + b"".join(lines[index]))
    (place / "dhcp" / container_name("dhcptab")).write_bytes(empty_container("dhcptab"))
    (place / "dhcpsvc.conf").write_text(
        f"DAEMON_ENABLED=TRUE\nRESOURCE={resource}\nRUN_MODE=server\nPATH={place}/dhcp\nCONVER=1\nOWNER_IP={SERVER}\n"
        "INTERFACES=eth0\nICMP_VERIFY=FALSE\n"
    )
    (place / "twinboot.toml").write_text(
        f'[site]\nname = "bench"\nshare = "{place}"\n[server]\nname = "one"\naddress = "{SERVER}"\n'
        f'state = "{place}/node"\ndhcpsvc = "{place}/dhcpsvc.conf"\n{networks}'
    )
    nobody = pwd.getpwnam("nobody")
    for path in (place, *place.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    serve = [python, "-m", "twinboot", "--config", str(place / "twinboot.toml"), "serve"]
    return [Command([*serve, "journal"], place / "node" / "journal.db"), Command([*serve, "dhcp"])]


# -- Kea


def kea(layout: Layout, place: Path) -> list[Command]:
    subnets = [
        {
            "id": index + 1,
            "subnet": f"{number}/{prefix}",
            "pools": [{"pool": f"{first} - {last}"}],
            "option-data": [{"name": "routers", "data": str(first)}],
        }
        for index, (number, prefix, first, last) in enumerate(layout.subnets())
    ]
    log = {"name": "kea-dhcp4", "output_options": [{"output": "stdout", "pattern": "%-5p %m\n"}], "severity": "INFO"}
    conf = {
        "interfaces-config": {"interfaces": ["eth0"], "dhcp-socket-type": "udp"},
        "lease-database": {"type": "memfile", "persist": True, "name": f"{place}/leases.csv", "lfc-interval": 3600},
        "valid-lifetime": LEASE_S,
        "subnet4": [
            {"id": layout.networks + 1, "subnet": "10.77.0.0/24"},
            *subnets,
        ],
        "loggers": [log],
    }
    (place / "kea.json").write_text(json.dumps({"Dhcp4": conf}))
    ends_s = int(time.time()) + LEASE_S
    with (place / "leases.csv").open("w") as file:
        file.write("address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,")
        file.write("user_context\n")
        for index, address, mac in layout.leases():
            text = mac.hex(":")
            file.write(f"{address},{text},01:{text},{LEASE_S},{ends_s},{index + 1},0,0,,0,\n")
    return [Command([str(PEERS / "root/usr/sbin/kea-dhcp4"), "-c", f"{place}/kea.json"])]


# -- ISC dhcpd


def isc(layout: Layout, place: Path) -> list[Command]:
    text = f"authoritative;\nping-check false;\ndhcp-cache-threshold 0;\ndefault-lease-time {LEASE_S};\n"
    text += "subnet 10.77.0.0 netmask 255.255.255.0 {}\n"
    for number, _, first, last in layout.subnets():
        mask = IPv4Address(2**32 - layout.size)
        text += f"subnet {number} netmask {mask} {{ range {first} {last}; option routers {first}; }}\n"
    (place / "dhcpd.conf").write_text(text)
    (place / "leases").write_text("")
    files = ["-cf", f"{place}/dhcpd.conf", "-lf", f"{place}/leases", "--no-pid"]
    return [Command([str(PEERS / "root/usr/sbin/dhcpd"), "-4", "-f", "-q", *files, "eth0"])]


SERVERS: dict[str, Callable[[Layout, Path], list[Command]]] = {
    "twinboot": twinboot,
    "kea": kea,
    "isc": isc,
    "twinlog": twinlog,
    "compiled": compiled,
    "compiled-twinlog": compiled_twinlog,
}
FAST = ("compiled", "compiled-twinlog")
OURS = ("twinboot", "twinlog", *FAST)


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
    libraries = str(PEERS / "root/usr/lib/x86_64-linux-gnu")
    environment = {**os.environ, "KEA_LOCKFILE_DIR": str(place), "KEA_PIDFILE_DIR": str(place)}
    environment["KEA_LFC_EXECUTABLE"] = str(PEERS / "root/usr/sbin/kea-lfc")
    if name not in OURS:
        environment["LD_LIBRARY_PATH"] = libraries
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


class Floor(NamedTuple):
    """What a durable change of a file costs on a disk, whoever makes it, in milliseconds."""

    append_ms: float  # 4 KiB appended and synced (fdatasync), median
    replace_ms: float  # a file of 4 KiB created, synced and renamed over another one, its directory synced; median
    replace_p99_ms: float


def floor(disk: Path) -> Floor:
    """Measure it, some 300 times each, a few milliseconds apart."""
    probe, new = disk / "sync-probe", disk / "sync-probe.new"
    directory = os.open(disk, os.O_RDONLY | os.O_DIRECTORY)
    file = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def append() -> None:
        os.write(file, b"x" * 4096)
        os.fdatasync(file)

    def replace() -> None:
        with new.open("wb", buffering=0) as other:
            other.write(b"x" * 4096)
            os.fsync(other.fileno())
        new.rename(probe)
        os.fsync(directory)

    try:
        appended, replaced = _timed_ms(append), _timed_ms(replace)
    finally:
        os.close(file)
        os.close(directory)
        probe.unlink()
    return Floor(appended[TIMES // 2], replaced[TIMES // 2], replaced[TIMES * 99 // 100])


def _timed_ms(act: Callable[[], None]) -> list[float]:
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        act()
        took.append((time.perf_counter() - began) * 1e3)
        time.sleep(0.002)
    return sorted(took)
