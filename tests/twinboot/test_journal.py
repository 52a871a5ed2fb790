from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest

from twinboot.events import Emitter, bind_socket
from twinboot.journal import (
    Journal,
    JournalError,
    Query,
    follow,
    newest_id,
    on_network_file_system,
    open_reader,
    read,
    write_forever,
)


def event(at: float, kind: str, **fields: object) -> dict:
    return {"at": at, "kind": kind, **fields}


@pytest.fixture
def journal(tmp_path: Path):
    opened = Journal(tmp_path / "journal.db")
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def test_events_come_back_in_order_with_all_fields(journal: Journal, path: Path) -> None:
    journal.store([event(1.0, "dhcp.ack", host="hv1", mac="m1", address="10.0.0.9", xid=7), event(2.0, "tftp.done")])
    assert read(open_reader(path), Query()) == [
        {"id": 1, "at": 1.0, "kind": "dhcp.ack", "host": "hv1", "mac": "m1", "address": "10.0.0.9", "xid": 7},
        {"id": 2, "at": 2.0, "kind": "tftp.done"},
    ]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (Query(host="hv1"), [1, 3]),
        (Query(mac="m2"), [2]),
        (Query(address="10.0.0.9"), [3]),
        (Query(kind="dhcp"), [1, 2]),
        (Query(kind="dhcp.ack"), [2]),
        (Query(kind="dhcp.a"), []),
        (Query(since=2.5), [3]),
        (Query(after_id=2), [3]),
        (Query(anyone=(("mac", "m2"), ("address", "10.0.0.9"))), [2, 3]),
        (Query(kind="d*"), []),
    ],
)
def test_queries(journal: Journal, path: Path, query: Query, ids: list[int]) -> None:
    journal.store(
        [
            event(1.0, "dhcp.discover", host="hv1", mac="m1"),
            event(2.0, "dhcp.ack", host="hv2", mac="m2"),
            event(3.0, "tftp.done", host="hv1", address="10.0.0.9"),
        ]
    )
    assert [found["id"] for found in read(open_reader(path), query)] == ids


def test_a_limit_keeps_the_newest(journal: Journal, path: Path) -> None:
    journal.store([event(float(n), "x") for n in range(10)])
    assert [found["at"] for found in read(open_reader(path), Query(), limit=3)] == [7.0, 8.0, 9.0]


def test_the_oldest_rows_go_when_there_are_too_many(path: Path) -> None:
    journal = Journal(path, rows_max=100)
    for start in range(0, 1000, 50):
        journal.store([event(float(n), "x") for n in range(start, start + 50)])
    rows = read(open_reader(path), Query())
    assert len(rows) <= 110
    assert rows[-1]["at"] == 999.0
    journal.close()


def test_a_corrupt_file_is_moved_aside_and_a_new_one_begun(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 100)
    journal = Journal(path)
    assert journal.moved_aside is not None
    assert journal.moved_aside.read_bytes().startswith(b"this is not")
    journal.store([event(1.0, "x")])
    assert len(read(open_reader(path), Query())) == 1
    journal.close()


def test_a_failed_batch_leaves_the_journal_usable(journal: Journal, path: Path) -> None:
    with pytest.raises(JournalError):
        journal.store([event(1.0, "x"), {"at": object(), "kind": "y"}])
    journal.store([event(2.0, "z")])
    assert [found["kind"] for found in read(open_reader(path), Query())] == ["z"]


def test_no_journal_says_what_to_start(path: Path) -> None:
    with pytest.raises(JournalError, match="twinboot serve"):
        open_reader(path)


def test_a_directory_that_is_missing_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="check the directory"):
        Journal(tmp_path / "none" / "journal.db")


def test_follow_yields_only_what_is_new(journal: Journal, path: Path) -> None:
    journal.store([event(1.0, "old")])
    rounds = itertools.count()

    def sleep(_: float) -> None:
        journal.store([event(2.0, f"new{next(rounds)}")])

    stream = follow(path, Query(after_id=newest_id(open_reader(path))), sleep)
    assert [next(stream)["kind"] for _ in range(3)] == ["new0", "new1", "new2"]


def test_what_was_emitted_is_stored_before_the_writer_stops(journal: Journal, path: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    with bind_socket(tmp_path / "events.sock") as receiver:
        writer = threading.Thread(target=write_forever, args=(receiver, journal, stop.is_set))
        writer.start()
        emit = Emitter(tmp_path / "events.sock", "dhcp")
        for number in range(300):
            emit("dhcp.ack", xid=number)
        emit.close()
        stop.set()
        writer.join(10)
    assert [found["xid"] for found in read(open_reader(path), Query())] == list(range(300))


def test_a_stranger_on_the_socket_is_counted(journal: Journal, path: Path, tmp_path: Path) -> None:
    with bind_socket(tmp_path / "events.sock") as receiver:
        with bind_socket(tmp_path / "other.sock") as stranger:
            stranger.sendto(b"\xff", str(tmp_path / "events.sock"))
        write_forever(receiver, journal, lambda: True)
    assert read(open_reader(path), Query())[0]["kind"] == "journal.dropped"


def test_a_network_file_system_is_recognised() -> None:
    mounts = "a / ext4 rw 0 0\nb /net/store nfs4 rw 0 0\nc /net/store/local ext4 rw 0 0\nd /a\\040b nfs rw 0 0\n"
    assert on_network_file_system(Path("/net/store/state"), mounts) == "nfs4"
    assert on_network_file_system(Path("/net/store/local/x"), mounts) == ""
    assert on_network_file_system(Path("/net/storeroom"), mounts) == ""
    assert on_network_file_system(Path("/a b"), mounts) == "nfs"
