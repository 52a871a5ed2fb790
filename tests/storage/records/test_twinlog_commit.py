"""Being first at a number: lost replies, sleepers, races, and every error that a share may answer with."""

import errno
import os

import pytest

from storage.records import (
    MANUAL,
    Binding,
    Change,
    Guest,
    Outcome,
    RecordsError,
    TabEntry,
    open_records,
    twinlog_commit,
    twinlog_turns,
)
from storage.records.files import READ_TRIES
from storage.records.twinlog_names import FOLDER, log_name
from storage.records.twinlog_text import decode_batch

NET = "192.168.76.0"


@pytest.fixture
def pair(share, server):
    """Two servers of one share, each through a view with hooks of its own."""
    views = share.view(), share.view()
    odd = server(views[0], "odd")
    odd.create(NET)
    return odd, server(views[1], "even"), *views


def once(view, verb, action, moment="before"):
    """Let `action` happen at the next such operation on the log."""

    def hook(name, *arguments):
        if name == verb and arguments[-1].startswith(FOLDER):
            setattr(view, moment, lambda *_: None)
            action()

    setattr(view, moment, hook)


def failing(number):
    def action():
        raise OSError(number, os.strerror(number))

    return action


def add(store, *rows):
    return [result.outcome for result in store.commit([Change(NET, None, row) for row in rows])]


def logs(share):
    return sorted(name for name in share.folders[FOLDER] if name.endswith(".log"))


def tmps(share):
    return [name for name in share.folders[FOLDER] if name.startswith("tmp.")]


@pytest.mark.parametrize("number", [errno.EEXIST, errno.ESTALE, errno.ENOENT])
def test_a_lost_reply_is_found_out(share, server, pair, binding, number):
    odd, even, view, _ = pair
    once(view, "link", failing(number), "after")
    if number == errno.ENOENT:  # the repetition finds the temporary file swept
        once(view, "link", lambda: (share.folders[FOLDER].pop(tmps(share)[0]), failing(number)()), "after")
    assert add(odd, binding(10), binding(11)) == [Outcome.STORED] * 2
    assert logs(share) == [log_name(1), log_name(2)]
    assert even.read(NET).rows == odd.read(NET).rows == server(share).read(NET).rows
    assert not tmps(share)


