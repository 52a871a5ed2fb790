"""A server that dies at any operation, its unsynced names lost or not, loses nothing and leaves nothing half done."""

import pytest

from storage.records import Change, Outcome, TabEntry
from storage.records.twinlog_names import FOLDER
from tests.storage.records.conftest import Bind
from tests.storage.records.twinlog.conftest import NET, FakeFiles, compact_after

TEARS = {
    "whole": lambda data: data,
    "torn": lambda data: data[: len(data) // 2],
    "zeroed": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "empty": lambda data: b"",
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch):
    compact_after(monkeypatch, 2, 3)


def contents(store):
    return {table: frozenset(store.read(table).rows) for table in store.tables()}


def steps(binding):
    """What a server does, each step one acknowledged whole."""
    yield lambda store: store.create(NET)
    yield lambda store: store.create("dhcptab")
    for count in range(6):
        batch = [Change("dhcptab", None, TabEntry(f"m{count}", "m", 0, ":x:"))]
        batch += [Change(NET, None, binding(10 + 2 * count + one)) for one in (0, 1)]
        yield lambda store, batch=batch: store.commit(batch)
    yield lambda store: store.commit(
        [Change(NET, row, None if row.address % 2 else row._replace(lease_s=9)) for row in store.read(NET).rows]
    )
    yield lambda store: store.drop("dhcptab")


def run(store, binding):
    """Contents after each acknowledged step, the last one perhaps not acknowledged."""
    told: list[dict[str, dict]] = [{}]
    for step in steps(binding):
        step(store)
        told.append(contents(store))
    return told


def crashing(share, crash, at):
    """Let the process die before the operation of that count; counts of all operations if there are fewer."""
    count = [0]

    def before(*_):
        count[0] += 1
        if count[0] == at:
            raise crash

    share.before = before
    return count


@pytest.mark.parametrize("names_survive", [True, False])
@pytest.mark.parametrize("tear", TEARS)
def test_nothing_acknowledged_is_lost_and_nothing_is_half_there(
    share: FakeFiles, server, binding: Bind, crash, tear, names_survive
) -> None:
    whole = run(server(share.view()), binding)
    fresh = type(share)
    count = crashing(counted := fresh(), crash, 0)
    store = server(counted)
    for step in steps(binding):
        step(store)
    for at in range(1, count[0] + 1):
        files = fresh()
        crashing(files, crash, at)
        acknowledged = 0
        with pytest.raises(crash):  # noqa: PT012 - how far it came is the point
            store = server(files)
            for step in steps(binding):
                step(store)
                acknowledged += 1
        found = files.crashed(names_survive=names_survive, torn=TEARS[tear])
        again = server(found)
        state = {table: {row._replace(signature=0) for row in rows} for table, rows in contents(again).items()}
        allowed = [
            {table: {row._replace(signature=0) for row in rows} for table, rows in told.items()}
            for told in whole[acknowledged : acknowledged + 2]
        ]
        assert state in allowed, f"died at operation {at}"
        if NET in again.tables():
            (result,) = again.commit([Change(NET, None, binding(200))])
            assert result.outcome is Outcome.STORED
            assert not again.read(NET).faults


def test_what_crashes_leave_is_swept_and_the_folder_stays_small(share: FakeFiles, server, binding: Bind) -> None:
    store = server(share)
    store.create(NET)
    share.folders[FOLDER]["tmp.old.0.1"] = share.folders[FOLDER]["000000000001.log"]
    for count in range(40):
        store.commit([Change(NET, None, binding(count))])
    assert len(share.folders[FOLDER]) < 12
    assert len(server(share).read(NET).rows) == 40
