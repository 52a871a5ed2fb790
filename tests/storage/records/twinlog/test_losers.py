"""Two who want one number: what the loser of a race keeps, and who goes first."""

import pytest

from storage.records import Change, Outcome, twinlog_commit, twinlog_turns
from storage.records.twinlog_names import FOLDER, log_name
from tests.storage.records.conftest import Bind
from tests.storage.records.twinlog.conftest import (
    NET,
    FakeFiles,
    Pair,
    bindings,
    clock_of,
    compact_after,
    once,
    tmps,
    try_to_add,
)


def test_the_loser_of_a_race_drops_what_collides_and_keeps_the_rest(
    share: FakeFiles, pair: Pair, binding: Bind
) -> None:
    odd, even, view, _ = pair
    try_to_add(odd, binding(10), binding(11))
    first, second = bindings(odd)
    even.read(NET)
    once(view, "link", lambda: even.commit([Change(NET, first, first._replace(lease_s=7))]))
    results = odd.commit([Change(NET, one, one._replace(lease_s=8)) for one in (first, second)])
    assert [one.outcome for one in results] == [Outcome.COLLISION, Outcome.STORED]
    assert {row.lease_s for row in bindings(even)} == {7, 8}
    assert bindings(odd) == bindings(even)
    assert not tmps(share)


def test_a_batch_beaten_by_strangers_is_not_written_again(share: FakeFiles, pair: Pair, binding: Bind) -> None:
    odd, even, view, _ = pair
    writes = []
    once(view, "link", lambda: try_to_add(even, binding(20), binding(21)))
    view.after = lambda verb, *rest: writes.append(rest) if verb == "write" else None
    assert try_to_add(odd, binding(10)) == [Outcome.STORED]
    assert len(writes) == 1
    assert {row.address & 255 for row in bindings(even)} == {10, 20, 21}


def test_who_always_loses_is_busy_in_the_end(monkeypatch: pytest.MonkeyPatch, pair: Pair, binding: Bind) -> None:
    monkeypatch.setattr(twinlog_commit, "ATTEMPTS_MAX", 3)
    odd, even, view, _ = pair
    addresses = iter(range(50, 200))

    def beaten(verb: str, *_):
        if verb == "link":
            try_to_add(even, binding(next(addresses)))

    view.before = beaten
    assert try_to_add(odd, binding(10)) == [Outcome.BUSY]
    view.before = lambda *_: None
    assert try_to_add(odd, binding(10)) == [Outcome.STORED]


def test_who_has_just_committed_lets_the_loser_go_first(share: FakeFiles, pair: Pair, binding: Bind) -> None:
    """Even has its batch written when odd is first, and then odd again: it would be, but it sees what waits."""
    odd, even, view, _ = pair
    order = []

    def both(*_):
        view.before = lambda *_: None
        try_to_add(odd, binding(10))  # even's batch is in the folder, and has lost its number
        order.append(("odd waits", odd._log.turns.gives_way))

    once(pair[3], "link", both)
    assert try_to_add(even, binding(11)) == [Outcome.STORED]
    assert order == [("odd waits", True)]
    slept = len(clock_of(odd).slept)
    assert try_to_add(odd, binding(12)) == [Outcome.STORED]
    assert len(clock_of(odd).slept) == slept  # even has had its turn
    assert not odd._log.turns.gives_way


def test_who_let_others_go_first_while_the_log_was_compacted_has_missed_nothing(
    monkeypatch: pytest.MonkeyPatch, share: FakeFiles, pair: Pair, binding: Bind
) -> None:
    odd, even, view, _ = pair
    compact_after(monkeypatch, 2, 2)
    share.folders[FOLDER]["tmp.third.0badcafe.1"] = share.folders[FOLDER][log_name(1)]
    try_to_add(odd, binding(10))
    assert odd._log.turns.gives_way
    once(view, "names", lambda: [try_to_add(even, binding(last)) for last in range(20, 40)])
    odd._log._looked_s = clock_of(odd).now()  # it has just looked
    assert try_to_add(odd, binding(11)) == [Outcome.STORED]
    assert len(bindings(odd)) == 22


def test_nobody_waits_for_long_for_a_batch_that_a_crash_has_left(share: FakeFiles, pair: Pair, binding: Bind) -> None:
    odd, _, _, _ = pair
    share.folders[FOLDER]["tmp.third.0badcafe.1"] = share.folders[FOLDER][log_name(1)]
    for last in range(20):
        assert try_to_add(odd, binding(last)) == [Outcome.STORED]
    assert 0 < sum(clock_of(odd).slept) <= 3 * twinlog_turns.GIVE_WAY_MAX_S
