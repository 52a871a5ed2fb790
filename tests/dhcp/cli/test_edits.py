"""A table beside others who write it: what is read, what is refused, and with which exit code."""

from collections.abc import Callable, Sequence

import pytest

from dhcp.cli.common import CommandError
from dhcp.cli.edits import Table
from storage.records import Change, MemoryRecords, Outcome, RecordsError, Result, TabEntry
from storage.records.port import nothing


@pytest.fixture
def records() -> MemoryRecords:
    store = MemoryRecords()
    store.load("dhcptab", [TabEntry("a", "m", 7, ":LeaseNeg:"), TabEntry("b", "m", 7, ":LeaseNeg:")])
    return store


def renamed(row: TabEntry) -> TabEntry:
    return row._replace(value=":MTU=1500:")


def test_what_others_write_is_seen(records: MemoryRecords) -> None:
    table = Table(records, "dhcptab", TabEntry)
    assert set(table.rows()) == {("a", "m"), ("b", "m")}
    a = table.rows()[("a", "m")]
    records.commit([Change("dhcptab", a, None), Change("dhcptab", None, TabEntry("c", "m", 0, ":"))])
    assert set(table.rows()) == {("b", "m"), ("c", "m")}


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(Outcome.BUSY, 3), (Outcome.FULL, 3), (Outcome.UNAVAILABLE, 3), (Outcome.INVALID, 3), (Outcome.DENIED, 4)],
)
def test_a_store_that_cannot_is_said_with_its_reason(
    records: MemoryRecords, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, code: int
) -> None:
    table = Table(records, "dhcptab", TabEntry)
    before = dict(table.rows())
    # one read, which must go well, comes before each commit
    real = records.commit

    def fail(changes: Sequence[Change], waits: Callable[[], None] = nothing) -> list[Result]:
        records.fail_next(outcome)
        return real(changes, waits)

    monkeypatch.setattr(records, "commit", fail)
    for call in (
        lambda: table.add(TabEntry("c", "m", 0, ":LeaseNeg:"), "exists"),
        lambda: table.change(("a", "m"), renamed, lambda row: row.value, "absent"),
        lambda: table.change(("a", "m"), lambda _: None, lambda row: row.value, "absent"),
    ):
        with pytest.raises(CommandError, match=outcome.value) as caught:
            call()
        assert int(caught.value.code) == code
    assert table.rows() == before


def test_a_row_that_goes_away_meanwhile_is_absent(records: MemoryRecords) -> None:
    table = Table(records, "dhcptab", TabEntry)

    def late(row: TabEntry) -> TabEntry:
        records.commit([Change("dhcptab", row, None)])
        return renamed(row)

    with pytest.raises(CommandError, match="absent") as caught:
        table.change(("a", "m"), late, lambda row: row.value, "absent")
    assert int(caught.value.code) == 2


def test_a_change_that_changes_nothing_writes_nothing(records: MemoryRecords) -> None:
    table = Table(records, "dhcptab", TabEntry)
    assert table.change(("a", "m"), lambda row: row, lambda row: row.value, "absent").signature == 7
    assert table.rows()[("a", "m")].signature == 7


def test_a_table_that_is_not_there_cannot_be_read(records: MemoryRecords) -> None:
    with pytest.raises(RecordsError, match="no such table"):
        Table(records, "10.0.0.0", TabEntry).rows()
