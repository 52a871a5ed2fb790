"""Installs in numbers: a rack that boots its installers at once, and the rendering and checking of many hosts.

    sudo .venv/bin/python benchmarks/installs.py --rounds 3
    .venv/bin/python benchmarks/installs.py --only render --only check

* crowd: 22 armed hosts are switched on at once, and before that one alone, against `twinboot serve` in a network
  namespace (root): as GRUB boots the target debian, and as pxegrub boots nevada. Files have the sizes of real ones.
  The root archive, which follows the boot loader, is in "all" and not in the goal: there the wire is the limit.
* render: every text of 1,000 hosts, for each target that a host can have.
* check: `twinboot jumpstart check` of a directory with 1,000 profiles, and scripts and rules to them.

Goals and verdicts come last. On a busy machine trust the processor times; ratios and seconds are medians of rounds.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click
from dhcp_servers import preferred
from installs_machines import Machine, Took, boot
from rich.console import Console
from rich.table import Table
from wire import as_typed

from jumpstart.hostfile import from_toml
from jumpstart.targets import Net, load_target
from jumpstart.targets import nevada as nevada_target
from jumpstart.targets.nevada import NAME, Site, image_of
from pxe.bootplan import Kind, Plan
from pxe.menus import Attempt, Source, install_menu, ipxe_host_script
from pxe.settings import Settings
from storage.records import Install, open_records
from twinboot.lab import isolate
from twinboot.lab.rack import Rack

RACK, HOSTS, PROFILES = 22, 1000, 1000
GOAL_CROWD, GOAL_RENDER_S, GOAL_CHECK_S = 3.0, 5.0, 5.0
MIB = 1 << 20
DEBIAN_FILES = {"vmlinuz": 8 * MIB, "installer.img": 30 * MIB, "root.tar.zst": 160 * MIB}
NEVADA_FILES = {"grub/pxegrub": 150 << 10, "platform/i86pc/kernel/unix": 2 * MIB, "x86.miniroot": 40 * MIB}
HOST = """
name = "hv{number}"
segment = "odd"
target = "{target}"
dom0_mem = "2G"
console = "com1=9600,8n1"
root_mirror = ["c0t0d0s0", "c0t1d0s0"]
relocation_address = "10.77.{high}.{low}"
relocation_peers = ["10.77.0.0/16"]
root_password_hash = "$5$saltsalt$4G6TQy9bVQn0FzRrCkZ0hZQ1aKx5nYk3u1s2d3f4g56"
[links.fe0]
mac = "00:14:4f:00:{high:02x}:{low:02x}"
device = "e1000g0"
network = "public"
address = "10.77.{high}.{low}"
[links.be0]
mac = "00:14:4f:01:{high:02x}:{low:02x}"
device = "e1000g1"
"""


class Line(NamedTuple):
    """One row of the table of goals."""

    goal: str
    reached: str
    met: bool


def host_text(number: int, target: str) -> str:
    """The host file of the machine of that number, from 1 on."""
    return HOST.format(number=number, target=target, high=1 + number // 200, low=1 + number % 200)


# -- crowd ---------------------------------------------------------------------------------------------------------


def fill(path: Path, size_bytes: int) -> None:
    """Bytes that no file system keeps as a hole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(MIB) * (size_bytes // MIB) + os.urandom(size_bytes % MIB))


def prepare(rack: Rack) -> None:
    """A served share with boot files, and an address for each machine on the switch."""
    rack.init()
    boot_dir = rack.share / "boot"
    fill(boot_dir / "grub/x86_64-efi/core.efi", MIB)
    for name, size in DEBIAN_FILES.items():
        fill(boot_dir / "debian" / name, size)
    image = rack.directory / "nv105"
    (image / "Solaris_11/Product").mkdir(parents=True)
    for name, size in NEVADA_FILES.items():
        fill(image / "boot" / name, size)
    rack.twinboot("media", "add", NAME, str(image), "--release", "snv_105")
    subprocess.run(["chmod", "-R", "a+rX", str(boot_dir), str(image)], check=True)
    for number in range(1, RACK + 1):
        at = f"10.77.0.{100 + number}/24"
        subprocess.run(["ip", "addr", "add", at, "dev", "public"], check=True)
    rack.serve()


def arm(rack: Rack, target: str, count: int) -> list[Machine]:
    """Arm so many hosts; the machines that they are."""
    for number in range(1, count + 1):
        (rack.share / "hosts" / f"hv{number}.toml").write_text(host_text(number, target))
    for number in range(1, count + 1):
        rack.twinboot("install", f"hv{number}", "--target", target)
    rows = open_records("SUNWfiles", rack.share / "state").read("installs").rows
    tokens = {row.host: row.token for row in rows if isinstance(row, Install)}
    return [
        Machine(
            f"10.77.0.{100 + number}",
            f"00:14:4f:00:{1 + number // 200:02x}:{1 + number % 200:02x}",
            rack.site.address,
            tokens[f"hv{number}"],
        )
        for number in range(1, count + 1)
    ]


def crowd(rounds: int) -> list[Line]:
    """One machine, then the rack, for each target in every round."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="twinboot-bench-") as place:
        Path(place).chmod(0o755)
        with preferred(), Rack(Path(place), ()) as rack:
            prepare(rack)
            for target, loader in (("debian", "GRUB"), (NAME, "pxegrub")):
                ratios = [crowd_round(rack, target, loader, number) for number in range(1, rounds + 1)]
                goal = f"{RACK} machines at once by {loader}: time to the last kernel, beside one machine alone"
                goal += f" (at most {GOAL_CROWD:.0f}x)"
                lines.append(Line(goal, f"{median(ratios):.2f}x", median(ratios) <= GOAL_CROWD))
    return lines


def crowd_round(rack: Rack, target: str, loader: str, number: int) -> float:
    """Time to the last kernel of the rack beside that of one machine. Every machine must have been served."""
    (one,), _ = boot(target, arm(rack, target, 1))
    machines = arm(rack, target, RACK)
    before = served_cpu_s(rack)
    took, all_s = boot(target, machines)
    used = served_cpu_s(rack) - before
    assert len(took) == RACK
    files = {"debian": DEBIAN_FILES, NAME: NEVADA_FILES}[target]
    assert min(each.fetched_bytes for each in took) > sum(files.values())
    last = max(each.loaded_s for each in took)
    print(
        f"round {number}  {loader:8} alone {one.loaded_s:.2f} s; {RACK} at once: kernels after "
        f"{min(each.loaded_s for each in took):.2f} to {last:.2f} s, all reported after {all_s:.2f} s; "
        f"{total_mb(took):.0f} MB, {used:.1f} s of the server's processor time",
        file=sys.stderr,
    )
    return last / one.loaded_s


def total_mb(took: list[Took]) -> float:
    """All that was fetched."""
    return sum(each.fetched_bytes for each in took) / 1e6


def served_cpu_s(rack: Rack) -> float:
    """Processor time of all processes in the server's namespace so far."""
    found = subprocess.run(["ip", "netns", "pids", rack.site.server], capture_output=True, text=True, check=True)
    total = 0
    for pid in found.stdout.split():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


# -- render and check ----------------------------------------------------------------------------------------------


def render_all() -> int:
    """Every text of `HOSTS` hosts; how many bytes they are."""
    settings = Settings("10.77.0.1", "odd", networks=(Net("10.77.0.0/16", "10.77.0.1"),), others=("10.77.0.2",))
    site = Site(
        server="10.77.0.1",
        media="/export/nv105",
        config="/jumpstart",
        image=image_of("I86PC.nv105", tuple(NEVADA_FILES)),
        release="snv_105",
        netmasks={"public": "255.255.0.0"},
        router="10.77.0.1",
        report_urls=("http://10.77.0.1/report/x", "http://10.77.0.2/report/x"),
    )
    plan = Plan(Kind.INSTALL, "armed")
    count = 0
    for number in range(1, HOSTS + 1):
        token = f"{number:032x}"
        host = from_toml(host_text(number, "debian"), "host.toml")
        for target in (load_target("live-xen"), load_target("debian")):
            tries = [
                Attempt(source, target.entry(host, settings.context(token, "", source.server)))
                for source in (Source("10.77.0.1"), *settings.other_sources)
            ]
            texts = target.texts(host, settings.context(token, "", "10.77.0.1")).values()
            count += len(install_menu(host, plan, tries, "tftp")) + len(ipxe_host_script(host, plan, tries))
            count += sum(map(len, texts))
        count += sum(map(len, nevada_target.render(host, site).values()))
    return count


def jumpstart_directory(place: Path) -> None:
    """A directory with `PROFILES` profiles, a rule, a begin and a finish script for each."""
    site_rules = []
    for number in range(PROFILES):
        (place / f"profile{number}").write_text(
            "install_type initial_install\ncluster SUNWCXall\npool rpool auto auto auto mirror c0t0d0s0 c0t1d0s0\n"
            f"bootenv installbe bename snv_105_{number}\npackage SUNWgcc add\nlocale de_DE\n"
        )
        for script in ("begin", "finish"):
            (place / f"{script}{number}").write_text("#!/bin/sh\necho done\n")
        site_rules.append(f"hostname hv{number} && arch i386 begin{number} profile{number} finish{number}\n")
    (place / "rules").write_text("".join(site_rules))


def check_all(place: Path) -> int:
    """Run the command that a user types."""
    argv = [sys.executable, "-m", "twinboot", "jumpstart", "check", str(place)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return len((place / "rules.ok").read_bytes())


def timed(work: Callable[[], int], what: str, rounds: int, goal_s: float) -> Line:
    """The best of some runs, judged by processor time: nothing here is parallel, so an idle clock shows the same."""
    best = (float("inf"), float("inf"))
    for number in range(1, rounds + 1):
        began, used = time.monotonic(), cpu_s()
        size = work()
        best = min(best[0], time.monotonic() - began), min(best[1], cpu_s() - used)
        reached = f"{best[0]:.2f} s, {best[1]:.2f} s of processor time"
        print(f"round {number}  {what}: {reached}, {size} bytes", file=sys.stderr)
    return Line(f"{what} (under {goal_s:.0f} s)", reached, best[1] < goal_s)


def cpu_s() -> float:
    """Of this process and of its ended children."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure(only: tuple[str, ...], rounds: int) -> list[Line]:
    """Every part that was asked for."""
    lines = crowd(rounds) if "crowd" in only else []
    if "render" in only:
        lines.append(timed(render_all, f"render all files of {HOSTS} hosts, three targets", rounds, GOAL_RENDER_S))
    if "check" in only:
        with tempfile.TemporaryDirectory(prefix="twinboot-bench-") as place:
            jumpstart_directory(Path(place))
            lines.append(
                timed(lambda: check_all(Path(place)), f"check a directory of {PROFILES} profiles", rounds, GOAL_CHECK_S)
            )
    return lines


PARTS = ("crowd", "render", "check")


@click.command(help=as_typed(__doc__))
@click.option("--rounds", default=3, show_default=True, help="How often everything is measured.")
@click.option("--only", multiple=True, type=click.Choice(PARTS), help="Only it.")
def main(rounds: int, only: tuple[str, ...]) -> None:
    only = only or PARTS
    if "crowd" in only and not isolate.inside():
        if os.geteuid():
            raise click.ClickException("namespaces need root: run it with sudo, or with --only render --only check")
        sys.exit(isolate.run([sys.executable, *sys.argv]))
    table = Table("goal", "reached", "verdict")
    lines = measure(only, rounds)
    for line in lines:
        table.add_row(line.goal, line.reached, "met" if line.met else "MISSED")
    Console(width=160).print(table)
    missed = sum(not line.met for line in lines)
    print(f"{rounds} rounds; {missed} goals missed; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
