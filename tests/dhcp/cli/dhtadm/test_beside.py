"""dhtadm beside others: another edit at the same moment, another process, a daemon that serves."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dhcp.cli import service
from dhcp.options import MessageType
from storage.records import Change, MemoryRecords, Outcome, Result, TabEntry
from storage.records.port import nothing
from tests.dhcp.cli.conftest import Shell, argv_of, run_batches_at_once
from tests.dhcp.cli.dhtadm.conftest import value
from tests.dhcp.conftest import Start, make_binding, make_store


def test_the_daemon_is_told_and_without_one_the_edit_stands(tab: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: heard.append(pid) if number == signal.SIGHUP else None)
    monkeypatch.setattr(service, "find", lambda port: service.Daemon(4711, supervised=True) if port == 67 else None)
    tab.ok("dhtadm -A -m x -d ':LeaseNeg:' -g")
    assert heard == [4711]
    monkeypatch.setattr(service, "find", lambda _port: None)
    code, line = tab.refused("dhtadm -D -m x -g")
    assert (code, line.split(":")[1]) == (3, " Unable to signal the daemon to reload the dhcptab")
    assert ("x", "m") not in tab.rows("dhcptab")  # what was asked for is done all the same


class Racing(MemoryRecords):
    """A store in which somebody else is always first, for so many commits, with the same kind of change."""

    def __init__(self, rival: Callable[[TabEntry], TabEntry], times: int) -> None:
        super().__init__()
        self.rival = rival
        self.times = times

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        if self.times:
            self.times -= 1
            row = changes[0].old
            assert isinstance(row, TabEntry)
            assert super().commit([Change("dhcptab", row, self.rival(row))])[0].outcome is Outcome.STORED
        return super().commit(changes)


def raced(rival: str, times: int, capsys: pytest.CaptureFixture[str]) -> Shell:
    records = Racing(lambda row: row._replace(value=row.value + rival), times)
    records.load("dhcptab", [TabEntry("x", "m", 1, ":LeaseTim=60:")])
    return Shell(records, capsys)


def test_an_edit_beside_another_edit_of_the_macro_loses_neither(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = raced("LeaseNeg:", 1, capsys)
    shell.ok("dhtadm -M -m x -e LeaseTim=600")
    assert value(shell, "x") == ":LeaseTim=600:LeaseNeg:"


@pytest.mark.parametrize(
    ("rival", "times", "line"),
    [
        ("LeaseTim=5:", 1, "-M -m x -e LeaseTim=600"),
        ("LeaseNeg:", 1, "-M -m x -d ':LeaseTim=600:'"),
        ("LeaseNeg:", 1, "-D -m x"),
        ("LeaseNeg:", 2, "-M -m x -e LeaseTim=600"),
    ],
)
def test_an_edit_that_would_undo_anothers_is_refused(
    conf: Path, capsys: pytest.CaptureFixture[str], rival: str, times: int, line: str
) -> None:
    shell = raced(rival, times, capsys)
    code, text = shell.refused(f"dhtadm {line}")
    assert code == 3
    assert "somebody else changed the same entry just now" in text


def test_two_processes_that_edit_one_macro_lose_nothing(conf: Path) -> None:
    """Each process edits symbols of its own; collisions are tried again, and what is refused is refused loudly."""
    program = argv_of("dhtadm")
    subprocess.run([*program, "-B"], input="-C\n-A -m x -d ':LeaseNeg:'\n", text=True, check=True)
    batches = [
        "".join(f"-A -m {symbol}{number} -d ':{symbol}={number + 1}:'\n" for number in range(20))
        + f"-M -m x -e {symbol}=7\n"
        for symbol in ("LeaseTim", "MTU")
    ]
    run_batches_at_once("dhtadm", batches)
    found = subprocess.run([*program, "-P", "--json"], capture_output=True, check=True).stdout
    rows = {row["name"]: row["value"] for row in json.loads(found)}
    assert len(rows) == 41
    assert sorted(rows["x"].split(":")) == ["", "", "LeaseNeg", "LeaseTim=7", "MTU=7"]


def test_a_running_daemon_sees_an_edit_at_the_next_packet(
    start: Start, conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = make_store([make_binding("127.0.0.20")], {"127.0.0.0": ":LeaseTim=600:LeaseNeg:"})
    lab = start(records)
    shell = Shell(records, capsys)
    mac = "00:14:4f:00:00:01"
    assert lab.relay.ask(MessageType.DISCOVER, mac).options.get(3) is None
    shell.ok("dhtadm -M -m 127.0.0.0 -e Router=127.0.0.254")
    assert lab.relay.ask(MessageType.DISCOVER, mac).options[3] == bytes((127, 0, 0, 254))
