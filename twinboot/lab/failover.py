"""The failover demo: two servers, clients that lease and renew, a machine that boots; one server is killed meanwhile.

The machine's boot loader is fetching from one of the servers when that one gets SIGKILL. What is proved: no client was
left without an answer, no address was given twice, and the machine boots from the other server. Nobody touches it
meanwhile: its loader waits for the dead server until it gives up, and goes on with the next one that its menu names.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from twinboot import journal
from twinboot.lab import console as serial
from twinboot.lab.failover_pair import Pair, Server

BOOT_TIMEOUT_S = 300.0
KILL_TIMEOUT_S = 180.0
STORM_FIRST_S = 8.0
"""So long clients settle before anything breaks."""
LOADER_GAVE_UP = r"no server sent all files"
LOADER_GOES_ON = r"did not send \S+"
SILENCE_MAX_S = 5.0
"""A client that asks once a second must be served within this."""
POLL_S = 0.2
STARTS = ("tftp.start", "http.start")
TELL_S = 5.0


@dataclass
class Proof:
    """What the demo saw. `faults` is empty when everything that it promises came true."""

    killed: str = ""
    processes: int = 0
    loader_s: float = 0.0
    """From the kill until the loader had begun to fetch from the other server."""
    report_s: float = 0.0
    longest_s: float = 0.0
    acks: dict[str, int] = field(default_factory=dict)
    clients: int = 0
    doubled: int = 0
    witnesses: list[str] = field(default_factory=list)
    """Servers whose journals tell the boot's story on the one that survived."""
    faults: list[str] = field(default_factory=list)


class Play:
    """One run: the pair, what the journals told so far, and the view."""

    def __init__(self, pair: Pair, out: Console) -> None:
        self.pair = pair
        self._out = out
        self._began = time.monotonic()
        self._told = 0.0
        self._after: dict[str, int] = {}
        self.facts: Mapping[str, Any] = {}

    def say(self, text: str) -> None:
        """One line with the time since the start."""
        self._out.print(f"  {time.monotonic() - self._began:6.1f} s  {text}", highlight=False, soft_wrap=True)

    def until(self, done: Callable[[], bool], limit_s: float) -> bool:
        """Show the clients until `done()` or the limit; say which it was."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            self._show()
            if done():
                return True
            time.sleep(POLL_S)
        return False

    def _show(self) -> None:
        self.facts = self.pair.storm_facts() or self.facts
        now = time.monotonic()
        if self.facts and now - self._told >= TELL_S:
            self._told = now
            acks = ", ".join(f"{name} {self._acks(server)}" for name, server in self.pair.servers.items())
            bound, clients = self.facts["bound"], self.facts["clients"]
            waiting, longest = self.facts["waiting_s"], self.facts["longest_s"]
            self.say(f"clients {bound}/{clients} bound; ACKs {acks}; longest wait now {waiting} s, ever {longest} s")

    def _acks(self, server: Server) -> int:
        return int(self.facts["acks"].get(server.address, 0))

    def events(self, server: Server) -> list[dict[str, Any]]:
        """What is new in a server's journal; told as it comes where it is about the machine."""
        if not server.journal.exists():
            return []
        query = journal.Query(after_id=self._after.get(server.name, 0))
        found = journal.read(journal.open_reader(server.journal), query)
        if found:
            self._after[server.name] = int(found[-1]["id"])
        for event in found:
            if event.get("host") == "hv1" or event["kind"] in ("tftp.done", "http.done", "report.received"):
                words = [str(event[name]) for name in ("file", "state", "plan", "detail") if name in event]
                self.say(f"{server.name}: {event['kind']} {' '.join(words)}"[:110])
        return found

    def fetching(self) -> Server | None:
        """The server that the machine has just begun to fetch its kernel from."""
        for server in self.pair.servers.values():
            if starts(self.events(server), "vmlinuz"):
                return server
        return None


def starts(events: Iterable[Mapping[str, Any]], file: str) -> bool:
    """Whether a transfer of `file` began."""
    return any(one["kind"] in STARTS and str(one.get("file")).endswith(file) for one in events)


