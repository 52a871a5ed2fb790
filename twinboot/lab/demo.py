"""The demo: two bare machines from power-on to Xen through our DHCP, TFTP and HTTP; then a reboot to the local disk.

`run` plays inside a lab (`isolate`); it prints what a watching person wants to see and returns what was proved, so that
the system tests are this same play with its verdict read by a machine.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from twinboot import journal
from twinboot.lab import console as serial
from twinboot.lab.disk import banner
from twinboot.lab.machine import Card
from twinboot.lab.rack import Plan, Rack
from twinboot.lab.view import RackView, Seen, line
from twinboot.sentences import amount

BOOT_TIMEOUT_S = 420.0
"""Two machines share one processor under software emulation; a quiet machine needs a seventh of this."""

POLL_S = 0.25

PLANS = (
    Plan("hv1", "bios", "00:14:4f:00:00:01", dom0_mem="512M", address="10.77.0.11", local_disk=True),
    Plan("hv2", "uefi", "00:14:4f:00:00:02", dom0_mem="640M"),
)

XEN_COMMAND_LINE = r"\(XEN\) Command line: .*dom0_mem="
DOM0_UP = r"TWINBOOT: dom0 up"


@dataclass
class Proof:
    """What the demo saw. `faults` is empty when everything that it promises came true."""

    power_on_to_report_s: dict[str, float] = field(default_factory=dict)
    xen_lines: dict[str, str] = field(default_factory=dict)
    dom0_lines: dict[str, str] = field(default_factory=dict)
    local_disk_line: str = ""
    faults: list[str] = field(default_factory=list)


class Watch:
    """The live view: a table that is redrawn on a terminal, or a line for each change elsewhere."""

    def __init__(self, rack: Rack, out: Console) -> None:
        self.rack = rack
        self._out = out
        self._journal = rack.state / "journal.db"
        self._last_id = 0
        self._began = {name: time.monotonic() for name in rack.machines}
        self._said: dict[str, str] = {}
        self.view = RackView({name: _unseen(name, machine.spec.cards) for name, machine in rack.machines.items()})

    def power_on(self, names: Sequence[str]) -> None:
        """Switch machines on and start their clocks."""
        for name in names:
            self._began[name] = time.monotonic()
            self.rack.machines[name].power_on()

    def until(self, done: Callable[[], bool], names: Sequence[str]) -> bool:
        """Show `names` until `done()` or the time-out; say which it was."""
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        with Live(self._table(names), console=self._out, auto_refresh=False, transient=True) as live:
            while time.monotonic() < deadline:
                self._catch_up()
                if self._out.is_terminal:
                    live.update(self._table(names), refresh=True)
                else:
                    self._say_changes(names)
                if done():
                    return True
                time.sleep(POLL_S)
        return False

    def elapsed_s(self, name: str) -> float:
        """Seconds since `name` was switched on."""
        return time.monotonic() - self._began[name]

    def _catch_up(self) -> None:
        if not self._journal.exists():
            return
        events = journal.read(journal.open_reader(self._journal), journal.Query(after_id=self._last_id))
        if events:
            self._last_id = int(events[-1]["id"])
            self.view = self.view.after(events)

    def _say_changes(self, names: Sequence[str]) -> None:
        for name in names:
            seen = self.view.machines[name]
            # Bytes alone are no news: a line for each phase and each file is enough to follow a log.
            key = f"{seen.phase} {seen.doing}"
            if self._said.get(name) != key:
                self._said[name] = key
                self._out.print(f"  {self.elapsed_s(name):6.1f} s  {line(seen)}", highlight=False, soft_wrap=True)

    def _table(self, names: Sequence[str]) -> Group:
        table = Table(expand=True)
        for title in ("machine", "firmware", "phase", "address", "loaded", "rate", "doing"):
            table.add_column(title, no_wrap=True)
        tails = []
        for name in names:
            seen, machine = self.view.machines[name], self.rack.machines[name]
            loaded = amount(seen.loaded_bytes + seen.in_flight_bytes)
            rate = f"{seen.rate_mb_s:.1f} MB/s" if seen.rate_mb_s else ""
            table.add_row(name, machine.spec.firmware, seen.phase, seen.address, loaded, rate, seen.doing)
            tails.append(Text(f"{name} {self.elapsed_s(name):5.1f} s | {_tail(machine.serial)}"[:110], style="dim"))
        return Group(table, *tails)


def _unseen(name: str, cards: Sequence[Card]) -> Seen:
    return Seen(name, frozenset(card.mac for card in cards))


def _tail(path: Path) -> str:
    return next((text.strip() for text in reversed(serial.lines(path)) if text.strip()), "")


def run(directory: Path, boot_files: Path, out: Console, accel: str = "") -> Proof:
    """Play the demo below `directory`, with the boot files of `boot_files`; print as it goes; return the proof."""
    proof = Proof()
    with Rack(directory, PLANS, accel=accel) as rack:
        out.print("[bold]1. Set up an install server[/bold]  (twinboot init, host add, serve, install)")
        prepare(rack, PLANS, boot_files, out)
        watch = Watch(rack, out)
        out.print("[bold]2. Switch on two machines with empty memory[/bold]  (hv1: BIOS, hv2: UEFI)")
        names = [plan.name for plan in PLANS]
        watch.power_on(names)
        _first_boot(watch, names, proof, out)
        out.print("[bold]3. What happened, in the product's own words[/bold]")
        for name in names:
            _explain(rack, name, out)
        if not proof.faults:
            out.print("[bold]4. Reboot hv1[/bold]  (its one armed install is spent: it must get its local disk)")
            _second_boot(watch, "hv1", proof, out)
            _explain(rack, "hv1", out)
    return proof


def _explain(rack: Rack, name: str, out: Console) -> None:
    out.print(f"$ twinboot explain {name}", style="bold", highlight=False)
    out.print(rack.twinboot("explain", name), highlight=False, markup=False, soft_wrap=True)


def prepare(rack: Rack, plans: Sequence[Plan], boot_files: Path, out: Console) -> None:
    """Type what a user types before the machines are switched on; say it."""
    rack.init()
    for source in sorted(boot_files.rglob("*")):
        target = rack.share / "boot" / source.relative_to(boot_files)
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.write_bytes(source.read_bytes())
    for plan in plans:
        add = ["host", "add", plan.name, "--mac", f"fe0={plan.mac}", "--segment", "odd", "--target", "live-xen"]
        add += ["--dom0-mem", plan.dom0_mem, *(("--address", f"fe0={plan.address}") if plan.address else ())]
        rack.twinboot(*add)
        out.print(f"  twinboot {' '.join(add)}", highlight=False, soft_wrap=True)
    out.print(f"  {rack.serve()}", highlight=False, soft_wrap=True)
    for plan in plans:
        rack.twinboot("install", plan.name)


def _first_boot(watch: Watch, names: Sequence[str], proof: Proof, out: Console) -> None:
    def reported() -> bool:
        for name in names:
            if watch.view.machines[name].phase == "done" and name not in proof.power_on_to_report_s:
                proof.power_on_to_report_s[name] = watch.elapsed_s(name)
        return len(proof.power_on_to_report_s) == len(names)

    watch.until(reported, names)
    for name in names:
        console = watch.rack.machines[name].serial
        proof.xen_lines[name] = serial.find(console, XEN_COMMAND_LINE)
        proof.dom0_lines[name] = serial.find(console, DOM0_UP)
        proof.faults += _judge(name, watch.rack.plans[name].dom0_mem, proof)
        took = proof.power_on_to_report_s.get(name)
        out.print(f"  {name}: {f'reported home after {took:.1f} s' if took else 'no report'}", highlight=False)
        out.print(f"    {proof.xen_lines[name]}\n    {proof.dom0_lines[name]}", highlight=False, soft_wrap=True)


def _judge(name: str, dom0_mem: str, proof: Proof) -> list[str]:
    faults = []
    if name not in proof.power_on_to_report_s:
        faults.append(f"{name} did not report home within {BOOT_TIMEOUT_S:.0f} s")
    wanted_mib = int(dom0_mem.removesuffix("M"))
    if f"dom0_mem={dom0_mem}" not in proof.xen_lines[name]:
        faults.append(f"{name}: Xen's command line does not carry dom0_mem={dom0_mem} from its host file")
    has = re.search(r"dom0 memory (\d+) KiB", proof.dom0_lines[name])
    if not has or int(has[1]) != wanted_mib * 1024:
        faults.append(f"{name}: dom0 does not see the {wanted_mib} MiB that its host file gives it")
    return faults


def _second_boot(watch: Watch, name: str, proof: Proof, out: Console) -> None:
    machine = watch.rack.machines[name]
    machine.power_off()
    watch.power_on([name])
    wanted = re.escape(banner(name))
    watch.until(lambda: bool(serial.find(machine.serial, wanted)), [name])
    proof.local_disk_line = serial.find(machine.serial, wanted)
    if not proof.local_disk_line:
        proof.faults.append(f"{name} did not come back from its local disk")
    out.print(f"  {name}: {proof.local_disk_line or 'its local disk was not booted'}", highlight=False)
