"""The copy of the datastore: follows changes, stays as it was while the store cannot be read, tells once."""

import pytest

from dhcp.mirror import FAULTS_TOLD_MAX, Mirror
from dhcp.networks import network
from dhcp.view import Offer
from storage.records import (
    Change,
    Delta,
    Fault,
    MemoryRecords,
    Outcome,
    RecordsError,
    Rescan,
    TabEntry,
    ipv4_int,
)
from tests.dhcp.conftest import NETWORK, Events, make_binding, make_store

OWNERS = frozenset({ipv4_int("127.0.0.1")})


@pytest.fixture
def events() -> Events:
    return Events()


def mirror_of(records: MemoryRecords, events: Events) -> Mirror:
    mirror = Mirror(records, [network("127.0.0.0/24")], OWNERS, events)
    mirror.reload()
    return mirror


def test_a_change_by_another_is_seen_at_the_next_refresh(events: Events) -> None:
    records = make_store([make_binding("127.0.0.9")])
    mirror = mirror_of(records, events)
    (view,) = mirror.views
    row = make_binding("127.0.0.10")
    records.commit([Change(NETWORK, None, row)])
    mirror.refresh(view)
    assert sorted(view.rows) == [row.address - 1, row.address]
    assert events.told == []


def test_an_unreadable_store_leaves_the_copy_and_is_told_once(events: Events) -> None:
    records = make_store([make_binding("127.0.0.9")], {"m": ":LeaseTim=1:"})
    mirror = mirror_of(records, events)
    (view,) = mirror.views
    for _ in range(3):
        records.fail_next(Outcome.UNAVAILABLE, 2)
        mirror.refresh(view)
        assert not mirror.refresh_macros()
    assert len(view.rows) == 1
    assert "m" in mirror.macros
    assert [fault["file"] for fault in events.of("records.fault")] == [NETWORK, "dhcptab"]
    mirror.refresh(view)
    records.fail_next(Outcome.UNAVAILABLE)
    mirror.refresh(view)
    assert len(events.told) == 3


def test_macros_are_loaded_anew_only_when_they_changed(events: Events) -> None:
    records = make_store([], {"m": ":LeaseTim=1:"})
    mirror = mirror_of(records, events)
    before = mirror.macros
    assert not mirror.refresh_macros()
    assert mirror.macros is before
    records.commit([Change("dhcptab", None, TabEntry("n", "m", 0, ":LeaseTim=2:"))])
    assert mirror.refresh_macros()
    assert "m" in mirror.macros
    assert "n" in mirror.macros


def test_a_rescan_forgets_offers(events: Events) -> None:
    mirror = mirror_of(make_store([make_binding("127.0.0.9")]), events)
    (view,) = mirror.views
    view.remember(Offer(b"\1a", b"\1a", ipv4_int("127.0.0.9"), 600), 99.0)
    mirror.reload()
    assert view.offers == {}
    assert view.free_for(b"\1b") is not None


def test_quarantined_rows_are_told_within_bounds(events: Events) -> None:
    class Torn(MemoryRecords):
        def read(self, table: str, since: int = 0) -> Delta:
            faults = tuple(
                Fault(table, line, "garbage", "too few fields") for line in range(5, 5 + 2 * FAULTS_TOLD_MAX)
            )
            return super().read(table, since)._replace(faults=faults if table == NETWORK else ())

    records = Torn()
    records.load(NETWORK, [])
    records.load("dhcptab", [])
    mirror_of(records, events).reload()
    told = events.of("records.fault")
    assert told[0]["reason"] == "line 5: too few fields"
    assert (len(told), told[-1]["count"]) == (FAULTS_TOLD_MAX + 1, FAULTS_TOLD_MAX)


def test_networks_come_and_go_with_a_rescan_and_others_keep_their_view(events: Events) -> None:
    records = make_store([make_binding("127.0.0.20")])
    records.load("127.1.0.0", [make_binding("127.1.0.20")])
    networks = [network("127.0.0.0/24")]
    mirror = Mirror(records, networks, OWNERS, events)
    (first,) = mirror.views
    networks.append(network("127.1.0.0/24"))
    mirror.reload()
    assert mirror.views[0] is first
    assert set(mirror.views[1].rows) == {ipv4_int("127.1.0.20")}
    networks.pop(0)
    mirror.reload()
    assert [view.name for view in mirror.views] == ["127.1.0.0"]


class Publishing(MemoryRecords):
    """A store that publishes copies, of which people have edited one in vain."""

    tended = 0

    def rescan(self) -> Rescan:
        return Rescan(2, ("SUNWfiles1_127_0_0_0: line 7: changed here and by another server: theirs is kept",))

    def tend(self) -> None:
        self.tended += 1
        raise RecordsError(Outcome.FULL, "copies cannot be written: free some space")


def test_copies_are_rescanned_at_a_reload_and_tended_when_asked(events: Events) -> None:
    records = Publishing()
    records.load(NETWORK, [])
    records.load("dhcptab", [])
    mirror = mirror_of(records, events)
    assert [told["reason"] for told in events.of("records.fault")] == [records.rescan().refused[0]]
    mirror.tend()
    mirror.tend()
    assert records.tended == 2
    assert events.of("records.fault")[1:] == [
        {"file": "datastore", "reason": "copies cannot be written: free some space"}
    ]
