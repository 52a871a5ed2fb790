"""`twinboot lab`: a rack on this machine, for the demo, for tests and for a user's own rehearsal."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
from rich.console import Console

from twinboot.lab import demo as play
from twinboot.lab import failover, guest_demo, guestkit, isolate
from twinboot.lab.rack import Rack
from twinboot.show import as_json

FRESH_SEEDS = 10**9  # seeds that nobody names are drawn below this
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "twinboot"


@click.group("lab")
def lab() -> None:
    """Build a rack on this machine: wires, an install server, bare machines (QEMU)."""


@lab.command()
@click.option("--keep", type=click.Path(path_type=Path), help="Leave consoles, journal and share in this directory.")
@click.option("--accel", default="", help="QEMU accelerator (default: tcg,thread=multi; `kvm` where it works).")
@click.option("--result", type=click.Path(path_type=Path), help="Write what was proved to this file, as JSON.")
def demo(keep: Path | None, accel: str, result: Path | None) -> None:
    """Boot two bare machines, BIOS and UEFI, into Xen through our own servers; exit 0 only if both came up."""
    out = Console(soft_wrap=False)
    if not isolate.inside():
        sys.exit(_outside(out, keep))
    _stop_on_sigterm()
    with _workplace(keep) as directory:
        proof = play.run(directory, CACHE / "boot", out, accel)
    if result:
        result.write_text(json.dumps(asdict(proof), indent=2) + "\n")
    sys.exit(_verdict(out, proof))


@lab.command("failover")
@click.option("--keep", type=click.Path(path_type=Path), help="Leave consoles, journals and share in this directory.")
@click.option("--accel", default="", help="QEMU accelerator (default: tcg,thread=multi; `kvm` where it works).")
@click.option("--result", type=click.Path(path_type=Path), help="Write what was proved to this file, as JSON.")
def failover_command(keep: Path | None, accel: str, result: Path | None) -> None:
    """Kill one of two servers amid a boot and a storm of leases; exit 0 only if nobody was left without an answer."""
    out = Console(soft_wrap=False)
    if not isolate.inside():
        sys.exit(_outside(out, keep))
    _stop_on_sigterm()
    with _workplace(keep) as directory:
        proof = failover.run(directory, CACHE / "boot", out, accel)
    if result:
        result.write_text(json.dumps(asdict(proof), indent=2) + "\n")
    out.print(failover.verdict(proof), highlight=False, soft_wrap=True)
    sys.exit(1 if proof.faults else 0)


@lab.command("guest")
@click.option("--keep", type=click.Path(path_type=Path), help="Leave consoles, logs and share in this directory.")
@click.option("--result", type=click.Path(path_type=Path), help="Write what was proved to this file, as JSON.")
def guest_command(keep: Path | None, result: Path | None) -> None:
    """Bring up guests on two hypervisors and move one live; exit 0 only if all that was promised came true."""
    out = Console(soft_wrap=False)
    kit = guestkit.build(CACHE)
    if not isolate.inside():
        _empty(keep)
        sys.exit(isolate.run([sys.executable, "-m", "twinboot", *sys.argv[1:]], accounts=True))
    _stop_on_sigterm()
    with _workplace(keep) as directory:
        proof = guest_demo.run(directory, kit, out)
    if result:
        result.write_text(json.dumps(asdict(proof), indent=2) + "\n")
    out.print(guest_demo.verdict(proof), highlight=False, soft_wrap=True)
    sys.exit(1 if proof.faults else 0)


@lab.command()
@click.option("--accel", default="", help="QEMU accelerator (default: tcg,thread=multi; `kvm` where it works).")
def up(accel: str) -> None:
    """Build the demo's rack, switch its machines on, and open a shell on the install server."""
    out = Console(soft_wrap=False)
    if not isolate.inside():
        sys.exit(_outside(out, None))
    _stop_on_sigterm()
    with _workplace(None) as directory, Rack(directory, play.PLANS, accel=accel) as rack:
        play.prepare(rack, play.PLANS, CACHE / "boot", out)
        for machine in rack.machines.values():
            machine.power_on()
            out.print(f"  {machine.spec.name} is on; its console: less +F {machine.serial}", highlight=False)
        out.print("This is a shell on the install server; its end is the end of the lab.", highlight=False)
        subprocess.run(rack.on_server(os.environ.get("SHELL", "/bin/sh")), env=rack.environment, check=False)


