"""Torn, missing and strange batches and snapshots: what is skipped, kept, named or refused."""

import errno
import os

import pytest

from storage.records import Change, Outcome, RecordsError
from storage.records.twinlog import TwinLog
from storage.records.twinlog_names import FOLDER, log_name
from storage.records.twinlog_text import Head, encode_batch
from tests.storage.records.conftest import Bind
from tests.storage.records.twinlog.conftest import NET, FakeFiles, Make, add, bindings


def test_a_torn_batch_is_skipped_kept_and_named(share: FakeFiles, server: Make, odd: TwinLog, binding: Bind) -> None:
    add(odd, binding(10))
    add(odd, binding(11))
    share.spoil(log_name(2))
    again = server(share)
    delta = again.read(NET)
    assert [row.key for row in delta.rows] == [binding(11).key]
    ((table, _, text, reason),) = delta.faults
    assert (table, text) == (NET, f"{FOLDER}/{log_name(2)}")
    assert "torn" in reason
    add(again, binding(12))
    assert log_name(2) in share.folders[FOLDER]
    assert log_name(4) in share.folders[FOLDER]


def test_a_torn_last_batch_keeps_its_number(share: FakeFiles, server: Make, odd: TwinLog, binding: Bind) -> None:
    add(odd, binding(10))
    share.spoil(log_name(2))
    again = server(share)
    add(again, binding(10))
    assert log_name(3) in share.folders[FOLDER]


def test_damaged_batches_outlive_compaction_under_another_name(
    compacting: None, share: FakeFiles, server: Make, odd: TwinLog, binding: Bind
) -> None:
    add(odd, binding(10))
    share.put_log(log_name(3), bytes(100))
    for last in range(20, 30):
        add(odd, binding(last))
    names = share.folders[FOLDER]
    assert f"{log_name(3)}.damaged" in names
    assert log_name(3) not in names
    assert len(bindings(server(share))) == 11
    assert not server(share).read(NET).faults


def test_a_damaged_snapshot_costs_nothing(
    compacting: None, share: FakeFiles, server: Make, odd: TwinLog, binding: Bind
) -> None:
    for last in range(20, 31):
        add(odd, binding(last))
    newest = max(name for name in share.folders[FOLDER] if name.endswith(".snap"))
    share.spoil(newest)
    again = server(share)
    assert set(bindings(again)) == set(bindings(odd))
    assert newest in again.read(NET).faults[0].text
    for last in range(40, 50):
        add(again, binding(last))
    assert f"{newest}.damaged" in share.folders[FOLDER]
    assert len(bindings(server(share))) == 21


def test_a_missing_batch_is_closed_so_that_nobody_gets_its_number(
    share: FakeFiles, server: Make, odd: TwinLog, binding: Bind
) -> None:
    for last in (10, 11, 12):
        add(odd, binding(last))
    share.remove(f"{FOLDER}/{log_name(3)}")
    again = server(share)
    assert [row.address & 255 for row in bindings(again)] == [10, 12]
    assert log_name(3) in share.folders[FOLDER]
    assert "was missing" in again.read(NET).faults[0].reason
    add(again, binding(13))
    assert log_name(5) in share.folders[FOLDER]


def test_a_log_without_beginning_is_refused(
    compacting: None, share: FakeFiles, server: Make, odd: TwinLog, binding: Bind
) -> None:
    for last in range(20, 31):
        add(odd, binding(last))
    for name in list(share.folders[FOLDER]):
        if name.endswith(".snap"):
            share.spoil(name)
    with pytest.raises(RecordsError, match="twinboot store check") as caught:
        server(share)
    assert caught.value.outcome is Outcome.UNAVAILABLE


def test_a_log_without_its_first_batch_is_refused(share: FakeFiles, server: Make, odd: TwinLog, binding: Bind) -> None:
    add(odd, binding(10))
    share.remove(f"{FOLDER}/{log_name(1)}")
    with pytest.raises(RecordsError, match="twinboot store check"):
        server(share)


def test_what_a_newer_version_wrote_stops_this_one(share: FakeFiles, odd: TwinLog, binding: Bind) -> None:
    text = encode_batch(Head("new.1.1", 1.0), b"[futures]\n+ x|y\n")
    share.put_log(log_name(2), text)
    with pytest.raises(RecordsError, match="update this server"):
        odd.read(NET)
    (result,) = odd.commit([Change(NET, None, binding(10))])
    assert result.outcome is Outcome.UNAVAILABLE


def test_a_share_put_back_to_an_earlier_state_is_believed(
    share: FakeFiles, server: Make, odd: TwinLog, binding: Bind
) -> None:
    add(odd, binding(10))
    before = odd.read(NET)
    share.remove(f"{FOLDER}/{log_name(2)}")
    delta = odd.read(NET, before.version)
    assert delta.gone == (binding(10).key,)
    add(odd, binding(11))
    assert set(bindings(server(share))) == set(bindings(odd))


def test_a_full_disk_during_compaction_is_told_and_mended(
    compacting: None, share: FakeFiles, odd: TwinLog, binding: Bind
) -> None:
    def full(verb: str, name: str, *_: object) -> None:
        if verb == "sync-data" and not name.endswith((".2", ".4", ".5")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    share.before = full
    for last in range(5):
        odd.commit([Change(NET, None, binding(last))])
        if odd.read(NET).faults:
            break
    assert "free some space" in odd.read(NET).faults[-1].reason
    share.before = lambda *_: None
    for last in range(20, 26):
        add(odd, binding(last))
    assert not odd.read(NET).faults
