import os
import time
from pathlib import Path

import pytest

from storage.records import Binding, Change, Outcome, RecordsError, SunwFiles, container, descriptors
from storage.records.container import Container, Stamp
from tests.storage.records.conftest import Bind

NET = "192.168.76.0"


@pytest.fixture
def held(network_file: Path):
    return Container(str(network_file.parent), NET)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch):
    """Counts reads of contents."""
    counted = []
    real = Container._contents

    def contents(self, fd, size):
        counted.append(size)
        return real(self, fd, size)

    monkeypatch.setattr(Container, "_contents", contents)
    return counted


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """A clock moved by hand: add to `clock[0]`."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_an_unchanged_file_is_read_again_until_its_stamp_has_aged(held, reads, clock):
    held.delta(0)
    held.delta(0)
    assert len(reads) == 2
    clock[0] += container.WHOLE_SECOND_TICK_S
    held.delta(0)
    assert len(reads) == 3
    held.delta(0)
    assert len(reads) == 3


def test_a_write_that_left_the_stamp_as_it_was_is_seen(held, network_file: Path, clock) -> None:
    version = held.delta(0).version
    status = network_file.stat()
    with network_file.open("r+b") as file:
        file.write(network_file.read_bytes().replace(b"|pxe1|\n", b"|pxe2|\n"))
    os.utime(network_file, ns=(status.st_atime_ns, status.st_mtime_ns))
    held._stamp = Stamp.of(network_file.stat())  # as if the clock of ctime had not ticked either
    assert {row.macro for row in held.delta(version).rows} == {"pxe2"}


def test_stamps_in_whole_seconds_are_distrusted_for_longer():
    assert Stamp(1, 2, 3, 5_000_000_000, 0).tick_s == container.WHOLE_SECOND_TICK_S
    assert Stamp(1, 2, 3, 5_000_000_001, 0).tick_s == container.TICK_S


def test_a_stale_handle_is_opened_anew(held, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failures = os.fstat, [116]

    def fstat(fd):
        if failures:
            raise OSError(failures.pop(), "Stale file handle")
        return real(fd)

    monkeypatch.setattr(os, "fstat", fstat)
    assert len(held.delta(0).rows) == 4


def test_an_immense_file_is_refused_again_and_again(held, monkeypatch: pytest.MonkeyPatch, clock) -> None:
    held.delta(0)
    monkeypatch.setattr(container, "CONTAINER_MAX_BYTES", 10)
    for _ in range(3):
        with pytest.raises(RecordsError, match="more than 10") as caught:
            held.delta(0)
        assert caught.value.outcome is Outcome.UNAVAILABLE
        clock[0] += 10


def test_a_file_made_unreadable_is_an_error_until_it_is_mended(held, network_file: Path, clock) -> None:
    good = network_file.read_bytes()
    version = held.delta(0).version
    network_file.write_bytes(b"# something else\n")
    for _ in range(3):
        with pytest.raises(RecordsError, match="first line"):
            held.delta(version)
        clock[0] += 10
    network_file.write_bytes(good)
    assert held.delta(version).rows == ()


def test_our_own_write_needs_no_parsing(records: SunwFiles, binding: Bind, monkeypatch: pytest.MonkeyPatch) -> None:
    version = records.read(NET).version
    monkeypatch.setattr(container, "read_image", None)
    records.commit([Change(NET, None, binding(20))])
    assert [row.key for row in records.read(NET, version).rows] == [binding(20).key]


def test_our_own_write_is_believed_for_a_tick_and_then_read_once(
    records: SunwFiles, binding: Bind, reads, clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "generation", lambda fd: os.fstat(fd).st_ino)
    records.read(NET)
    records.commit([Change(NET, None, binding(20))])
    before = len(reads)
    records.read(NET)
    records.commit([Change(NET, None, binding(21))])
    assert len(reads) == before
    for _ in range(3):
        clock[0] += container.WHOLE_SECOND_TICK_S
        records.read(NET)
    assert len(reads) == before + 1


def test_a_file_put_in_place_of_our_own_is_seen_within_the_tick(
    records: SunwFiles, network_file: Path, binding: Bind, clock
) -> None:
    version = records.read(NET).version
    records.commit([Change(NET, None, binding(20))])
    ours = network_file.stat()
    other = network_file.with_name("other")
    other.write_bytes(network_file.read_bytes().replace(b"|pxe1|\n", b"|pxe2|\n"))
    os.utime(other, ns=(ours.st_atime_ns, ours.st_mtime_ns))
    other.rename(network_file)
    assert "pxe2" in {row.macro for row in records.read(NET, version).rows if isinstance(row, Binding)}


def test_where_no_generation_is_told_our_own_write_is_read_again(
    records: SunwFiles, binding: Bind, reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "generation", lambda _: 0)
    records.commit([Change(NET, None, binding(20))])
    before = len(reads)
    records.read(NET)
    assert len(reads) == before + 1
