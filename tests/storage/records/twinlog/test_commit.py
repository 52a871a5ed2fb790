"""One commit is one batch: lost replies, and every error that a share may answer with."""

import errno
import os
from pathlib import Path

import pytest

from storage.records import MANUAL, Binding, Change, Guest, Outcome, RecordsError, TabEntry, open_records
from storage.records.files import READ_TRIES
from storage.records.twinlog_names import FOLDER, log_name
from storage.records.twinlog_text import decode_batch
from tests.storage.records.conftest import Bind
from tests.storage.records.twinlog.conftest import (
    NET,
    FakeFiles,
    Make,
    Pair,
    bindings,
    failing,
    logs,
    once,
    tmps,
    try_to_add,
)


@pytest.mark.parametrize("number", [errno.EEXIST, errno.ESTALE, errno.ENOENT])
def test_a_lost_reply_is_found_out(share: FakeFiles, server: Make, pair: Pair, binding: Bind, number: int) -> None:
    odd, even, view, _ = pair
    once(view, "link", failing(number), "after")
    if number == errno.ENOENT:  # the repetition finds the temporary file swept
        once(view, "link", lambda: (share.folders[FOLDER].pop(tmps(share)[0]), failing(number)()), "after")
    assert try_to_add(odd, binding(10), binding(11)) == [Outcome.STORED] * 2
    assert logs(share) == [log_name(1), log_name(2)]
    assert bindings(even) == bindings(odd) == bindings(server(share))
    assert not tmps(share)


@pytest.mark.parametrize("number", [errno.EIO, errno.ETIMEDOUT])
@pytest.mark.parametrize("verb", ["link", "names", "sync"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_outcome_that_is_not_known_is_never_called_stored(
    share: FakeFiles, pair: Pair, binding: Bind, number: int, verb: str, moment: str
) -> None:
    odd, even, view, _ = pair
    once(view, verb, failing(number), moment)
    (outcome,) = try_to_add(odd, binding(10))
    assert outcome is Outcome.UNAVAILABLE
    landed = (verb, moment) != ("link", "before")
    assert len(bindings(odd)) == len(bindings(even)) == landed
    assert try_to_add(odd, binding(10)) == [Outcome.EXISTS if landed else Outcome.STORED]


def test_a_name_that_could_not_be_synced_is_believed_only_when_it_is(
    share: FakeFiles, server: Make, pair: Pair, binding: Bind
) -> None:
    odd, _, view, _ = pair
    view.before = lambda verb, *_: failing(errno.EIO)() if verb == "sync" else None
    assert try_to_add(odd, binding(10)) == [Outcome.UNAVAILABLE]
    with pytest.raises(RecordsError):
        odd.read(NET)
    view.before = lambda *_: None
    assert len(bindings(odd)) == 1
    left = share.crashed(names_survive=False, torn=lambda data: data)
    assert len(server(left).read(NET).rows) == 1


def test_an_error_that_passes_when_a_new_batch_is_opened_is_not_told(pair: Pair, binding: Bind) -> None:
    odd, even, view, _ = pair
    try_to_add(even, binding(10))
    once(view, "read", failing(errno.EIO))
    assert len(bindings(odd)) == 1
    try_to_add(even, binding(11))
    once(view, "read", failing(errno.EIO))  # as the loser of a race
    assert try_to_add(odd, binding(11), binding(12)) == [Outcome.EXISTS, Outcome.STORED]


def test_an_error_that_lasts_is_told_after_a_few_tries(pair: Pair, binding: Bind) -> None:
    odd, even, view, _ = pair
    try_to_add(even, binding(10))
    calls = []

    def broken(verb: str, *_):
        if verb == "read":
            calls.append(verb)
            raise OSError(errno.EIO, "Input/output error")

    view.before = broken
    with pytest.raises(RecordsError, match="Input/output error"):
        odd.read(NET)
    assert len(calls) == READ_TRIES


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.ENOSPC, Outcome.FULL),
        (errno.EDQUOT, Outcome.FULL),
        (errno.EROFS, Outcome.DENIED),
        (errno.EACCES, Outcome.DENIED),
        (errno.EIO, Outcome.UNAVAILABLE),
        (errno.EBADF, Outcome.UNAVAILABLE),
    ],
)
def test_what_cannot_be_written_changes_nothing(
    share: FakeFiles, pair: Pair, binding: Bind, number: int, outcome: Outcome
) -> None:
    odd, even, view, _ = pair
    before = odd.read(NET)
    once(view, "write", failing(number))
    result = odd.commit([Change(NET, None, binding(10)), Change(NET, None, binding(10))])
    assert [one.outcome for one in result] == [outcome, Outcome.EXISTS]
    assert "\n" not in result[0].detail
    assert odd.read(NET, before.version) == (before.version, (), (), False, ())
    assert bindings(even) == []
    assert try_to_add(odd, binding(10)) == [Outcome.STORED]