@lab.command()
@click.option("--seed", type=click.IntRange(0), help="The first seed (default: a fresh one).")
@click.option("--seeds", type=click.IntRange(1), help="How many, in order (default 1).")
@click.option("--hours", type=click.FloatRange(0.02, 1000), default=1.0, show_default=True, help="Of faults, in each.")
@click.option("--exchanges", type=click.IntRange(1), help="Instead of --seeds: until clients ended so many exchanges.")
@click.option("--seconds", type=click.FloatRange(1), help="Instead of --seeds: begin seeds for so long.")
@click.option(
    "--totals",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep what is done in this file, and go on from what it says was done before.",
)
@click.option("--jobs", type=click.IntRange(0), default=0, help="Processors to use (default: all).")
@click.option("--json", "json_", is_flag=True, help="Print the result as JSON.")
def simulate(
    seed: int | None,
    seeds: int | None,
    hours: float,
    exchanges: int | None,
    seconds: float | None,
    totals: Path | None,
    jobs: int,
    json_: bool,
) -> None:
    """Run clusters of simulated servers, share and clients through faults; exit 1 if a rule was violated.

    One seed decides everything that happens in a run, so a failure can be run again by its number.
    """
    if sum(map(bool, (seeds, seconds, exchanges))) > 1:
        raise click.UsageError("one of --seeds, --exchanges and --seconds")
    try:
        from twinboot.lab.simulate import many, tell  # noqa: PLC0415 - needs a package that only developers have
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is missing: pip install {error.name}") from error
    first = random.SystemRandom().randrange(FRESH_SEEDS) if seed is None else seed
    total = tell.earlier(totals, first, hours)
    goal = many.Goal(seeds or (0 if seconds or exchanges else total.seeds + 1), exchanges or 0, seconds or 0.0)
    progress = tell.Progress(goal, total, totals)
    many.run_many(total, goal, jobs=jobs, told=progress)
    progress.end()
    progress.keep(total)
    if json_:
        as_json(many.as_json(total))
    else:
        click.echo(tell.verdict(total))
    sys.exit(1 if total.violations else 0)


def _outside(out: Console, keep: Path | None) -> int:
    """Do what needs the real network and file system, then run the same command again inside the lab."""
    _empty(keep)
    out.print("[bold]0. Boot files[/bold]  (Xen, a dom0 kernel, a small dom0; GRUB for BIOS and UEFI)")
    build = [sys.executable, "-m", "twinboot", "media", "build", "live-xen", "--into", str(CACHE / "boot")]
    if subprocess.run(build, check=False).returncode:
        raise click.ClickException("the boot files could not be built; the line above says why")
    return isolate.run([sys.executable, "-m", "twinboot", *sys.argv[1:]])


def _empty(keep: Path | None) -> None:
    """Make the directory that is to keep what the lab leaves, or see that nothing is in it."""
    if keep:
        keep.mkdir(mode=0o755, parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise click.ClickException(f"{keep} is not empty: name a new directory for what the demo leaves")


@contextmanager
def _workplace(keep: Path | None) -> Iterator[Path]:
    """Give a directory that services can enter after they gave up root; with `keep` it outlives the lab, there."""
    if keep:
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="twinboot-lab-") as place:
        Path(place).chmod(0o755)
        yield Path(place)


def _verdict(out: Console, proof: play.Proof) -> int:
    for fault in proof.faults:
        out.print(f"  [red]not so[/red]: {fault}", highlight=False)
    if proof.faults:
        out.print("[bold red]VERDICT: the demo failed[/bold red]")
        return 1
    took = ", ".join(f"{name} in {seconds:.0f} s" for name, seconds in proof.power_on_to_report_s.items())
    verdict = f"VERDICT: both machines came up in Xen ({took}); hv1 then booted its local disk"
    out.print(verdict, style="bold green", highlight=False, soft_wrap=True)
    return 0


def _stop_on_sigterm() -> None:
    # The first process of a process table ignores signals that it does not handle (pid_namespaces(7)).
    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