@pytest.mark.parametrize("number", [errno.EIO, errno.ETIMEDOUT])
@pytest.mark.parametrize("verb", ["link", "names", "sync"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_outcome_that_is_not_known_is_never_called_stored(share, pair, binding, number, verb, moment):
    odd, even, view, _ = pair
    once(view, verb, failing(number), moment)
    (outcome,) = add(odd, binding(10))
    assert outcome is Outcome.UNAVAILABLE
    landed = (verb, moment) != ("link", "before")
    assert len(odd.read(NET).rows) == len(even.read(NET).rows) == landed
    assert add(odd, binding(10)) == [Outcome.EXISTS if landed else Outcome.STORED]


def test_a_name_that_could_not_be_synced_is_believed_only_when_it_is(share, server, pair, binding):
    odd, _, view, _ = pair
    view.before = lambda verb, *_: failing(errno.EIO)() if verb == "sync" else None
    assert add(odd, binding(10)) == [Outcome.UNAVAILABLE]
    with pytest.raises(RecordsError):
        odd.read(NET)
    view.before = lambda *_: None
    assert len(odd.read(NET).rows) == 1
    left = share.crashed(names_survive=False, torn=lambda data: data)
    assert len(server(left).read(NET).rows) == 1


def test_an_error_that_passes_when_a_new_batch_is_opened_is_not_told(pair, binding):
    odd, even, view, _ = pair
    add(even, binding(10))
    once(view, "read", failing(errno.EIO))
    assert len(odd.read(NET).rows) == 1
    add(even, binding(11))
    once(view, "read", failing(errno.EIO))  # as the loser of a race
    assert add(odd, binding(11), binding(12)) == [Outcome.EXISTS, Outcome.STORED]


def test_an_error_that_lasts_is_told_after_a_few_tries(pair, binding):
    odd, even, view, _ = pair
    add(even, binding(10))
    calls = []

    def broken(verb, *_):
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
def test_what_cannot_be_written_changes_nothing(share, pair, binding, number, outcome):
    odd, even, view, _ = pair
    before = odd.read(NET)
    once(view, "write", failing(number))
    result = odd.commit([Change(NET, None, binding(10)), Change(NET, None, binding(10))])
    assert [one.outcome for one in result] == [outcome, Outcome.EXISTS]
    assert "\n" not in result[0].detail
    assert odd.read(NET, before.version) == (before.version, (), (), False, ())
    assert even.read(NET).rows == ()
    assert add(odd, binding(10)) == [Outcome.STORED]


def test_a_swept_temporary_file_is_written_again(share, pair, binding):
    odd, even, view, _ = pair
    once(view, "link", lambda: share.folders[FOLDER].pop(tmps(share)[0]))
    assert add(odd, binding(10)) == [Outcome.STORED]
    assert len(even.read(NET).rows) == 1


def test_the_loser_of_a_race_drops_what_collides_and_keeps_the_rest(share, pair, binding):
    odd, even, view, _ = pair
    add(odd, binding(10), binding(11))
    first, second = odd.read(NET).rows
    even.read(NET)
    once(view, "link", lambda: even.commit([Change(NET, first, first._replace(lease_s=7))]))
    results = odd.commit([Change(NET, one, one._replace(lease_s=8)) for one in (first, second)])
    assert [one.outcome for one in results] == [Outcome.COLLISION, Outcome.STORED]
    assert {row.lease_s for row in even.read(NET).rows} == {7, 8}
    assert odd.read(NET).rows == even.read(NET).rows
    assert not tmps(share)


def test_a_batch_beaten_by_strangers_is_not_written_again(share, pair, binding):
    odd, even, view, _ = pair
    writes = []
    once(view, "link", lambda: add(even, binding(20), binding(21)))
    view.after = lambda verb, *rest: writes.append(rest) if verb == "write" else None
    assert add(odd, binding(10)) == [Outcome.STORED]
    assert len(writes) == 1
    assert {row.address & 255 for row in even.read(NET).rows} == {10, 20, 21}


def test_who_always_loses_is_busy_in_the_end(monkeypatch, pair, binding):
    monkeypatch.setattr(twinlog_commit, "ATTEMPTS_MAX", 3)
    odd, even, view, _ = pair
    addresses = iter(range(50, 200))

    def beaten(verb, *_):
        if verb == "link":
            add(even, binding(next(addresses)))

    view.before = beaten
    assert add(odd, binding(10)) == [Outcome.BUSY]
    view.before = lambda *_: None
    assert add(odd, binding(10)) == [Outcome.STORED]


def compacting(monkeypatch, store, binding):
    """What a busy server does while another one sleeps: commit and compact until the old numbers are free again."""
    monkeypatch.setattr(twinlog_turns, "BATCHES_MIN", 2)
    monkeypatch.setattr(twinlog_turns, "BATCHES_MAX", 2)
    for last in range(100, 110):
        assert add(store, binding(last)) == [Outcome.STORED]


@pytest.mark.parametrize("taken", [False, True], ids=["untouched", "given to another"])
def test_a_sleeper_who_gets_a_reused_number_has_not_committed_by_that(monkeypatch, share, server, pair, binding, taken):
    odd, even, view, _ = pair
    add(odd, binding(10))
    (row,) = odd.read(NET).rows
    even.read(NET)

    def sleep():
        if taken:
            even.commit([Change(NET, row, row._replace(client_id=b"\1even"))])
        compacting(monkeypatch, even, binding)
        assert log_name(3) not in logs(share)

    once(view, "link", sleep)
    (result,) = odd.commit([Change(NET, row, row._replace(client_id=b"\1odd"))])
    assert result.outcome is (Outcome.UNAVAILABLE if taken else Outcome.STORED)  # stored by a second try
    assert log_name(3) in logs(share)  # the number was free: the link itself succeeded
    rows = [set(store.read(NET).rows) for store in (odd, even, server(share))]
    assert rows[0] == rows[1] == rows[2]
    (holder,) = (one.client_id for one in rows[0] if one.key == row.key)
    assert holder == (b"\1even" if taken else b"\1odd")
    assert add(odd, binding(11)) == [Outcome.STORED]
    assert set(odd.read(NET).rows) == set(even.read(NET).rows)


def test_a_sleeper_whose_batch_was_compacted_meanwhile_has_committed(monkeypatch, share, pair, binding):
    odd, even, view, _ = pair
    once(view, "link", lambda: compacting(monkeypatch, even, binding), "after")
    assert add(odd, binding(10), binding(11)) == [Outcome.STORED] * 2
    assert set(odd.read(NET).rows) == set(even.read(NET).rows)


def test_of_a_sleepers_batch_that_others_went_on_from_nobody_claims_to_know(monkeypatch, pair, binding):
    odd, even, view, _ = pair

    def sleep():
        mine = next(row for row in even.read(NET).rows if row.address == binding(10).address)
        even.commit([Change(NET, mine, mine._replace(lease_s=5))])
        compacting(monkeypatch, even, binding)

    once(view, "link", sleep, "after")
    assert add(odd, binding(10), binding(11)) == [Outcome.UNAVAILABLE, Outcome.STORED]


def test_the_void_batch_of_a_sleeper_misleads_no_other_sleeper(monkeypatch, share, server, binding):
    odd, even, third = (server(share.view(), name) for name in ("odd", "even", "third"))
    view = share.view()
    sleeper = server(view, "sleeper")
    odd.create(NET)
    third.tables()  # knows batch 1, and sleeps
    sleeper.tables()
    once(view, "link", lambda: compacting(monkeypatch, even, binding))
    assert add(sleeper, binding(66)) == [Outcome.UNAVAILABLE]
    assert log_name(2) in logs(share)
    assert set(third.read(NET).rows) == set(even.read(NET).rows)


def test_a_file_replaced_between_listing_and_reading_is_not_believed(monkeypatch, share, server, binding):
    view = share.view()
    odd, even, sleeper, reader = (
        server(files, name)
        for files, name in ((share.view(), "odd"), (share.view(), "even"), (share.view(), "sleeper"), (view, "reader"))
    )
    odd.create(NET)
    sleeper.tables()
    reader.tables()
    add(even, binding(50))

    def replaced():
        compacting(monkeypatch, even, binding)
        assert add(sleeper, binding(66)) == [Outcome.UNAVAILABLE]
        assert log_name(2) in logs(share)

    once(view, "names", replaced, "after")
    assert set(reader.read(NET).rows) == set(even.read(NET).rows)


def test_a_commit_over_several_tables_is_one_batch(share, pair, binding):
    odd, even, _, _ = pair
    odd.create("dhcptab")
    odd.commit([Change(NET, None, binding(10)), Change("dhcptab", None, TabEntry("m", "m", 0, ":x:"))])
    batch = decode_batch(share.read(f"{FOLDER}/{log_name(3)}"))
    assert [(table, len(entries)) for table, entries in batch.tables] == [(NET, 1), ("dhcptab", 1)]
    assert even.tables() == ["192.168.76.0", "dhcptab"]


def test_of_two_who_make_one_table_one_is_told_that_it_exists(share, server, binding):
    odd, even = share.view(), share.view()
    first, second = server(odd, "odd"), server(even, "even")
    once(odd, "link", lambda: second.create(NET))
    with pytest.raises(RecordsError) as caught:
        first.create(NET)
    assert caught.value.outcome is Outcome.EXISTS
    assert first.tables() == [NET]


def test_a_refusal_is_checked_against_the_latest_batches(pair, binding):
    odd, even, _, _ = pair
    add(even, binding(10))
    (row,) = even.read(NET).rows
    (result,) = odd.commit([Change(NET, row, row._replace(lease_s=4))])  # odd has not looked since
    assert result.outcome is Outcome.STORED


def test_a_share_that_is_gone_is_named(share, pair, binding):
    odd, _, view, _ = pair

    def gone(*_):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    view.before = gone
    assert add(odd, binding(10)) == [Outcome.UNAVAILABLE]
    with pytest.raises(RecordsError, match="mount the share"):
        odd.read(NET)
    view.before = lambda *_: None
    assert add(odd, binding(10)) == [Outcome.STORED]


def test_who_has_just_committed_lets_the_loser_go_first(share, pair, binding):
    """Even has its batch written when odd is first, and then odd again: it would be, but it sees what waits."""
    odd, even, view, _ = pair
    order = []

    def both(*_):
        view.before = lambda *_: None
        add(odd, binding(10))  # even's batch is in the folder, and has lost its number
        order.append(("odd waits", odd._log.turns.gives_way))

    once(pair[3], "link", both)
    assert add(even, binding(11)) == [Outcome.STORED]
    assert order == [("odd waits", True)]
    slept = len(odd._clock.slept)
    assert add(odd, binding(12)) == [Outcome.STORED]
    assert len(odd._clock.slept) == slept  # even has had its turn
    assert not odd._log.turns.gives_way


def test_who_let_others_go_first_while_the_log_was_compacted_has_missed_nothing(monkeypatch, share, pair, binding):
    odd, even, view, _ = pair
    monkeypatch.setattr(twinlog_turns, "BATCHES_MIN", 2)
    monkeypatch.setattr(twinlog_turns, "BATCHES_MAX", 2)
    share.folders[FOLDER]["tmp.third.0badcafe.1"] = share.folders[FOLDER][log_name(1)]
    add(odd, binding(10))
    assert odd._log.turns.gives_way
    once(view, "names", lambda: [add(even, binding(last)) for last in range(20, 40)])
    odd._log._looked_s = odd._clock.now()  # it has just looked
    assert add(odd, binding(11)) == [Outcome.STORED]
    assert len(odd.read(NET).rows) == 22


def test_nobody_waits_for_long_for_a_batch_that_a_crash_has_left(share, pair, binding):
    odd, _, _, _ = pair
    share.folders[FOLDER]["tmp.third.0badcafe.1"] = share.folders[FOLDER][log_name(1)]
    for last in range(20):
        assert add(odd, binding(last)) == [Outcome.STORED]
    assert 0 < sum(odd._clock.slept) <= 3 * twinlog_turns.GIVE_WAY_MAX_S


def test_a_guest_and_its_bindings_are_one_batch(tmp_path):
    store = open_records("twinlog", tmp_path)
    for table in ("guests", "10.0.0.0"):
        store.create(table)
    before = len(list((tmp_path / FOLDER).glob("*.log")))
    guest = Guest("a:b", "defined", "m/o@1", "pv", "odd", 1024, 1, "hv1", "u", 0, "me@odd", 0, "fe0", "")
    row = Binding(0x0A000001, b"\1\0\0\0\0\0\1", MANUAL, 1, 0, 0, "m", "vm-host1")
    results = store.commit([Change("guests", None, guest), Change("10.0.0.0", None, row)])
    assert [result.outcome for result in results] == [Outcome.STORED] * 2
    assert len(list((tmp_path / FOLDER).glob("*.log"))) == before + 1
