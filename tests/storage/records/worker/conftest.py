"""Datastores in processes of their own, and how a test makes them hang."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from storage.records import Change, Delta, Outcome, RecordsError, Result, SunwFiles
from storage.records import worker as module
from storage.records.port import nothing
from storage.records.worker import WorkerRecords
from storage.records.worker_health import State
from storage.records.worker_process import Opener
from tests.processes import state_of, wait_for

NET = "192.168.76.0"
DEADLINE_S = 0.05

T = TypeVar("T")
Make = Callable[..., WorkerRecords]


class Told(list[tuple[str, dict[str, Any]]]):
    def __call__(self, kind: str, **fields: object) -> None:
        self.append((kind, fields))

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self]


@contextlib.contextmanager
def stopped(records: WorkerRecords) -> Iterator[None]:
    """The worker hangs as perfectly as in a share."""
    pid = records.pid
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state_of(pid) == "T")
    records.hurry()
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def kill(records: WorkerRecords) -> int:
    """End the worker; return its process id, which is not buried yet."""
    pid = records.pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: state_of(pid) == "Z")
    return pid


def recovered(records: WorkerRecords) -> None:
    """Ask until the share is back, as a daemon does with each batch."""

    def is_back() -> bool:
        records.tend()
        return records.health.state is State.OK

    wait_for(is_back)
    records._hurries = False  # so that a busy machine cannot make it hang again


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def make(tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Starts workers over an adapter of the test's (SUNWfiles by default), and ends them."""
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    made: list[WorkerRecords] = []

    def start(opener: Opener = lambda: SunwFiles(tmp_path), **options: float) -> WorkerRecords:
        options.setdefault("deadline_s", DEADLINE_S)
        made.append(WorkerRecords(opener, str(tmp_path), told, **options))
        return made[-1]

    yield start
    for records in made:
        records.close()


@pytest.fixture
def records(make: Make) -> WorkerRecords:
    records = make()
    records.create(NET)
    return records


def unavailable(call: Callable[[], object]) -> str:
    with pytest.raises(RecordsError) as caught:
        call()
    assert caught.value.outcome is Outcome.UNAVAILABLE
    assert "\n" not in str(caught.value)
    return str(caught.value)


def took_s(call: Callable[[], object]) -> float:
    began = time.monotonic()
    with contextlib.suppress(RecordsError):
        call()
    return time.monotonic() - began


class Slow(SunwFiles):
    """Hangs where it is told to, until a pipe is written to."""

    def __init__(self, path: Path, gate: "Gate", verbs: set[str], *, after: bool = False) -> None:
        self._gate, self._verbs, self._after = gate, verbs, after
        super().__init__(path)

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        return self._through("commit", lambda: super(Slow, self).commit(changes))

    def read(self, table: str, since: int = 0) -> Delta:
        return self._through("read", lambda: super(Slow, self).read(table, since))

    def _through(self, verb: str, call: Callable[[], T]) -> T:
        hangs = verb in self._verbs
        if hangs and not self._after:
            self._gate.wait()
        done = call()
        if hangs and self._after:
            self._gate.wait()
        return done


class Gate:
    """Made before the fork; a name in the file system, since a worker keeps no descriptor of its parent's."""

    def __init__(self, path: Path) -> None:
        self._path = path / ".gate"
        os.mkfifo(self._path)

    def wait(self) -> None:
        with open(self._path, "rb") as gate:
            gate.read()  # to the end, lest the next one finds the same writer

    def open(self) -> None:
        with open(self._path, "wb") as gate:
            gate.write(b"!")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)
