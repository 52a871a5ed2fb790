"""When a commit tells that it waits, it is about to become durable: nobody sees anything of it yet."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.records import Change, Outcome, Records, RecordsError, SunwFiles, open_records
from storage.records.worker import WorkerRecords
from tests.storage.records.conftest import Bind

NET = "192.168.76.0"
PATIENCE_S = 5.0


def ignore(_kind: str, **_fields: object) -> None:
    """Events are not looked at."""


@pytest.fixture(params=["SUNWfiles", "twinlog"])
def seen(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Records, Callable[[], int]]:
    """A store, and how many rows somebody finds who opens it now."""
    store = open_records(request.param, tmp_path)
    store.create(NET)
    return store, lambda: len(open_records(request.param, tmp_path).read(NET).rows)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerRecords]:
    SunwFiles(tmp_path).create(NET)
    made = WorkerRecords(lambda: SunwFiles(tmp_path), str(tmp_path), ignore)
    yield made
    made.close()


def test_nothing_can_be_seen_when_a_commit_waits(seen: tuple[Records, Callable[[], int]], binding: Bind) -> None:
    store, look = seen
    found: list[int] = []
    (result,) = store.commit([Change(NET, None, binding(1))], lambda: found.append(look()))
    assert result.outcome is Outcome.STORED
    assert set(found) == {0}
    assert look() == 1


def test_a_worker_is_at_work_when_its_commit_waits(worker: WorkerRecords, tmp_path: Path, binding: Bind) -> None:
    seen: list[int] = []

    def until_stored() -> None:
        give_up_at = time.monotonic() + PATIENCE_S
        while not (rows := SunwFiles(tmp_path).read(NET).rows) and time.monotonic() < give_up_at:
            time.sleep(0.005)
        seen.append(len(rows))

    (result,) = worker.commit([Change(NET, None, binding(1))], until_stored)
    assert (result.outcome, seen) == (Outcome.STORED, [1])


def test_a_commit_forks_no_worker(worker: WorkerRecords, binding: Bind) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    worker._pause_s = 60.0
    with pytest.raises(RecordsError):
        worker.read(NET)
    worker._restart_at = 0.0
    (result,) = worker.commit([Change(NET, None, binding(1))])
    assert (result.outcome, worker.pid) == (Outcome.UNAVAILABLE, 0)
    assert worker.read(NET).rows == ()
    assert worker.commit([Change(NET, None, binding(1))])[0].outcome is Outcome.STORED
