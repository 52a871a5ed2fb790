"""A server that slept while others went on and compacted the log: it claims nothing that it cannot know."""

import pytest

from storage.records import Change, Outcome
from storage.records.twinlog import TwinLog
from storage.records.twinlog_names import log_name
from tests.storage.records.conftest import Bind
from tests.storage.records.twinlog.conftest import (
    NET,
    FakeFiles,
    Make,
    Pair,
    bindings,
    compact_after,
    logs,
    once,
    try_to_add,
)


def compact(monkeypatch: pytest.MonkeyPatch, store: TwinLog, binding: Bind) -> None:
    """What a busy server does while another one sleeps: commit and compact until the old numbers are free again."""
    compact_after(monkeypatch, 2, 2)
    for last in range(100, 110):
        assert try_to_add(store, binding(last)) == [Outcome.STORED]


@pytest.mark.parametrize("taken", [False, True], ids=["untouched", "given to another"])
def test_a_sleeper_who_gets_a_reused_number_has_not_committed_by_that(
    monkeypatch: pytest.MonkeyPatch, share: FakeFiles, server: Make, pair: Pair, binding: Bind, taken: bool
) -> None:
    odd, even, view, _ = pair
    try_to_add(odd, binding(10))
    (row,) = bindings(odd)
    even.read(NET)

    def sleep() -> None:
        if taken:
            even.commit([Change(NET, row, row._replace(client_id=b"\1even"))])
        compact(monkeypatch, even, binding)
        assert log_name(3) not in logs(share)

    once(view, "link", sleep)
    (result,) = odd.commit([Change(NET, row, row._replace(client_id=b"\1odd"))])
    assert result.outcome is (Outcome.UNAVAILABLE if taken else Outcome.STORED)  # stored by a second try
    assert log_name(3) in logs(share)  # the number was free: the link itself succeeded
    rows = [set(bindings(store)) for store in (odd, even, server(share))]
    assert rows[0] == rows[1] == rows[2]
    (holder,) = (one.client_id for one in rows[0] if one.key == row.key)
    assert holder == (b"\1even" if taken else b"\1odd")
    assert try_to_add(odd, binding(11)) == [Outcome.STORED]
    assert set(bindings(odd)) == set(bindings(even))


def test_a_sleeper_whose_batch_was_compacted_meanwhile_has_committed(
    monkeypatch: pytest.MonkeyPatch, share: FakeFiles, pair: Pair, binding: Bind
) -> None:
    odd, even, view, _ = pair
    once(view, "link", lambda: compact(monkeypatch, even, binding), "after")
    assert try_to_add(odd, binding(10), binding(11)) == [Outcome.STORED] * 2
    assert set(bindings(odd)) == set(bindings(even))


def test_of_a_sleepers_batch_that_others_went_on_from_nobody_claims_to_know(
    monkeypatch: pytest.MonkeyPatch, pair: Pair, binding: Bind
) -> None:
    odd, even, view, _ = pair

    def sleep() -> None:
        mine = next(row for row in bindings(even) if row.address == binding(10).address)
        even.commit([Change(NET, mine, mine._replace(lease_s=5))])
        compact(monkeypatch, even, binding)

    once(view, "link", sleep, "after")
    assert try_to_add(odd, binding(10), binding(11)) == [Outcome.UNAVAILABLE, Outcome.STORED]


def test_the_void_batch_of_a_sleeper_misleads_no_other_sleeper(
    monkeypatch: pytest.MonkeyPatch, share: FakeFiles, server: Make, binding: Bind
) -> None:
    odd, even, third = (server(share.view(), name) for name in ("odd", "even", "third"))
    view = share.view()
    sleeper = server(view, "sleeper")
    odd.create(NET)
    third.tables()  # knows batch 1, and sleeps
    sleeper.tables()
    once(view, "link", lambda: compact(monkeypatch, even, binding))
    assert try_to_add(sleeper, binding(66)) == [Outcome.UNAVAILABLE]
    assert log_name(2) in logs(share)
    assert set(bindings(third)) == set(bindings(even))


def test_a_file_replaced_between_listing_and_reading_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, share: FakeFiles, server: Make, binding: Bind
) -> None:
    view = share.view()
    odd, even, sleeper, reader = (
        server(files, name)
        for files, name in ((share.view(), "odd"), (share.view(), "even"), (share.view(), "sleeper"), (view, "reader"))
    )
    odd.create(NET)
    sleeper.tables()
    reader.tables()
    try_to_add(even, binding(50))

    def replaced() -> None:
        compact(monkeypatch, even, binding)
        assert try_to_add(sleeper, binding(66)) == [Outcome.UNAVAILABLE]
        assert log_name(2) in logs(share)

    once(view, "names", replaced, "after")
    assert set(bindings(reader)) == set(bindings(even))
