"""The worker as a process: what it keeps of its parent's, what goes through the pipe, what it does between calls."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from storage.records import Change, Delta, Outcome, RecordsError, Result, SunwFiles
from storage.records import worker_wire as wire
from storage.records.port import nothing
from storage.records.worker import WorkerRecords
from tests.processes import GIVE_UP_S, has_ended, wait_for
from tests.storage.records.conftest import Bind
from tests.storage.records.worker.conftest import DEADLINE_S, NET, Gate, Make, Slow, Told, unavailable


def test_it_keeps_nothing_of_its_parents(make: Make, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service, open(tmp_path / "journal", "w") as journal:
        service.bind(("127.0.0.1", 0))
        records = make()
        found = {os.readlink(f"/proc/{records.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{records.pid}/fd")}
        mine = os.readlink(f"/proc/self/fd/{service.fileno()}")
        assert journal.name not in found
        assert mine not in found
        assert len([name for name in found if name.startswith("socket:")]) == 1


def test_signals_to_the_group_do_not_end_it(records: WorkerRecords) -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        os.kill(records.pid, number)
    assert records.tables() == [NET]


def test_it_dies_with_its_parent_even_while_it_hangs(tmp_path: Path) -> None:
    here, there = socket.socketpair()
    parent = os.fork()
    if parent == 0:
        gate = Gate(tmp_path)
        records = WorkerRecords(lambda: Slow(tmp_path, gate, {"read"}), "", Told(), deadline_s=DEADLINE_S)
        records.hurry()
        with contextlib.suppress(RecordsError):
            records.read(NET)
        there.send(str(records.pid).encode())
        time.sleep(GIVE_UP_S)
        os._exit(0)
    worker = int(here.recv(20))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    wait_for(lambda: has_ended(worker))
    here.close()
    there.close()


def test_a_table_of_many_thousand_rows_goes_through(make: Make, tmp_path: Path, binding: Bind) -> None:
    class Large(SunwFiles):
        def read(self, table: str, since: int = 0) -> Delta:
            row = binding(1)
            delta = super().read(table, since)
            return delta._replace(rows=tuple(row._replace(address=number) for number in range(10_000)))

        def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
            return [Result(Outcome.STORED, change.new, "") for change in changes]

    records = make(lambda: Large(tmp_path), deadline_s=2.0)
    records.create(NET)
    rows = records.read(NET).rows
    assert [row.key for row in rows] == list(range(10_000))
    results = records.commit([Change(NET, None, row) for row in rows])
    assert [result.row for result in results] == list(rows)


def test_an_answer_that_is_too_long_is_refused(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, binding: Bind
) -> None:
    monkeypatch.setattr(wire, "MESSAGE_MAX_BYTES", 2000)
    records = make()
    records.create(NET)
    for first in range(1, 41, 10):
        records.commit([Change(NET, None, binding(last)) for last in range(first, first + 10)])
    assert "too large" in unavailable(lambda: records.read(NET))
    with pytest.raises(RecordsError, match="more than 2000"):
        records._call("commit", wire.plain_changes([Change(NET, None, binding(1))] * 100))
    assert records.tables() == [NET]


def test_housekeeping_is_done_between_calls(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tidy(SunwFiles):
        def tend(self) -> None:
            (tmp_path / "tended").touch()
            raise RecordsError(Outcome.UNAVAILABLE, "not now")

    monkeypatch.setattr("storage.records.worker_process.TEND_S", 0.02)
    records = make(lambda: Tidy(tmp_path))
    wait_for((tmp_path / "tended").exists)
    assert records.tables() == []


def test_extras_that_a_datastore_lacks_are_empty(records: WorkerRecords) -> None:
    assert records.rescan() == (0, ())
    assert records.peers() == {}
