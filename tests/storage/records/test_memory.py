import pytest

from storage.records import Change, MemoryRecords, Outcome, RecordsError
from tests.storage.records.conftest import Bind

NET = "192.168.76.0"


def test_failures_come_as_asked_and_end(binding: Bind) -> None:
    records = MemoryRecords()
    records.create(NET)
    records.fail_next(Outcome.FULL)
    records.fail_next(Outcome.UNAVAILABLE)
    add = [Change(NET, None, binding(10))]
    assert [result.outcome for result in records.commit(add)] == [Outcome.FULL]
    with pytest.raises(RecordsError) as caught:
        records.read(NET)
    assert caught.value.outcome is Outcome.UNAVAILABLE
    assert records.read(NET).rows == ()
    assert [result.outcome for result in records.commit(add)] == [Outcome.STORED]


def test_generations_may_be_chosen(binding: Bind) -> None:
    records = MemoryRecords(generation=lambda: 5)
    records.create(NET)
    (result,) = records.commit([Change(NET, None, binding(10))])
    assert result.row is not None
    assert result.row.signature == 5 * 2**48 + 1
