"""Pairs of DHCP servers for benchmarks/cluster.py: two of ours on one directory, and two Kea by its HA hook.

Three namespaces on one bridge: clients, odd and even. Kea is hot-standby as its manual has it, with the dedicated
HTTP listeners of its hook (so no control agent is needed). `DEFAULTS` are the timers that Kea 2.2's manual gives as
defaults (Administrator Reference Manual, "High Availability", list of global parameters); `TUNED` lowers them to a
second and lets a partner count as down without unanswered clients, which the manual allows for servers close together.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from dhcp_layouts import KEA_PROGRAM, LIBRARIES, peers_environment
from wire import run

from storage.records import FREE_ID, Binding, Change, TabEntry
from storage.records.twinlog import open_twinlog

SERVERS = {"odd": "10.98.0.11", "even": "10.98.0.12"}
CLIENTS = "10.98.0.1"
SUBNET, TABLE = "10.98.0.0/16", "10.98.0.0"
FIRST_FREE, FREE = int(IPv4Address("10.98.16.1")), 4000
LEASE_S = 600
HOOKS = f"{LIBRARIES}/kea/hooks"
DEFAULTS = {"heartbeat-delay": 10000, "max-response-delay": 60000, "max-ack-delay": 10000, "max-unacked-clients": 10}
TUNED = {"heartbeat-delay": 500, "max-response-delay": 1000, "max-ack-delay": 1000, "max-unacked-clients": 0}


@contextmanager
def wires() -> Iterator[dict[str, str]]:
    """The three namespaces by name; each has `fe0` on the bridge of the clients'."""
    names = {one: f"clbench{os.getpid()}{one}" for one in ("clients", *SERVERS)}
    try:
        for name in names.values():
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        clients = names["clients"]
        run("ip", "-n", clients, "link", "add", "fe0", "type", "bridge")
        run("ip", "-n", clients, "address", "add", f"{CLIENTS}/16", "dev", "fe0")
        run("ip", "-n", clients, "link", "set", "fe0", "up")
        for one, address in SERVERS.items():
            run("ip", "-n", names[one], "link", "add", "fe0", "type", "veth", "peer", "name", one, "netns", clients)
            run("ip", "-n", clients, "link", "set", one, "master", "fe0", "up")
            run("ip", "-n", names[one], "address", "add", f"{address}/16", "dev", "fe0")
            run("ip", "-n", names[one], "link", "set", "fe0", "up")
        for pool in ("10.98.15.0/24", "10.98.16.0/20"):  # clients answer for every address that they may get
            run("ip", "-n", clients, "route", "replace", "local", pool, "dev", "lo")
        yield names
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def ours(place: Path) -> dict[str, list[str]]:
    """Lay the share and both configurations; the command of each server."""
    share = place / "share"
    for name in ("dhcp", "hosts", "boot", "state", "jumpstart", "volumes"):
        (share / name).mkdir(parents=True)
    owners = [int(IPv4Address(address)) for address in SERVERS.values()]
    records = open_twinlog(share / "dhcp")
    for table in ("dhcptab", TABLE):
        records.create(table)
    rows = [Binding(FIRST_FREE + at, FREE_ID, 0, owners[at % 2], 0, 0, "", "") for at in range(FREE)]
    macro = TabEntry(TABLE, "m", 0, f":Subnet=255.255.0.0:LeaseTim={LEASE_S}:LeaseNeg:")
    records.commit([Change("dhcptab", None, macro), *(Change(TABLE, None, row) for row in rows)])
    commands = {}
    for name, address in SERVERS.items():
        node = place / name
        node.mkdir()
        (node / "dhcpsvc.conf").write_text(
            f"DAEMON_ENABLED=TRUE\nRESOURCE=twinlog\nRUN_MODE=server\nPATH={share}/dhcp\nCONVER=1\n"
            f"OWNER_IP={','.join(SERVERS.values())}\nINTERFACES=fe0\nICMP_VERIFY=FALSE\n"
        )
        (node / "twinboot.toml").write_text(
            f'[site]\nname = "bench"\nshare = "{share}"\n[server]\nname = "{name}"\naddress = "{address}"\n'
            f'state = "{node}"\ndhcpsvc = "{node}/dhcpsvc.conf"\n[networks.public]\nsubnet = "{SUBNET}"\n'
            f"lease_s = {LEASE_S}\n"
        )
        commands[name] = [sys.executable, "-m", "twinboot", "--config", str(node / "twinboot.toml"), "serve", "dhcp"]
    nobody = pwd.getpwnam("nobody")
    for path in (place, *place.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return commands


def kea(place: Path, timers: dict[str, int]) -> dict[str, list[str]]:
    """Write both configurations of a hot-standby pair, odd the primary; the command of each server."""
    peers = [
        {"name": name, "url": f"http://{address}:8000/", "role": role, "auto-failover": True}
        for (name, address), role in zip(SERVERS.items(), ("primary", "standby"), strict=True)
    ]
    commands = {}
    for name in SERVERS:
        node = place / name
        node.mkdir()
        ha = {
            "this-server-name": name,
            "mode": "hot-standby",
            **timers,
            "multi-threading": {"enable-multi-threading": True, "http-dedicated-listener": True},
            "peers": peers,
        }
        conf = {
            "interfaces-config": {"interfaces": ["fe0"]},
            "lease-database": {"type": "memfile", "persist": True, "name": f"{node}/leases.csv"},
            "multi-threading": {"enable-multi-threading": True},
            "valid-lifetime": LEASE_S,
            "hooks-libraries": [
                {"library": f"{HOOKS}/libdhcp_lease_cmds.so"},
                {"library": f"{HOOKS}/libdhcp_ha.so", "parameters": {"high-availability": [ha]}},
            ],
            "subnet4": [
                {
                    "id": 1,
                    "subnet": SUBNET,
                    "pools": [{"pool": f"{IPv4Address(FIRST_FREE)} - {IPv4Address(FIRST_FREE + FREE - 1)}"}],
                }
            ],
            "loggers": [
                {"name": "kea-dhcp4", "output_options": [{"output": f"{node}/log"}], "severity": "INFO"},
            ],
        }
        (node / "kea.json").write_text(json.dumps({"Dhcp4": conf}))
        commands[name] = [KEA_PROGRAM, "-c", f"{node}/kea.json"]
    return commands


@contextmanager
def serving(
    names: dict[str, str], commands: dict[str, list[str]], place: Path
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Both servers, each in its namespace."""
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            node = str(place / name)
            environment = {**os.environ, **(peers_environment(node) if command[0] == KEA_PROGRAM else {})}
            with (place / name / "stderr").open("wb") as errors:
                processes[name] = subprocess.Popen(
                    ["ip", "netns", "exec", names[name], *command],
                    env=environment,
                    stdout=errors,
                    stderr=errors,
                    stdin=subprocess.DEVNULL,
                    cwd=node,
                )
        yield processes
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def load(names: dict[str, str], out: Path, fresh_per_s: float, root: Path) -> subprocess.Popen[bytes]:
    """The cluster lab's crowd (tests/system/cluster/load.py): clients that retry as real ones do."""
    words = [f"fresh_per_s={fresh_per_s}", "residents=20", "fixed=0"]
    argv = [
        "ip",
        "netns",
        "exec",
        names["clients"],
        sys.executable,
        "-m",
        "tests.system.cluster.load",
        str(out),
        *words,
    ]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})


def served(out: Path, within_s: float, count: int = 20) -> None:
    """Wait until clients are served."""
    ends = time.monotonic() + within_s
    while not out.exists() or out.read_text().count('"served"') < count:
        if time.monotonic() > ends:
            raise RuntimeError(f"nobody is served: look into {out.parent}")
        time.sleep(0.1)
