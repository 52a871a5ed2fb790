"""What one server began and does not finish, its peer finishes at the client's first repeat."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dhcp import options as o
from dhcp.options import MessageType
from dhcp.packet import Packet
from dhcp.repeats import AGAIN_S, MEMORY_S, Repeats
from storage.records import Change, Outcome, ipv4_int, ipv4_text
from tests.dhcp.conftest import make_packet
from tests.dhcp_pair import FIRST, NETWORK, NOW_S, Pair, again, kind, mac, renewal, request


def test_what_a_dead_server_began_is_finished_by_its_peer_at_the_first_repeat(pair: Pair) -> None:
    offer = pair.odd.discover(mac(1))
    pair.even.discover(mac(1))
    taken = request(mac(1), offer)
    assert pair.even.is_silent_about(taken)
    assert again(pair, pair.even, taken, 0.5) == []  # a copy from the network, or odd is slow
    (ack,) = again(pair, pair.even, taken, 3.5)
    assert kind(ack) is MessageType.ACK
    assert ack.yiaddr == offer.yiaddr
    assert ack.options[o.SERVER_ID] == offer.options[o.SERVER_ID]
    assert ack.siaddr == ipv4_int("10.0.0.2")  # who lives, serves the boot files too
    assert pair.row(ack.yiaddr).client_id.hex() == "0100144f000001"
    (renewed,) = again(pair, pair.odd, renewal(mac(1), ack), 300)
    assert kind(renewed) is MessageType.ACK


def test_a_server_that_was_only_slow_and_the_peer_that_finished_for_it_agree(pair: Pair) -> None:
    offer = pair.odd.discover(mac(1))
    taken = request(mac(1), offer)
    pair.even.is_silent_about(taken)
    early: list[Packet] = []
    pair.odd.records.intrude = lambda: early.extend(again(pair, pair.even, taken, 4.0))
    acks = [*pair.odd.hear(taken), *early]
    assert {(kind(ack), ack.yiaddr) for ack in acks} == {(MessageType.ACK, offer.yiaddr)}
    longest_s = max(int.from_bytes(ack.options[o.LEASE_TIME], "big") for ack in acks)
    assert pair.row(offer.yiaddr).lease_s >= NOW_S + longest_s
    assert pair.row(offer.yiaddr).client_id.hex() == "0100144f000001"


def test_a_repeat_finds_the_address_gone_and_is_not_answered(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair([FIRST])
    offer = pair.odd.discover(mac(1))
    taken = request(mac(1), offer)
    assert pair.even.is_silent_about(taken)
    row = pair.row(offer.yiaddr)
    pair.odd.records.commit([Change(NETWORK, row, row._replace(client_id=b"\1other", lease_s=int(NOW_S) + 600))])
    assert again(pair, pair.even, taken, 4.0) == []


def test_a_lease_that_may_have_been_released_is_not_confirmed_from_an_old_view(pair: Pair) -> None:
    """A server that cannot read the share still has the lease which its client gave back at the other one."""
    ack = pair.lease(mac(1), pair.odd)
    row = pair.row(ack.yiaddr)
    pair.odd.records.commit([Change(NETWORK, row, row._replace(lease_s=row.lease_s + 6000))])  # nothing to lengthen
    pair.even.discover(mac(2))
    pair.even.records.fail(Outcome.UNAVAILABLE, reads=False, commits=True)
    pair.odd.hear(make_packet(MessageType.RELEASE, mac(1), ciaddr=ipv4_text(ack.yiaddr)))
    taken = request(mac(1), ack)
    assert pair.even.is_silent_about(taken)
    assert again(pair, pair.even, taken, 1.0) == []


def test_the_peer_keeps_the_address_for_who_may_have_to_ask_again(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair([FIRST])
    taken = request(mac(1), pair.odd.discover(mac(1)))
    assert pair.even.is_silent_about(taken)
    assert pair.even.is_silent_about(make_packet(MessageType.DISCOVER, mac(2)))
    (ack,) = again(pair, pair.even, taken, 1.0)
    assert kind(ack) is MessageType.ACK


def test_a_transaction_id_that_comes_around_is_no_repeat(pair: Pair) -> None:
    taken = request(mac(1), pair.odd.discover(mac(1)))
    assert pair.even.is_silent_about(taken)
    assert again(pair, pair.even, taken, MEMORY_S + 1) == []
    assert len(again(pair, pair.even, taken, AGAIN_S + 0.1)) == 1


def test_what_is_remembered_of_requests_to_others_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhcp.repeats.HEARD_MAX", 3)
    repeats = Repeats()
    for number in range(10):
        assert not repeats.hear(bytes((number,)), 0.0)
    assert len(repeats) == 3
    assert not repeats.hear(b"\0", 1.0)
    assert repeats.hear(b"\x09", 1.0)
