"""Guests in numbers: the cost of a clone, of a hundred, and of a list of a thousand.

    .venv/bin/python -P benchmarks/guests.py --rounds 5         # -P: this file is not the package `guests`

* clone: `domu-clone` of a master of 10 GB, over the real local store (qemu-img) and Sun's containers on disk: the work
  itself (look, claim, clone, settle), the whole command as typed, and the space that the clone takes.
* hundred: a hundred of them into one project, one after the other, in one process.
* list: `domu-list` of 1,000 guests on 22 hosts, as typed: with hosts that are files, and with one virsh process for
  each host (libvirt's test driver, where virsh is installed).

Goals and verdicts come last. On a busy machine trust the processor times (user and system, children included).
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click
from rich.console import Console
from rich.table import Table

from guests import commands
from guests.memory import MemoryHypervisor
from guests.run import Runner
from storage.records import Binding, Change, Guest, Records, ipv4_int, open_records
from storage.volumes.names import parse_snapshot, parse_volume
from twinboot import guestbook
from twinboot.config import Config, load

GOAL_CLONE_S, GOAL_CLONE_BYTES, GOAL_HUNDRED_S, GOAL_LIST_S = 0.1, 1_000_000, 10.0, 0.5
MASTER_BYTES = 10 * 2**30
GUESTS, HOSTS, CLONES = 1000, 22, 100
ORIGIN = "masters/osol-0811@version-01"
BIN = Path(sys.executable).parent
SITE = """
[site]
name = "bench"
share = "{root}/share"
[server]
name = "s1"
address = "192.168.76.1"
state = "{root}/state"
dhcpsvc = "{root}/dhcpsvc.conf"
user = "{user}"
[networks.public]
subnet = "192.168.76.0/24"
link = "fe"
[networks.backend]
subnet = "192.168.78.0/24"
link = "be"
[storage]
backend = "local"
"""
HOST = """
name = "hv{number}"
segment = "odd"
target = "live-xen"
[links.fe0]
mac = "00:14:4f:00:00:{number:02x}"
[links.be0]
mac = "00:14:4f:00:01:{number:02x}"
[hypervisor]
uri = "{uri}"
"""
TEST_DOMAIN = """<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory><vcpu>1</vcpu>
<os><type>hvm</type></os></domain>"""


class Cost(NamedTuple):
    """Seconds by the clock, and of processors."""

    wall_s: float
    cpu_s: float


class Line(NamedTuple):
    """One row of the table of goals."""

    goal: str
    reached: str
    met: bool


def cost_of(work: Callable[[], object]) -> Cost:
    """What the work takes, children that have ended included."""
    began_s, before = time.perf_counter(), _cpu_s()
    work()
    return Cost(time.perf_counter() - began_s, _cpu_s() - before)


def _cpu_s() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def best(costs: list[Cost]) -> Cost:
    """The median by the clock, the least of the processors."""
    return Cost(median(one.wall_s for one in costs), min(one.cpu_s for one in costs))


def make_site(root: Path) -> Config:
    """A site with 22 hosts, containers, and a master of 10 GB."""
    share = root / "share"
    for name in ("hosts", "dhcp", "state", "boot"):
        (share / name).mkdir(parents=True)
    user = os.environ.get("USER") or "root"
    (root / "twinboot.toml").write_text(SITE.format(root=root, user=user))
    conf = f"DAEMON_ENABLED=TRUE\nRUN_MODE=server\nRESOURCE=SUNWfiles\nPATH={share}/dhcp\nCONVER=1\n"
    (root / "dhcpsvc.conf").write_text(conf)
    for number in range(1, HOSTS + 1):
        uri = f"memory:{root}/hv{number}.json"
        (share / "hosts" / f"hv{number}.toml").write_text(HOST.format(number=number, uri=uri))
    records = open_records("SUNWfiles", share / "dhcp")
    for network in ("192.168.76.0", "192.168.78.0"):
        records.create(network)
        rows = [Binding(ipv4_int(network) + last, b"\0", 0, 1, 0, 0, "s1", "") for last in range(10, 250)]
        records.commit([Change(network, None, row) for row in rows])
    records.create("dhcptab")
    return load(root / "twinboot.toml")


def make_master(config: Config) -> None:
    """10 GB, of which a little is written."""
    image = config.share / "disk.img"
    with image.open("wb") as file:
        file.write(b"\x5a" * 2**20)
        file.truncate(MASTER_BYTES)
    with guestbook.opened(config) as world:
        master = parse_volume("masters/osol-0811")
        for project in (master.parent, parse_volume("appl-1/x").parent):
            world.volumes.make_project(project)
        world.volumes.load(master, image)
        world.volumes.snapshot(parse_snapshot(ORIGIN))


def clone(config: Config, name: str) -> None:
    """What `domu-clone` does once it is loaded."""
    with guestbook.opened(config) as world:
        Runner(world, commands.clone(world, parse_snapshot(ORIGIN), parse_volume(name))).run()


def typed(config: Config, *words: str) -> None:
    """A command, as typed."""
    environment = os.environ | {"TWINBOOT_CONFIG": str(config.path)}
    subprocess.run([str(BIN / words[0]), *words[1:]], env=environment, check=True, stdout=subprocess.DEVNULL)


def own_bytes(config: Config, name: str) -> int:
    """What a volume takes."""
    with guestbook.opened(config) as world:
        found = world.volumes.volumes(parse_volume(name).parent)
    return next(one.own_bytes for one in found if str(one.name) == name)


def fill(records: Records, config: Config, *, virsh: bool) -> None:
    """1,000 guests in the records, and their domains on the hosts."""
    by_host: dict[str, list[Guest]] = {}
    for number in range(GUESTS):
        host = f"hv{number % HOSTS + 1}"
        uuid = f"00000000-0000-4000-8000-{number:012x}"
        mac = f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}"
        links = f"fe0,{mac},192.168.76.{number % 240 + 10},vm-host{number} be0,{mac},192.168.78.71,vm-host{number}-be"
        what = (f"appl-{number // 100}:vm-{number}", "defined", ORIGIN, "pv", "odd", 64, 1, host, uuid, 1_700_000_000)
        by_host.setdefault(host, []).append(Guest(*what, "me@s1", 0, links, ""))
    if "guests" not in records.tables():
        records.create("guests")
        records.commit([Change("guests", None, row) for rows in by_host.values() for row in rows])
    for host, rows in by_host.items():
        uri = _virsh_host(config, host, rows) if virsh else _file_host(config, host, rows)
        (config.share / "hosts" / f"{host}.toml").write_text(HOST.format(number=int(host[2:]), uri=uri))


def _virsh_host(config: Config, host: str, rows: list[Guest]) -> str:
    path = config.path.with_name(f"{host}.xml")
    domains = "".join(TEST_DOMAIN.format(name=row.guest, uuid=row.uuid) for row in rows)
    path.write_text(f"<node>{domains}</node>")
    return f"test://{path}"


def _file_host(config: Config, host: str, rows: list[Guest]) -> str:
    path = config.path.with_name(f"{host}.json")
    kept = MemoryHypervisor(host, file=path)
    domains = [[row.guest, row.uuid, "running", row.memory_mib, row.vcpus, [], f"iqn.x:{row.guest}"] for row in rows]
    path.write_text(json.dumps(domains))
    assert len(kept.domains()) == len(rows)
    return f"memory:{path}"


def verdict(goal: str, cost: Cost, limit_s: float) -> Line:
    """A time beside its goal. Met, if the clock or, on a busy machine, the processors say so."""
    reached = f"{cost.wall_s:.3f} s ({cost.cpu_s:.3f} s of processors)"
    return Line(f"{goal}: <= {limit_s} s", reached, cost.wall_s <= limit_s)


def measure_clones(config: Config, rounds: int, out: Console) -> list[Line]:
    """One clone, as work and as typed; its space; a hundred."""
    out.print(f"clone: {rounds} rounds of work, {rounds} as typed")
    clone(config, "appl-1/warm")
    work = best([cost_of(lambda n=n: clone(config, f"appl-1/work-{n}")) for n in range(rounds)])  # type: ignore[misc]
    whole = best(
        [cost_of(lambda n=n: typed(config, "domu-clone", ORIGIN, f"appl-1/typed-{n}")) for n in range(rounds)]  # type: ignore[misc]
    )
    space = own_bytes(config, "appl-1/work-0")
    out.print(f"hundred: {CLONES} clones in one project")

    def clone_all() -> None:
        for n in range(CLONES):
            clone(config, f"appl-1/vm-{n}")

    hundred = cost_of(clone_all)
    size = f"{space:,} bytes"
    return [
        verdict("domu-clone of 10 GB, the work", work, GOAL_CLONE_S),
        verdict("domu-clone of 10 GB, as typed", whole, GOAL_CLONE_S),
        Line(f"space of a clone: < {GOAL_CLONE_BYTES:,} bytes", size, space < GOAL_CLONE_BYTES),
        verdict(f"{CLONES} clones in one project", hundred, GOAL_HUNDRED_S),
    ]


def measure_lists(config: Config, rounds: int, out: Console) -> list[Line]:
    """`domu-list` of 1,000 guests."""
    records = open_records("SUNWfiles", config.share / "state")
    lines = []
    for how in ("files", "virsh"):
        if how == "virsh" and not shutil.which("virsh"):
            out.print("list: virsh is not installed: the hosts by virsh are left out")
            continue
        fill(records, config, virsh=how == "virsh")
        out.print(f"list: {rounds} rounds of {GUESTS} guests on {HOSTS} hosts ({how})")
        typed(config, "domu-list")
        cost = best([cost_of(lambda: typed(config, "domu-list")) for _ in range(rounds)])
        lines.append(verdict(f"domu-list of {GUESTS:,} guests, {HOSTS} hosts by {how}", cost, GOAL_LIST_S))
    return lines


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Rounds of each measurement.")
@click.option("--only", type=click.Choice(["clone", "list"]), help="Only this part.")
def main(rounds: int, only: str | None) -> None:
    """Measure, and say which goals are met; exit code 1 if one is missed."""
    out = Console()
    lines: list[Line] = []
    if only != "list":
        if not shutil.which("qemu-img"):
            sys.exit("qemu-img is missing: install qemu-utils")
        with tempfile.TemporaryDirectory(prefix="twinboot-bench-") as place:
            config = make_site(Path(place))
            make_master(config)
            lines += measure_clones(config, rounds, out)
    if only != "clone":
        with tempfile.TemporaryDirectory(prefix="twinboot-bench-") as place:
            lines += measure_lists(make_site(Path(place)), rounds, out)
    table = Table("goal", "reached", "verdict", box=None)
    for line in lines:
        table.add_row(line.goal, line.reached, "met" if line.met else "MISSED")
    out.print(table)
    sys.exit(0 if all(line.met for line in lines) else 1)


if __name__ == "__main__":
    main()
