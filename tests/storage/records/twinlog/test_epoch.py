"""What a twinlog knows of the share's clock: read off its own commits, or off a file made for the purpose."""

import math
import os
import time
from pathlib import Path

import pytest

from storage.records import Change, MemoryRecords, SunwFiles, TabEntry
from storage.records.files import LocalFiles, Stamp
from storage.records.twinlog import TwinLog, open_twinlog
from storage.records.twinlog_epoch import EVERY_S, OLD_S, WRITE_MAX_S, ShareClock
from storage.records.twinlog_names import FOLDER
from storage.records.worker import WorkerRecords

AHEAD_S = 3600.0
NEAR_S = 60.0  # the share's stamps go on while the test's clock stands


class Share(LocalFiles):
    """A share whose clock is an hour ahead, which counts how often it is asked."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.ahead_s = AHEAD_S
        self.looks = 0
        self.breaks: OSError | None = None

    def write(self, name, pieces, like=""):
        if self.breaks is not None:
            raise self.breaks
        super().write(name, pieces, like)

    def stat(self, name: str) -> Stamp:
        stamp = super().stat(name)
        if name == FOLDER:
            return stamp
        self.looks += 1
        return stamp._replace(mtime_ns=stamp.mtime_ns + int(self.ahead_s * 1e9))


class Clock:
    """A monotonic clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> float:
        return self.ahead_s

    def today(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        self.ahead_s += seconds


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return Share(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(share: Share, clock: Clock) -> TwinLog:
    made = TwinLog(share, server="odd", clock=clock, background=lambda job: job())
    assert made.epoch() is None
    made.create("dhcptab")
    return made


def ahead_s(log: TwinLog, clock: Clock) -> float:
    """How far the share's clock is seen to be ahead."""
    epoch = log.epoch()
    assert epoch is not None
    return epoch.unix_s + clock.now() - time.time()


def behind_s(log: TwinLog) -> float:
    """How much later than seen it may be on the share."""
    epoch = log.epoch()
    assert epoch is not None
    return epoch.behind_s


def store(log: TwinLog, name: str) -> None:
    log.commit([Change("dhcptab", None, TabEntry(name, "m", 1, ":LeaseTim=60:"))])


def test_a_commit_tells_what_time_it_is_on_the_share(log: TwinLog, clock: Clock, share: Share) -> None:
    assert ahead_s(log, clock) == pytest.approx(AHEAD_S, abs=NEAR_S)
    share.ahead_s = -AHEAD_S
    clock.ahead_s += EVERY_S
    store(log, "one")
    assert ahead_s(log, clock) == pytest.approx(-AHEAD_S, abs=NEAR_S)


def test_where_a_look_is_a_request_there_is_one_a_second(log: TwinLog, clock: Clock, share: Share) -> None:
    share.stat_is_current = False
    looks = share.looks
    for number in range(10):
        store(log, f"m{number}")
    assert share.looks <= looks + 1
    clock.ahead_s += EVERY_S
    store(log, "late")
    assert share.looks > looks


def test_who_is_stopped_before_the_look_at_the_stamp_does_not_take_it_for_a_new_one(share: Share) -> None:
    class Stopped(Clock):
        def now(self) -> float:
            self.ahead_s += AHEAD_S  # between any two looks at the clock
            return self.ahead_s

    share.ahead_s = 0.0
    share.write("file", [b""])
    clock = Stopped()
    seen = ShareClock(share, clock)
    seen.observe("file", began=AHEAD_S)
    epoch = seen.epoch
    assert epoch is not None
    assert epoch.unix_s + AHEAD_S <= time.time() <= epoch.unix_s + AHEAD_S + epoch.behind_s + NEAR_S


def test_a_write_that_took_long_tells_a_lower_bound_at_first_and_nothing_later(share: Share, clock: Clock) -> None:
    share.write("file", [b""])
    seen = ShareClock(share, clock)
    seen.observe("gone", clock.now())
    nothing = seen.epoch
    assert nothing is None
    seen.observe("file", clock.now() - WRITE_MAX_S - 0.1)
    first = seen.epoch
    assert first is not None
    assert first.behind_s == pytest.approx(WRITE_MAX_S + 0.1, abs=0.05)
    assert seen.is_old()  # there may be better
    seen.observe("file", clock.now() - 10 * WRITE_MAX_S)
    assert seen.epoch == first
    seen.observe("file", clock.now())
    first = seen.epoch
    assert first is not None
    assert first.behind_s == 0.0
    share.ahead_s = 0.0
    clock.ahead_s += EVERY_S
    seen.observe("file", clock.now() - WRITE_MAX_S - 0.1)
    assert seen.epoch == first
    assert not seen.is_old()


def test_one_that_starts_on_a_read_only_share_knows_how_late_it_is_at_the_least(
    log: TwinLog, share: Share, clock: Clock
) -> None:
    share.breaks = OSError(30, "Read-only file system")
    other = TwinLog(share, server="even", clock=clock, background=lambda job: job())
    assert ahead_s(other, clock) == pytest.approx(AHEAD_S, abs=NEAR_S)
    other.tend()
    assert behind_s(other) == math.inf
    share.breaks, share.ahead_s = None, 0.0
    clock.ahead_s += EVERY_S
    other.tend()  # tried again soon, and seen
    assert behind_s(other) == 0.0
    assert ahead_s(other, clock) == pytest.approx(0.0, abs=NEAR_S)


@pytest.mark.parametrize("look", ["tend", "rescan"])
def test_an_idle_server_makes_a_file_to_see_and_removes_it(look: str, log: TwinLog, clock: Clock, share: Share) -> None:
    share.ahead_s = 0.0
    getattr(log, look)()
    assert ahead_s(log, clock) == pytest.approx(AHEAD_S, abs=NEAR_S)  # it is young enough
    clock.ahead_s += OLD_S
    getattr(log, look)()
    assert ahead_s(log, clock) == pytest.approx(0.0, abs=NEAR_S)
    assert not [name for name in os.listdir(Path(share.location) / FOLDER) if name.startswith("tmp")]


def test_one_that_starts_learns_it_before_its_first_answer(log: TwinLog, share: Share, clock: Clock) -> None:
    other = TwinLog(share, server="even", clock=clock, background=lambda job: job())
    share.ahead_s = 2 * AHEAD_S
    other.rescan()
    assert ahead_s(other, clock) == pytest.approx(2 * AHEAD_S, abs=NEAR_S)


def test_a_full_share_changes_nothing_and_is_not_tried_all_the_time(log: TwinLog, clock: Clock, share: Share) -> None:
    before = log.epoch()
    share.breaks = OSError(28, "No space left on device")
    clock.ahead_s += OLD_S
    log.tend()
    assert log.epoch() == before
    share.breaks = None
    looks = share.looks
    log.tend()
    assert share.looks == looks
    clock.ahead_s += OLD_S
    log.tend()
    assert share.looks > looks


def test_stores_without_a_common_clock_say_so(tmp_path: Path) -> None:
    assert SunwFiles(tmp_path).epoch() is None
    assert MemoryRecords().epoch() is None


def test_it_comes_through_the_worker(tmp_path: Path) -> None:
    log = open_twinlog(tmp_path)
    log.create("dhcptab")
    worker = WorkerRecords(lambda: open_twinlog(tmp_path), str(tmp_path), lambda kind, **fields: None)
    try:
        worker.rescan()
        epoch = worker.epoch()
        assert epoch is not None
        assert epoch.behind_s == 0.0
        assert epoch.unix_s + time.monotonic() == pytest.approx(time.time(), abs=2.0)
    finally:
        worker.close()
