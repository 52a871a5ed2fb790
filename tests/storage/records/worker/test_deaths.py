"""A worker that died is buried and replaced; one that was closed is not."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from storage.records import Change, Delta, Outcome, RecordsError, Result, SunwFiles
from storage.records import worker as module
from storage.records import worker_link as link
from storage.records.port import nothing
from storage.records.worker import WorkerRecords
from storage.records.worker_health import State
from tests.processes import has_ended, wait_for
from tests.storage.records.conftest import Bind
from tests.storage.records.worker.conftest import NET, Gate, Make, Told, kill, recovered, unavailable


def test_a_killed_worker_is_replaced_and_tells_tables_as_a_whole(
    records: WorkerRecords, told: Told, binding: Bind
) -> None:
    (result,) = records.commit([Change(NET, None, binding(10))])
    version = records.read(NET).version
    assert not records.read(NET, version).whole
    old = kill(records)
    assert "was killed by SIGKILL" in unavailable(records.tables)
    assert records.health.state is State.RESTARTING
    recovered(records)
    assert records.pid != old
    delta = records.read(NET, version)
    assert (delta.whole, delta.rows) == (True, (result.row,))
    assert told.kinds() == ["records.hung", "records.back"]
    with pytest.raises(ChildProcessError):
        os.waitpid(old, os.WNOHANG)  # it has been buried


def test_one_that_lived_long_is_replaced_without_a_pause(
    records: WorkerRecords, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    monkeypatch.setattr(module, "STEADY_S", 0.0)
    kill(records)
    assert records.tables() == [NET]
    assert told.kinds() == ["records.hung", "records.back"]


def test_a_commit_during_which_it_dies_is_unavailable_row_by_row(
    make: Make, gate: Gate, tmp_path: Path, binding: Bind
) -> None:
    class Dies(SunwFiles):
        def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
            done = super().commit(changes)
            os.kill(os.getpid(), signal.SIGKILL)
            return done

    records = make(lambda: Dies(tmp_path))
    records.create(NET)
    before = records.read(NET)
    results = records.commit([Change(NET, None, binding(10)), Change(NET, None, binding(11))])
    assert [result.outcome for result in results] == [Outcome.UNAVAILABLE] * 2
    recovered(records)
    assert {row.key for row in records.read(NET, before.version).rows} == {binding(10).key, binding(11).key}


def test_the_pause_grows_while_workers_keep_dying(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_MAX_S", 0.4)
    records = make()
    pauses = []
    for _ in range(3):
        kill(records)
        unavailable(records.tables)
        pauses.append(records._restart_at - time.monotonic())
        records._restart_at = 0.0
        records.tables()
    assert pauses == sorted(pauses)
    assert pauses[2] > 3 * pauses[0]


def test_a_bug_in_the_datastore_costs_the_worker_and_not_the_daemon(
    make: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Buggy(SunwFiles):
        def read(self, table: str, since: int = 0) -> Delta:
            raise KeyError(table)

    records = make(lambda: Buggy(tmp_path))
    assert "failed with code 70" in unavailable(lambda: records.read(NET))
    assert "KeyError" in capfd.readouterr().err


def test_a_place_that_is_not_there_is_said_at_the_start_and_waited_for_later(
    make: Make, tmp_path: Path, told: Told
) -> None:
    place = tmp_path / "share"
    with pytest.raises(RecordsError, match="share"):
        make(lambda: SunwFiles(place))
    place.mkdir()
    records = make(lambda: SunwFiles(place))
    kill(records)
    place.rmdir()
    unavailable(records.tables)
    records._restart_at = 0.0
    with pytest.raises(RecordsError, match="mount the share"):
        records.tables()
    assert "mount the share" in records.health.reason
    place.mkdir()
    recovered(records)
    assert records.tables() == []


def test_a_closed_one_stays_closed(records: WorkerRecords) -> None:
    pid = records.pid
    records.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert "closed" in unavailable(records.tables)
    assert records.commit([Change(NET, None, None)])[0].outcome is Outcome.UNAVAILABLE
    records.close()


def test_closing_does_not_wait_for_a_hung_share(make: Make) -> None:
    records = make()
    pid = records.pid
    os.kill(pid, signal.SIGSTOP)
    records.close()
    wait_for(lambda: has_ended(pid))


def test_a_daemon_without_processes_to_spare_says_so(
    records: WorkerRecords, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    def refuse(opener: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    kill(records)
    unavailable(records.tables)
    records._restart_at = 0.0
    monkeypatch.setattr(link, "start", refuse)
    assert "no process can be started" in unavailable(records.tables)
    monkeypatch.undo()
    recovered(records)
