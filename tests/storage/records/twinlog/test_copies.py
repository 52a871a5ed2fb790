"""Copies in Sun's format beside the log, and edits made to them by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest

from storage.records import Binding, Change, Outcome, SunwFiles, open_records
from storage.records.twinlog import TwinLog
from storage.records.twinlog_names import FOLDER
from tests.storage.records.conftest import Bind
from tests.storage.records.twinlog.conftest import NET, FakeFiles, Make, add, bindings, clock_of

COPY = "SUNWfiles1_192_168_76_0"


def test_copies_are_containers_that_the_other_adapter_reads(tmp_path: Path, binding: Bind) -> None:
    store = open_records("twinlog", tmp_path)
    assert isinstance(store, TwinLog)
    store.create(NET)
    store.create("installs")
    rows = add(store, binding(10, comment="a|b"), binding(11))
    store.publish()
    copies = SunwFiles(tmp_path)
    assert copies.tables() == [NET, "installs"]
    assert set(bindings(copies)) == set(rows)
    assert not copies.read(NET).faults
    assert store.rescan() == (0, ())
    store.drop("installs")
    store.publish()
    assert copies.tables() == [NET]


def test_copies_follow_a_snapshot_and_a_quiet_time(
    compacting: None, share: FakeFiles, odd: TwinLog, binding: Bind
) -> None:
    add(odd, binding(11))
    assert COPY in share.folders[""]
    text = share.read(COPY)
    add(odd, binding(12))
    odd.tend()
    assert share.read(COPY) == text
    clock_of(odd).time += 60
    odd.tend()
    assert b"192.168.76.12|" in share.read(COPY)
    done: list[str] = []
    share.after = lambda verb, *_: done.append(verb)
    clock_of(odd).time += 60
    odd.tend()
    assert "rename" not in done


def edit(share: FakeFiles, change: Callable[[bytes], bytes]) -> None:
    share.put(COPY, change(share.read(COPY)))


@pytest.fixture
def published(share: FakeFiles, odd: TwinLog, binding: Bind) -> list[Binding]:
    rows = add(odd, binding(10), binding(11), binding(12))
    odd.publish()
    return rows


def test_an_edited_copy_is_taken_over_row_by_row(
    share: FakeFiles, server: Make, odd: TwinLog, published: list[Binding], binding: Bind
) -> None:
    kept, changed, removed = published
    even = server(share.view(), "even")

    def by_hand(text: bytes) -> bytes:
        lines = [line for line in text.splitlines(keepends=True) if not line.startswith(b"192.168.76.12|")]
        lines = [line[:-1] + b"by hand\n" if line.startswith(b"192.168.76.11|") else line for line in lines]
        return b"".join(lines) + b"192.168.76.13|00|00|192.168.76.1|0|1|pxe1|new\n"

    edit(share, by_hand)
    assert even.rescan() == (3, ())
    rows = {row.address & 255: row for row in bindings(odd)}
    assert rows.keys() == {10, 11, 13}
    assert rows[10] == kept
    assert rows[11] == changed._replace(comment="by hand", signature=changed.signature + 1)
    assert rows[13].comment == "new"
    assert even.rescan() == (0, ())  # published anew
    (late,) = odd.commit([Change(NET, removed, removed._replace(lease_s=1))])
    assert late.outcome is Outcome.NOT_FOUND


def test_what_both_sides_changed_stays_ours_and_is_reported(
    share: FakeFiles, odd: TwinLog, published: list[Binding]
) -> None:
    odd.commit([Change(NET, published[1], published[1]._replace(lease_s=99))])
    edit(share, lambda text: text.replace(b"|pxe1|", b"|hand|"))
    taken, (told,) = odd.rescan()
    assert taken == 2
    assert "192.168.76.11" in told
    rows = {row.address & 255: row for row in bindings(odd)}
    assert (rows[11].lease_s, rows[11].macro) == (99, "pxe1")
    assert rows[10].macro == "hand"
    assert any(name.startswith("edited.") for name in share.folders[FOLDER])
    assert odd.rescan() == (0, ())


def test_a_broken_edit_is_kept_and_named_and_removes_nothing(
    share: FakeFiles, odd: TwinLog, published: list[Binding]
) -> None:
    edit(share, lambda text: text.replace(b"192.168.76.11|00|", b"192.168.76.11|0|"))
    taken, (told,) = odd.rescan()
    assert (taken, len(bindings(odd))) == (0, 3)
    assert "line 7" in told
    assert "hexadecimal" in told


def test_what_is_no_container_is_reported_and_left_alone(
    share: FakeFiles, odd: TwinLog, published: list[Binding]
) -> None:
    share.put(COPY, b"")
    taken, (told,) = odd.rescan()
    assert taken == 0
    assert "first line" in told
    assert share.read(COPY) == b""
    assert len(bindings(odd)) == 3


def test_a_row_that_the_format_cannot_carry_is_refused_by_its_reason(
    share: FakeFiles, odd: TwinLog, published: list[Binding]
) -> None:
    edit(share, lambda text: text.replace(b"192.168.76.12|00|00", b"192.168.76.12|00|99"))
    taken, (told,) = odd.rescan()
    assert taken == 0
    assert "flags" in told


def test_containers_found_in_place_are_taken_over_as_a_whole(network_file: Path, binding: Bind) -> None:
    before = SunwFiles(network_file.parent)
    rows = {table: set(before.read(table).rows) for table in before.tables()}
    store = open_records("twinlog", network_file.parent)
    assert store.tables() == []
    taken, refused = store.rescan()
    assert taken == sum(map(len, rows.values()))
    assert not refused
    now = {table: {row._replace(signature=0) for row in store.read(table).rows} for table in store.tables()}
    assert now == {table: {row._replace(signature=0) for row in found} for table, found in rows.items()}
    assert store.rescan() == (0, ())


def test_an_edit_of_a_copy_too_old_to_compare_adds_new_rows_only(
    compacting: None, share: FakeFiles, odd: TwinLog, published: list[Binding]
) -> None:
    old = share.read(COPY)
    for _ in range(8):
        (row, *_) = bindings(odd)
        odd.commit([Change(NET, row, row._replace(lease_s=row.lease_s + 1))])
    share.put(COPY, old.replace(b"|pxe1|", b"|hand|") + b"192.168.76.77|00|00|192.168.76.1|0|1|pxe1|\n")
    taken, refused = odd.rescan()
    assert taken == 1
    assert "too long ago" in refused[0]
    assert not any(row.macro == "hand" for row in bindings(odd))


def test_copies_never_replace_a_newer_or_an_edited_one(
    share: FakeFiles, server: Make, odd: TwinLog, published: list[Binding], binding: Bind
) -> None:
    even = server(share.view(), "even")
    add(odd, binding(20))
    odd.publish()
    text = share.read(COPY)
    even._copies.publish(even._log.state.frozen(), "")  # even has not looked since
    assert share.read(COPY) == text
    edit(share, lambda data: data + b"# note\n")
    edited = share.read(COPY)
    odd.publish()
    assert share.read(COPY) == edited
