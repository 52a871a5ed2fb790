"""The view of one network: indexes that follow every change, searches without a walk, offers that end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhcp import view as view_module
from dhcp.networks import network
from dhcp.view import NetworkView, Offer
from storage.records import BOOTP, FOREVER_S, FREE_ID, MANUAL, PERMANENT, UNUSABLE, Binding, Delta, Key, ipv4_int

NET = network("10.0.0.0/16")
OURS, THEIRS = ipv4_int("10.0.0.1"), ipv4_int("10.0.0.2")
FLAGS = (0, PERMANENT, MANUAL, UNUSABLE, BOOTP, PERMANENT | MANUAL)


def binding(host: int, client_id: bytes = FREE_ID, flags: int = 0, owner: int = OURS, lease_s: int = 0) -> Binding:
    return Binding(NET.number + host, client_id, flags, owner, lease_s, 1, "", "")


def change(view: NetworkView, *rows: Binding, gone: tuple[Key, ...] = (), whole: bool = False) -> None:
    view.apply(Delta(view.version + 1, rows, gone, whole, ()))


def view_of(*rows: Binding) -> NetworkView:
    view = NetworkView(NET, frozenset({OURS}))
    change(view, *rows, whole=True)
    return view


rows_of_any_kind = st.lists(
    st.builds(
        binding,
        st.integers(1, 12),
        st.sampled_from([FREE_ID, b"\1a", b"\1b"]),
        st.sampled_from(FLAGS),
        st.sampled_from([OURS, THEIRS]),
        st.sampled_from([0, 100, 200, FOREVER_S]),
    ),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(rows_of_any_kind, st.sets(st.integers(1, 12), max_size=4), st.integers(0, 30))
def test_indexes_agree_with_a_walk_over_the_rows(rows: list[Binding], gone: set[int], first_asked: int) -> None:
    view = view_of()
    for number, row in enumerate(rows):
        if number == first_asked:
            view.ended_before(0)  # from here on the queue of leases is kept up; before, it is not there
        change(view, row)
    change(view, gone=tuple(NET.number + host for host in gone))
    left = {row.address: row for row in rows if row.address - NET.number not in gone}
    assert view.rows == left
    for client_id in (b"\1a", b"\1b"):
        held = {row for row in left.values() if row.client_id == client_id}
        assert set(view.bindings_of(client_id)) == held
        reserved = [row for row in held if row.flags & MANUAL and not row.flags & BOOTP]
        assert (view.reservation_of(client_id) in reserved) if reserved else view.reservation_of(client_id) is None
    ours = [row for row in left.values() if row.owner == OURS]
    free = [row for row in ours if row.client_id == FREE_ID and not row.flags & (MANUAL | UNUSABLE | BOOTP)]
    assert (view.free_for(b"\1c") in free) if free else view.free_for(b"\1c") is None
    ended = [row for row in ours if row.client_id != FREE_ID and row.flags == 0 and row.lease_s <= 150]
    found = view.ended_before(150)
    assert (found is None) == (not ended)
    assert found is None or found.lease_s == min(row.lease_s for row in ended)


def test_two_servers_offer_one_client_the_same_and_two_clients_different_addresses() -> None:
    rows = [binding(host) for host in range(100, 400)]
    one, other = view_of(*rows), view_of(*reversed(rows))
    clients = [b"\1" + bytes((0, 20, 79, 0, 0, number)) for number in range(32)]
    assert [one.free_for(client) for client in clients] == [other.free_for(client) for client in clients]
    assert len({one.free_for(client) for client in clients}) > 24
    late = view_of(*(binding(host, b"\1x") for host in range(100, 200)), *rows[100:])
    for host in range(100, 200):
        change(one, binding(host, b"\1x"))
    assert [one.free_for(client) for client in clients] == [late.free_for(client) for client in clients]


def test_an_offer_keeps_its_address_from_others_until_it_ends() -> None:
    view = view_of(binding(10), binding(11, b"\1old", lease_s=100))
    view.remember(Offer(b"\1a", b"\1a", NET.number + 10, 600), 20.0)
    view.remember(Offer(b"\1b", b"\1b", NET.number + 11, 600), 21.0)
    assert view.free_for(b"\1c") is None
    assert view.ended_before(500) is None
    assert view.offered_to(NET.number + 10) == b"\1a"
    view.expire(19.9)
    assert set(view.offers) == {b"\1a", b"\1b"}
    view.expire(20.0)
    assert set(view.offers) == {b"\1b"}
    assert view.free_for(b"\1c") == binding(10)
    view.forget_offers()
    assert view.ended_before(500) == binding(11, b"\1old", lease_s=100)


@pytest.mark.parametrize("told", ["the same", "another's later", "another's before", "whole", "gone"])
def test_what_was_settled_here_is_told_back_with_what_others_did(told: str) -> None:
    view = view_of(binding(10), binding(11), binding(12))
    one, two = binding(10, b"\1a", lease_s=100), binding(11, b"\1b", lease_s=100)
    view.settle(b"\1a", one)
    view.settle(None, two)
    later, other = binding(11, b"\1c", lease_s=200), binding(12, b"\1d", lease_s=200)
    rows = {
        "the same": ((one, two), (one, two, binding(12))),
        "another's later": ((one, later), (one, later, binding(12))),
        "another's before": ((other, one, two), (one, two, other)),
        "whole": ((one, two), (one, two)),
        "gone": ((one, two), (one, two)),
    }
    said, held = rows[told]
    change(view, *said, whole=told == "whole", gone=(NET.number + 12,) if told == "gone" else ())
    assert sorted(view.rows.values()) == sorted(held)
    assert [view.knows(client) for client in (b"\1a", b"\1b", b"\1c", b"\1d")] == [
        any(row.client_id == client for row in held) for client in (b"\1a", b"\1b", b"\1c", b"\1d")
    ]
    change(view, binding(10))  # what was settled before counts once
    assert view.rows[NET.number + 10] == binding(10)


def test_a_client_has_one_offer_and_an_address_one_client() -> None:
    view = view_of(binding(10), binding(11))
    for client, host in ((b"\1a", 10), (b"\1a", 11), (b"\1b", 11)):
        view.remember(Offer(client, client, NET.number + host, 600), 20.0)
    assert list(view.offers) == [b"\1b"]
    assert view.free_for(b"\1c") == binding(10)
    view.forget(b"\1unknown")


def test_offers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    view = view_of(*(binding(host) for host in range(1, 20)))
    monkeypatch.setattr(view_module, "OFFERS_MAX", 4)
    for number in range(10):
        client = bytes((1, number))
        view.remember(Offer(client, client, NET.number + 1 + number, 600), 20.0)
    assert list(view.offers) == [bytes((1, number)) for number in range(6, 10)]
    assert len({view.free_for(bytes((1, seed))) for seed in range(200)}) > 1


def test_a_whole_delta_replaces_everything_but_offers() -> None:
    view = view_of(binding(10), binding(11, b"\1a"))
    view.remember(Offer(b"\1b", b"\1b", NET.number + 10, 600), 20.0)
    change(view, binding(10), binding(12), whole=True)
    assert set(view.rows) == {NET.number + 10, NET.number + 12}
    assert view.bindings_of(b"\1a") == []
    assert view.free_for(b"\1c") == binding(12)
    assert list(view.offers) == [b"\1b"]


def test_rows_that_are_no_hosts_of_the_network_are_left_out() -> None:
    view = view_of(binding(0), binding(65535), binding(65536), binding(5))
    assert list(view.rows) == [NET.number + 5]


def test_free_addresses_of_bootp_and_dhcp_are_apart_whatever_becomes_of_a_binding() -> None:
    view = view_of(binding(1), binding(2, flags=BOOTP))
    client = b"\1client"

    def found() -> tuple[int | None, int | None]:
        dhcp, bootp = view.free_for(client), view.free_bootp_for(client)
        return dhcp and dhcp.address & 255, bootp and bootp.address & 255

    assert found() == (1, 2)
    change(view, binding(1, flags=BOOTP), binding(2))
    assert found() == (2, 1)
    view.remember(Offer(client, client, NET.number + 1, 0), 20.0)
    assert found() == (2, None)
    view.forget(client)
    assert found() == (2, 1)
    change(view, binding(1, flags=BOOTP | UNUSABLE), gone=(NET.number + 2,))
    assert found() == (None, None)


def test_of_several_reservations_a_bar_then_ours_then_the_lowest_address_counts() -> None:
    rows = [binding(host, b"\1c", MANUAL) for host in (5, 4)]
    assert view_of(*rows).reservation_of(b"\1c") == rows[1]
    foreign = binding(3, b"\1c", MANUAL, THEIRS)
    assert view_of(foreign, *rows).reservation_of(b"\1c") == rows[1]
    barred = binding(6, b"\1c", MANUAL | UNUSABLE)
    assert view_of(*rows, barred).reservation_of(b"\1c") == barred
    assert view_of(binding(7, b"\1c", MANUAL | BOOTP)).reservation_of(b"\1c") is None
