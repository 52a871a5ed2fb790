"""Commits in a thread: when each side goes on, and how it ends."""

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from dhcp.beside import Beside
from storage.records import Change, MemoryRecords, Outcome, Result
from tests.dhcp.conftest import ANSWER_TIMEOUT_S, NETWORK, make_binding

CHANGES = [Change(NETWORK, None, make_binding("127.0.0.9"))]


class Disk(MemoryRecords):
    """A datastore whose commits wait until the test lets them go on."""

    def __init__(self) -> None:
        super().__init__()
        self.load(NETWORK, [])
        self.spins = threading.Event()
        self.bug: Exception | None = None
        self.threads: list[str] = []

    def commit(self, changes: Sequence[Change], waits: Callable[[], None] = lambda: None) -> list[Result]:
        self.threads.append(threading.current_thread().name)
        waits()
        assert self.spins.wait(ANSWER_TIMEOUT_S)
        if self.bug is not None:
            raise self.bug
        return super().commit(changes, waits)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def woken() -> threading.Semaphore:
    return threading.Semaphore(0)


@pytest.fixture
def commits(disk: Disk, woken: threading.Semaphore) -> Iterator[Beside]:
    made = Beside(disk, woken.release)
    yield made
    disk.spins.set()
    made.close()
    assert not made._thread.is_alive()


def test_the_loop_goes_on_while_the_disk_works(commits: Beside, disk: Disk, woken: threading.Semaphore) -> None:
    commits.begin(CHANGES)
    assert commits.ended() is None
    assert not woken.acquire(blocking=False)
    disk.spins.set()
    assert woken.acquire(timeout=ANSWER_TIMEOUT_S)
    assert [result.outcome for result in commits.ended() or ()] == [Outcome.STORED]
    assert disk.threads == ["commits"]


def test_one_who_waits_gets_the_results(commits: Beside, disk: Disk) -> None:
    for outcome in (Outcome.STORED, Outcome.EXISTS):
        commits.begin(CHANGES)
        disk.spins.set()
        commits.wait()
        assert [result.outcome for result in commits.ended() or ()] == [outcome]


def test_a_datastore_that_does_not_say_when_it_waits_is_done_when_begin_returns(woken: threading.Semaphore) -> None:
    class Curt(MemoryRecords):
        def commit(self, changes: Sequence[Change], waits: Callable[[], None] = lambda: None) -> list[Result]:
            return super().commit(changes)

    records = Curt()
    records.load(NETWORK, [])
    commits = Beside(records, woken.release)
    commits.begin(CHANGES)
    assert [result.outcome for result in commits.ended() or ()] == [Outcome.STORED]
    commits.close()


def test_a_bug_in_a_commit_is_raised_in_the_loop(commits: Beside, disk: Disk) -> None:
    disk.bug = ZeroDivisionError("a bug")
    commits.begin(CHANGES)
    disk.spins.set()
    commits.wait()
    with pytest.raises(ZeroDivisionError, match="a bug"):
        commits.ended()