def test_a_swept_temporary_file_is_written_again(share: FakeFiles, pair: Pair, binding: Bind) -> None:
    odd, even, view, _ = pair
    once(view, "link", lambda: share.folders[FOLDER].pop(tmps(share)[0]))
    assert try_to_add(odd, binding(10)) == [Outcome.STORED]
    assert len(bindings(even)) == 1


def test_a_commit_over_several_tables_is_one_batch(share: FakeFiles, pair: Pair, binding: Bind) -> None:
    odd, even, _, _ = pair
    odd.create("dhcptab")
    odd.commit([Change(NET, None, binding(10)), Change("dhcptab", None, TabEntry("m", "m", 0, ":x:"))])
    batch = decode_batch(share.read(f"{FOLDER}/{log_name(3)}"))
    assert [(table, len(entries)) for table, entries in batch.tables] == [(NET, 1), ("dhcptab", 1)]
    assert even.tables() == ["192.168.76.0", "dhcptab"]


def test_of_two_who_make_one_table_one_is_told_that_it_exists(share: FakeFiles, server: Make, binding: Bind) -> None:
    odd, even = share.view(), share.view()
    first, second = server(odd, "odd"), server(even, "even")
    once(odd, "link", lambda: second.create(NET))
    with pytest.raises(RecordsError) as caught:
        first.create(NET)
    assert caught.value.outcome is Outcome.EXISTS
    assert first.tables() == [NET]


def test_a_refusal_is_checked_against_the_latest_batches(pair: Pair, binding: Bind) -> None:
    odd, even, _, _ = pair
    try_to_add(even, binding(10))
    (row,) = bindings(even)
    (result,) = odd.commit([Change(NET, row, row._replace(lease_s=4))])  # odd has not looked since
    assert result.outcome is Outcome.STORED


def test_a_share_that_is_gone_is_named(share: FakeFiles, pair: Pair, binding: Bind) -> None:
    odd, _, view, _ = pair

    def gone(*_):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    view.before = gone
    assert try_to_add(odd, binding(10)) == [Outcome.UNAVAILABLE]
    with pytest.raises(RecordsError, match="mount the share"):
        odd.read(NET)
    view.before = lambda *_: None
    assert try_to_add(odd, binding(10)) == [Outcome.STORED]


def test_a_guest_and_its_bindings_are_one_batch(tmp_path: Path) -> None:
    store = open_records("twinlog", tmp_path)
    for table in ("guests", "10.0.0.0"):
        store.create(table)
    before = len(list((tmp_path / FOLDER).glob("*.log")))
    guest = Guest("a:b", "defined", "m/o@1", "pv", "odd", 1024, 1, "hv1", "u", 0, "me@odd", 0, "fe0", "")
    row = Binding(0x0A000001, b"\1\0\0\0\0\0\1", MANUAL, 1, 0, 0, "m", "vm-host1")
    results = store.commit([Change("guests", None, guest), Change("10.0.0.0", None, row)])
    assert [result.outcome for result in results] == [Outcome.STORED] * 2
    assert len(list((tmp_path / FOLDER).glob("*.log"))) == before + 1
