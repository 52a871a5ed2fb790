"""What every datastore tells of changes since a version."""

import pytest

from storage.records import Outcome, RecordsError, ipv4_int
from tests.contract.conftest import Store
from tests.contract.rows import NET, add, binding, one


def test_read_since_tells_own_changes(store: Store) -> None:
    store.records.create(NET)
    start = store.records.read(NET)
    assert (start.rows, start.whole) == ((), True)
    first, second = add(store, NET, binding(10), binding(11))
    after = store.records.read(NET, start.version)
    assert (set(after.rows), after.gone, after.whole) == ({first, second}, (), False)
    assert store.records.read(NET, after.version) == (after.version, (), (), False, ())
    moved = one(store, NET, first, first._replace(address=ipv4_int("192.168.76.12"))).row
    one(store, NET, second, None)
    last = store.records.read(NET, after.version)
    assert (last.rows, set(last.gone), last.whole) == ((moved,), {first.key, second.key}, False)


def test_read_since_tells_a_hand_edit(store: Store) -> None:
    store.records.create(NET)
    first, second = add(store, NET, binding(10), binding(11))
    before = store.records.read(NET)
    edited = first._replace(comment="by hand")
    third = binding(12, signature=3)
    store.edit(NET, [edited, third])
    delta = store.records.read(NET, before.version)
    assert (set(delta.rows), delta.gone, delta.whole) == ({edited, third}, (second.key,), False)


def test_an_unknown_version_gets_the_whole_table(store: Store) -> None:
    store.records.create(NET)
    (row,) = add(store, NET, binding(10))
    assert store.records.read(NET, 10**9).whole
    assert store.records.read(NET, 10**9).rows == (row,)


def test_a_table_made_again_is_told_as_changes(store: Store) -> None:
    store.records.create(NET)
    (row,) = add(store, NET, binding(10))
    before = store.records.read(NET)
    store.records.drop(NET)
    with pytest.raises(RecordsError):
        store.records.read(NET, before.version)
    assert one(store, NET, row, None).outcome is Outcome.NOT_FOUND
    store.records.create(NET)
    assert store.records.read(NET, before.version).gone == (row.key,)