def run(directory: Path, boot_files: Path, out: Console, accel: str = "") -> Proof:
    """Play the demo below `directory`; print as it goes; return the proof."""
    proof = Proof()
    with Pair(directory, accel) as pair:
        play = Play(pair, out)
        out.print("[bold]1. Two servers, one share[/bold]  (as docs/two-servers.md says)")
        pair.set_up()
        shutil.copytree(boot_files, pair.share / "boot", dirs_exist_ok=True)
        odd = pair.servers["odd"]
        add = ["host", "add", "hv1", "--mac", f"fe0={pair.machine.spec.cards[0].mac}", "--target", "live-xen"]
        odd.twinboot(*add, "--dom0-mem", "512M")
        for server in pair.servers.values():
            play.say(f"{server.name}: {server.serve()}")
        pair.without_ipxe()
        odd.twinboot("install", "hv1")
        out.print("[bold]2. Clients lease and renew; a machine is switched on[/bold]")
        pair.start_storm()
        play.until(lambda: False, STORM_FIRST_S)
        pair.machine.power_on()
        _kill(play, proof, out)
        _finish(play, proof)
        survivor = next(server for server in pair.servers.values() if server.name != proof.killed)
        out.print(f"[bold]4. twinboot status on {survivor.name}[/bold]")
        out.print(survivor.status(), highlight=False, markup=False, soft_wrap=True)
        out.print(f"[bold]5. twinboot explain hv1 on {survivor.name}[/bold]  (both saw it boot; one of them is dead)")
        out.print(survivor.twinboot("explain", "hv1"), highlight=False, markup=False, soft_wrap=True)
        story = json.loads(survivor.twinboot("explain", "hv1", "--json"))
        proof.witnesses = sorted({moment["seen_by"] for moment in story["timeline"]})
        if proof.killed not in proof.witnesses:
            proof.faults.append(f"`twinboot explain hv1` on {survivor.name} does not know what {proof.killed} saw")
    return proof


def _kill(play: Play, proof: Proof, out: Console) -> None:
    found: list[Server] = []

    def fetches() -> bool:
        server = play.fetching()
        if server:
            found.append(server)
        return bool(found)

    if not play.until(fetches, KILL_TIMEOUT_S):
        proof.faults.append("the machine did not begin to fetch its kernel")
        found.append(play.pair.servers["odd"])
    proof.killed = found[0].name
    out.print(
        f"[bold red]3. kill -9 of {proof.killed}[/bold red]  (it is sending the kernel, and answers half the clients)"
    )
    proof.processes = found[0].kill()
    play.say(f"{proof.processes} processes of {proof.killed} are dead")


def _finish(play: Play, proof: Proof) -> None:
    """Let the machine boot from the other server; take down what the clients saw."""
    machine, began = play.pair.machine, time.monotonic()
    survivor = next(server for server in play.pair.servers.values() if server.name != proof.killed)
    ends: list[str] = []

    def ended() -> bool:
        events = play.events(survivor)
        if not proof.loader_s and starts(events, "/xen"):
            proof.loader_s = time.monotonic() - began
            complaint = serial.find(machine.serial, LOADER_GOES_ON)
            play.say(f"hv1: {complaint or 'loads'}: it goes on with {survivor.name} after {proof.loader_s:.0f} s")
        ends.extend(str(one["kind"]) for one in events if one["kind"] == "report.received")
        return bool(ends or serial.find(machine.serial, LOADER_GAVE_UP))

    if play.until(ended, BOOT_TIMEOUT_S) and ends:
        proof.report_s = time.monotonic() - began
        play.say(f"hv1 reported home to {survivor.name}, {proof.report_s:.0f} s after the kill")
    else:
        said = serial.find(machine.serial, LOADER_GAVE_UP) or f"nothing for {BOOT_TIMEOUT_S:.0f} s"
        proof.faults.append(f"hv1 did not report home after the kill; its loader said: {said}")
    _judge(play, proof)


def _judge(play: Play, proof: Proof) -> None:
    facts = play.facts
    proof.longest_s, proof.doubled, proof.clients = facts["longest_s"], facts["doubled"], facts["clients"]
    proof.acks = {name: int(facts["acks"].get(server.address, 0)) for name, server in play.pair.servers.items()}
    if proof.longest_s > SILENCE_MAX_S:
        proof.faults.append(f"a client waited {proof.longest_s} s (at most {SILENCE_MAX_S:.0f} s were promised)")
    if proof.doubled:
        proof.faults.append(f"{proof.doubled} addresses were given to two clients")
    if not all(proof.acks.values()):
        proof.faults.append("one of the servers never acknowledged anything")


def verdict(proof: Proof) -> str:
    """The last lines of the demo: what failed, or what was proved."""
    lines = [f"  [red]not so[/red]: {fault}" for fault in proof.faults]
    if proof.faults:
        return "\n".join([*lines, "[bold red]VERDICT: the failover failed[/bold red]"])
    acks = " + ".join(f"{count} by {name}" for name, count in proof.acks.items())
    loader = f"whose loader went on with the other server {proof.loader_s:.0f} s after the kill"
    return (
        f"[bold green]VERDICT: {proof.killed} was killed; {proof.clients} clients, {acks} ACKs, none doubled; "
        f"the longest silence any client saw was {proof.longest_s:.1f} s; hv1, {loader}, "
        f"booted untouched and reported home after {proof.report_s:.0f} s[/bold green]"
    )
