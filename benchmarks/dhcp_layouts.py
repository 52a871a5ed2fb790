"""The DHCP servers that benchmarks/dhcp.py compares: how each is laid out and started.

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
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from storage.records import FREE_ID, Binding
from storage.records.codec import BINDING
from storage.records.container import container_name, empty_container

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "benchmarks" / "dhcp"
PEERS = CACHE / "peers"
LIBRARIES = str(PEERS / "root/usr/lib/x86_64-linux-gnu")
KEA_PROGRAM = str(PEERS / "root/usr/sbin/kea-dhcp4")
FAST_PYTHON = CACHE.parents[2] / ".venv-fast" / "bin" / "python"
SERVER, RELAY, NET_BASE = "10.77.0.1", "10.77.0.2", "10.64.0.0"
LEASE_S = 3600


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


def peers_environment(run_dir: str) -> dict[str, str]:
    """What Kea and ISC dhcpd want to be told where they are unpacked and not installed."""
    return {
        "KEA_LOCKFILE_DIR": run_dir,
        "KEA_PIDFILE_DIR": run_dir,
        "KEA_LFC_EXECUTABLE": str(PEERS / "root/usr/sbin/kea-lfc"),
        "LD_LIBRARY_PATH": LIBRARIES,
    }


def kea_conf(layout: Layout, interface: str, leases: str) -> str:
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
        "interfaces-config": {"interfaces": [interface], "dhcp-socket-type": "udp"},
        "lease-database": {"type": "memfile", "persist": True, "name": leases, "lfc-interval": 3600},
        "valid-lifetime": LEASE_S,
        "subnet4": [
            {"id": layout.networks + 1, "subnet": "10.77.0.0/24"},
            *subnets,
        ],
        "loggers": [log],
    }
    return json.dumps({"Dhcp4": conf})


def kea(layout: Layout, place: Path) -> list[Command]:
    (place / "kea.json").write_text(kea_conf(layout, "eth0", f"{place}/leases.csv"))
    ends_s = int(time.time()) + LEASE_S
    with (place / "leases.csv").open("w") as file:
        file.write("address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,")
        file.write("user_context\n")
        for index, address, mac in layout.leases():
            text = mac.hex(":")
            file.write(f"{address},{text},01:{text},{LEASE_S},{ends_s},{index + 1},0,0,,0,\n")
    return [Command([KEA_PROGRAM, "-c", f"{place}/kea.json"])]


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
"""By name: what lays a server out in a directory, and its processes in the order of their start."""

OURS, KEA, ISC, TWINLOG, COMPILED, COMPILED_TWINLOG = SERVERS
FAST = (COMPILED, COMPILED_TWINLOG)
MINE = (OURS, TWINLOG, *FAST)
BUILDS = {OURS: COMPILED, TWINLOG: COMPILED_TWINLOG}
"""Ours in pure Python, and the same compiled: measured where `make fast` has built it, with the same goals."""
